"""The public layers, transforms and models, each as a function with the shapes of its arguments, to be compiled."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

import equijax as ej
from equijax import frames, graphs, groups, lie, nn, products, reps, rotations, spherical, training
from equijax.groups import decompositions
from equijax.models import (
    APEN,
    EGNN,
    EqMotion,
    GauntNetwork,
    GraphNetwork,
    LocalFrameNetwork,
    PaRot,
    SetNetwork,
    ShiftTransformer,
    potential,
)

HIDDEN = reps.Sum(*[reps.Scalar()] * 8, *[reps.Vector()] * 4)


class Case(NamedTuple):
    """A function and its arguments, as shapes."""

    name: str
    f: Callable
    arguments: tuple
    gradient: bool = True  # whether a training step takes its gradient

    def backward(self):
        """The function of (cotangent, *arguments) that gives the gradients in all arguments, and its arguments."""

        def f(cotangent, *arguments):
            floating, rest = _partition(arguments)
            return jax.vjp(lambda floating: _floating(self.f(*_merge(floating, rest))), floating)[1](cotangent)

        return f, (_floating(jax.eval_shape(self.f, *self.arguments)), *self.arguments)


def products_of(dtype, rows, channels, degrees):
    """Products of features of the same degree, and the convolution with a filter of that degree."""
    for l in degrees:
        x = _shape(dtype, rows, (l + 1) ** 2, channels)
        yield Case(f"gaunt, L = {l}", products.gaunt, (x, x))
        yield Case(f"bracket, L = {l}", products.bracket, (x, x))
        filters = (_shape(dtype, rows, 3), _shape(dtype, rows, l + 1, channels))
        yield Case(f"convolution, L = {l}", products.convolution, (x, *filters))


def layers(dtype, rows, channels, lmax=2):
    """Other products, harmonics and all modules of `nn`."""
    x, r = _shape(dtype, rows, (lmax + 1) ** 2, channels), _shape(dtype, rows, 3)
    yield Case("power", functools.partial(products.power, order=3), (x,))
    for method in ("terms", "split", "separable", "fft"):
        yield Case(f"gaunt, {method}", functools.partial(products.gaunt, method=method), (x, x))
    yield Case("clebsch_gordan", products.clebsch_gordan, (x, x))
    for method in ("zonal", "aligned"):
        weights = _shape(dtype, rows, lmax + 1, channels)
        yield Case(f"convolution, {method}", functools.partial(products.convolution, method=method), (x, r, weights))
    yield Case("harmonics", functools.partial(spherical.harmonics, lmax=6), (r,))
    yield Case("wigner_matrix", functools.partial(spherical.wigner_matrix, lmax=lmax), (_shape(dtype, rows, 3, 3),))
    graph = graph_shapes(dtype, rows // 8, rows)
    nodes = _shape(dtype, rows // 8, (lmax + 1) ** 2, channels)
    modules = [
        (nn.Linear(channels, use_bias=True), x),
        (nn.Gate(), x),
        (nn.NormActivation(), x),
        (nn.Normalization(), x),
        (nn.GauntProduct(), x, x),
        (nn.GauntProduct(bracket=True, rank=2), x, x),
        (nn.ManyBodyProduct(), x),
        (nn.ManyBodyProduct(bracket=True), x),
        (nn.ZonalConvolution(cutoff=5.0), nodes, r, graph),
        (nn.MessagePassing(lambda sender, receiver, edges: sender - receiver), nodes, None, graph),
        (nn.RadialBasis(5.0, (64, channels)), _shape(dtype, rows)),
        (nn.MLP((channels, channels)), _shape(dtype, rows, channels)),
        (
            nn.EquivariantMLP(groups.O(3), reps.Sum(*[reps.Vector()] * 4), reps.Tensor(2), (HIDDEN,)),
            _shape(dtype, rows, 12),
        ),
    ]
    nodes = (_shape(jnp.float32, 8, 2, 2), _shape(jnp.float32, 8))
    image, lifted = _shape(dtype, rows // 512 or 1, 32, 32, channels), _shape(dtype, rows // 512 or 1, 8, 32, 32, 16)
    modules += [(nn.LiftingConv(channels), image, nodes), (nn.GroupConv(16, size=5), lifted, nodes)]
    modules += [(nn.GroupConv(16, size=5, separable=False), lifted, nodes)]
    grid = _shape(dtype, rows // 64 or 1, 8, 8, channels)
    modules += [(nn.WindowAttention(2, 4), grid), (nn.SubsampledAttention(2, 4), grid)]
    modules += [(nn.CrossCovarianceAttention(2), grid), (nn.CircularConv(), grid), (nn.Polynomial(), grid)]
    for module, *arguments in modules:
        options = "".join(f", {name}" for name in ("bracket", "separable") if getattr(module, name, False))
        params = jax.eval_shape(module.init, jax.random.key(0), *arguments)
        yield Case(f"nn.{type(module).__name__}{options}", module.apply, (params, *arguments))


def transforms(dtype, points=64):
    """Frames, averages, rotations, groups and neighbor lists: small, so judged by whether they compile at all."""
    x, vectors = _shape(dtype, points, 3), ej.Symmetry(groups.E(3), inputs=reps.Position(), outputs=reps.Vector())
    f = lambda x: jnp.tanh(x - x[:1])  # noqa: E731
    for frame in (frames.pca, frames.weighted_pairs):
        yield Case(f"frame_average, {frame.__name__}", ej.frame_average(f, vectors, frame), (x,))
    for frame in (frames.pivoted, frames.qr):
        yield Case(f"canonicalize, {frame.__name__}", ej.canonicalize(f, vectors, frame), (x,))
    permuted = ej.Symmetry(groups.Permutation(points), inputs=reps.Permutation(-2), outputs=reps.Permutation(-2))
    sorted_by = functools.partial(ej.canonicalize(f, permuted, frames.sorting, frame_input=lambda x: x))
    yield Case("canonicalize, sorting", sorted_by, (x,))
    for frame, group, size in ((frames.lorentz, groups.Lorentz(), 4), (frames.whitened, groups.Affine(3), 3)):
        yield Case(f"frames.{frame.__name__}", lambda x, a=frame, g=group: a(g, x)[0], (_shape(dtype, points, size),))
    shifts = ej.Symmetry(groups.Shift((32, 32)), inputs=reps.Shift((0, 1)), outputs=None)
    strided = lambda x: jnp.mean(x[::4, ::4] ** 2, axis=(0, 1))  # noqa: E731
    yield Case(
        "canonicalize, polyphase", ej.canonicalize(strided, shifts, frames.polyphase(4)), (_shape(dtype, 32, 32, 3),)
    )
    yield Case("invariant_coordinates", lambda x: frames.invariant_coordinates(x)[0], (x,))
    yield Case(
        "coordinates_from_distances", lambda d: frames.coordinates_from_distances(d, 3)[0], (_shape(dtype, 8, 8),)
    )
    image = ej.Symmetry(groups.Cyclic(4), inputs=reps.Image(), outputs=reps.Image())
    yield Case("group_average", ej.group_average(jnp.tanh, image), (_shape(dtype, 32, 32, 8),))
    rotated = ej.Symmetry(groups.SO(3), inputs=reps.Position(), outputs=reps.Vector())
    yield Case("group_average, SO(3)", ej.group_average(jnp.tanh, rotated), (x,))
    key = jax.eval_shape(lambda: jax.random.key(0))
    measure = lambda x, key: ej.equivariance_error(f, vectors, (x,), key=key, samples=4)  # noqa: E731
    yield Case("equivariance_error", measure, (x, key), False)
    yield Case("augment", lambda x, key: ej.augment(vectors, key, (x,)), (x, key), False)
    penalty = lambda x, key: ej.objectives.equivariance_penalty(f, vectors, (x,), key=key)  # noqa: E731
    yield Case("equivariance_penalty", penalty, (x, key))
    for name, sizes in (("from_6d", (6,)), ("from_5d", (5,)), ("from_quaternion", (4,)), ("from_axis_angle", (3,)),
                        ("from_svd", (3, 3)), ("to_axis_angle", (3, 3)), ("to_quaternion", (3, 3))):  # fmt: skip
        yield Case(f"rotations.{name}", getattr(rotations, name), (_shape(dtype, points, *sizes),))
    yield Case("polar", decompositions.polar, (_shape(dtype, points, 3, 3),))
    yield Case("matrix_log", decompositions.matrix_log, (_shape(dtype, points, 3, 3),), False)
    rigid = (groups.SO(3), groups.O(3), groups.SE(3), groups.E(3), groups.Similarity(3))
    for group in (
        *rigid,
        groups.SL(3),
        groups.GLPlus(2),
        groups.Affine(2),
        groups.Lorentz(),
        groups.Scaling(),
        groups.Power(groups.E(3), 2),
    ):

        def chart(a, key, group=group):
            g = group.compose(group.exp(a), group.sample(key, (points,), a.dtype))
            return group.inverse(g), group.coords(g)

        yield Case(f"group {group}", chart, (_shape(dtype, points, group.dim), key), False)

    def pooled(image, f, nodes):
        center, f = lie.center_of_mass(image**2), lie.downsample(lie.normalize(f, nodes))
        return lie.pool_about(f, nodes, center, jnp.eye(2), width=2.0, spacing=2.0), lie.project(f, nodes, method="max")

    nodes = (_shape(jnp.float32, 8, 2, 2), _shape(jnp.float32, 8))
    yield Case("lie.pool_about", pooled, (_shape(dtype, 4, 16, 16, 1), _shape(dtype, 4, 8, 16, 16, 8), nodes))
    neighbors = functools.partial(graphs.traced_neighbor_list, cutoff=3.0, capacity=512, images=(1, 1, 1))
    yield Case("traced_neighbor_list", neighbors, (x, _shape(dtype, 3, 3)), False)
    yield Case("farthest_points", lambda x: graphs.farthest_points(x, 4), (x,), False)
    yield Case("nearest_points", lambda x: graphs.nearest_points(x, x, 4), (x,), False)


def models(dtype, atoms, edges, channels):
    """The potential: energies and forces, the gradient of its loss, the update of its parameters. Then particles."""
    model = potential.Potential(species=(1, 6, 8), atomic_energies=(0.0, 0.0, 0.0), channels=channels)
    params = jax.tree.map(
        lambda a: _shape(dtype, *a.shape), jax.eval_shape(lambda key: init(model, key), jax.random.key(0))
    )
    graph = graph_shapes(dtype, atoms, edges)
    yield Case("potential.predict", functools.partial(potential.predict, model), (params, graph), False)
    labels = label_shapes(dtype, graph)
    gradient = training.gradient(potential.objective(model))
    yield Case("training.gradient", gradient, (params, (graph, labels)), False)
    optimizer = training.optimizer(1000)
    state = jax.eval_shape(functools.partial(training.start, optimizer=optimizer, average=True), params)
    yield Case("training.update", training.update(optimizer, 0.99), (state, params), False)
    network, cloud = APEN(4, channels, (8, 4), (0.2,), depth=1), _shape(dtype, 64, 3)
    yield Case("APEN", network.apply, (jax.eval_shape(network.init, jax.random.key(0), cloud), cloud))
    particles = [_shape(dtype, atoms, 5, 3)] * 2
    published = functools.partial(EGNN, normalize=False)
    networks = published, GauntNetwork, GraphNetwork, functools.partial(LocalFrameNetwork, tensors=(2,)), SetNetwork
    for network in (make(channels) for make in networks):
        charges = _shape(dtype, atoms, 5, *[1] * isinstance(network, SetNetwork))
        batch = (*particles, charges)
        params = jax.eval_shape(network.init, jax.random.key(0), *(_shape(dtype, *a.shape[1:]) for a in batch))
        yield Case(type(network).__name__, jax.vmap(network.apply, (None, 0, 0, 0)), (params, *batch))
    clouds, network = _shape(dtype, 4, atoms, 3), PaRot(10, True, 8, 8, 8, 4, channels)
    params = jax.eval_shape(network.init, jax.random.key(0), _shape(dtype, atoms, 3))
    walks, moving = _shape(dtype, atoms, 5, 8, 3), EqMotion(8, channels, channels, layers=1)
    walked = jax.eval_shape(moving.init, jax.random.key(0), _shape(dtype, 5, 8, 3))
    yield Case("EqMotion", jax.vmap(moving.apply, (None, 0)), (walked, walks))
    yield Case("PaRot", jax.vmap(network.apply, (None, 0)), (params, clouds))
    network, images = ShiftTransformer(10, "twins"), _shape(dtype, atoms, 32, 32, 3)
    params = jax.eval_shape(network.init, jax.random.key(0), images)
    yield Case("ShiftTransformer", network.apply, (params, images))


def many(dtype, mesh, atoms, edges, channels):
    """Programs for all devices of a mesh: training on structures split over it, one structure split by atom, images."""
    model = potential.Potential(species=(1, 6, 8), atomic_energies=(0.0, 0.0, 0.0), channels=channels)
    params = jax.eval_shape(lambda key: init(model, key), jax.random.key(0))
    whole, parted = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), mesh.axis_names))
    graph = graph_shapes(dtype, mesh.size * atoms, mesh.size * edges, mesh.size)
    placed = _placed((params, (graph, label_shapes(dtype, graph))), whole, parted)
    gradient = training.gradient(potential.parallel.objective(model, mesh))
    yield Case("parallel.gradient", gradient, placed, False)
    graph = graph_shapes(dtype, mesh.size * atoms, mesh.size * edges)
    of_all = {name: getattr(graph, name) for name in ("cells", "pbc", "graph_mask")}
    params, graph, of_all = _placed((params, graph, of_all), whole, parted, whole)
    yield Case("parallel.predict", potential.parallel.predict(model, mesh), (params, graph._replace(**of_all)), False)
    network = nn.LiftingConv(channels, size=5)
    nodes = (_shape(dtype, 8, 2, 2), _shape(dtype, 8))
    images = _shape(dtype, 4 * mesh.size, 32, 32, 3)
    params = jax.eval_shape(network.init, jax.random.key(0), images, nodes)
    loss = lambda params, images, nodes: jnp.mean(network.apply(params, images, nodes) ** 2)  # noqa: E731
    yield Case("images", jax.grad(loss), _placed((params, images, nodes), whole, parted, whole), False)


def _placed(trees, *shardings):
    """Shapes with the places of their arrays on a mesh."""
    put = lambda a, sharding: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding)  # noqa: E731
    return tuple(jax.tree.map(lambda a, s=s: put(a, s), tree) for tree, s in zip(trees, shardings, strict=True))


def init(model, key):
    """Parameters of the model for the smallest graph."""
    vector = jnp.ones((1, 3))
    graph = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), graph_shapes(jnp.float32, 1, 1))
    return model.init(key, vector, graph._replace(species=jnp.ones(1, jnp.int32)))


def graph_shapes(dtype, atoms, edges, structures=1):
    """A graph of so many structures, each with padding."""
    slots = 2 * structures
    number, flag = jnp.int32, jnp.bool_
    return graphs.Graph(
        species=_shape(number, atoms), node_mask=_shape(flag, atoms),
        graph_of_node=_shape(number, atoms), senders=_shape(number, edges), receivers=_shape(number, edges),
        shifts=_shape(number, edges, 3), vectors=_shape(dtype, edges, 3),
        edge_mask=_shape(flag, edges), cells=_shape(dtype, slots, 3, 3),
        pbc=_shape(flag, slots, 3), graph_mask=_shape(flag, slots),
    )  # fmt: skip


def label_shapes(dtype, graph):
    """Labels of the structures of a graph."""
    atoms, slots = len(graph.species), len(graph.graph_mask)
    return graphs.Labels(
        energies=_shape(dtype, slots), forces=_shape(dtype, atoms, 3), stresses=_shape(dtype, slots, 3, 3),
        energy_mask=_shape(bool, slots), force_mask=_shape(bool, atoms), stress_mask=_shape(bool, slots),
        weights=_shape(dtype, slots),
    )  # fmt: skip


def _shape(dtype, *sizes):
    return jax.ShapeDtypeStruct(sizes, dtype)


def _is_floating(a):
    return jnp.issubdtype(a.dtype, jnp.floating)


def _floating(tree):
    """The arrays of floating point."""
    return [a for a in jax.tree.leaves(tree) if _is_floating(a)]


def _partition(tree):
    leaves, structure = jax.tree.flatten(tree)
    return [a for a in leaves if _is_floating(a)], ([None if _is_floating(a) else a for a in leaves], structure)


def _merge(floating, rest):
    leaves, structure = rest
    found = iter(floating)
    return jax.tree.unflatten(structure, [next(found) if a is None else a for a in leaves])

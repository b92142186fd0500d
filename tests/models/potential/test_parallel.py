"""Many devices: the numbers of one device, one compilation, checkpoints that move, clear errors."""

import chex
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec

import equijax as ej
from equijax import graphs, nn, training
from equijax.graphs import Structure
from equijax.models import potential
from equijax.models.potential import Potential, parallel
from equijax.training import checkpoint

MESH = jax.make_mesh((8,), ("devices",))
MODEL = Potential(
    species=(1, 8), atomic_energies=(-13.6, -2041.0), cutoff=2.5, channels=4, lmax=1, hidden_lmax=1, order=2, probes=2,
    radial_features=8,
)  # fmt: skip


def periodic(seed, atoms=12):
    """Atoms at random on a skew lattice, with made-up labels."""
    rng = np.random.default_rng(seed)
    sites = np.stack(np.meshgrid(*[np.arange(3.0)] * 3, indexing="ij"), -1).reshape(-1, 3)[rng.permutation(27)[:atoms]]
    cell = np.array([[4.5, 0, 0], [0.3, 4.5, 0], [0, 0.2, 4.5]])
    positions = sites @ cell / 3 + rng.normal(0, 0.1, (atoms, 3))
    return Structure(
        rng.choice([1, 8], atoms), positions, cell, (True, True, True), energy=rng.normal(),
        forces=rng.normal(size=(atoms, 3)), stress=np.eye(3),
    )  # fmt: skip


SHALLOW = MODEL.clone(layers=1)  # compiles faster, for its second derivatives


def parameters(model=MODEL):
    return potential.initialize(model, jax.random.key(0))


def compiled_once(f):
    return jax.jit(chex.assert_max_traces(lambda *args: f(*args), n=1))


@pytest.mark.core
def test_training_on_eight_devices_is_training_on_one():
    """Structures of different size and missing labels, so that a mean of the devices' means would be another one."""
    structures = [periodic(k, 6 + k) for k in range(12)] + [periodic(k, 5)._replace(forces=None) for k in range(4)]
    weights = {"energy_weight": 1.0, "force_weight": 10.0, "stress_weight": 1.0}
    params, indices = parameters(SHALLOW), np.arange(16)
    one = jax.jit(training.gradient(potential.objective(SHALLOW, **weights)))
    want = one(params, potential.samples(SHALLOW, structures, 16).batch(indices))

    many = compiled_once(training.gradient(parallel.objective(SHALLOW, MESH, **weights)))
    samples, everywhere = potential.samples(SHALLOW, structures, 2), training.replicate(params, MESH)
    samples = samples._replace(shapes=(graphs.Shape(40, 600, 3),))  # any two of them
    for order in (indices, indices[::-1]):
        got = many(everywhere, training.split(samples.batch(order, shards=8), MESH))
        chex.assert_trees_all_close(got, want, rtol=2e-4, atol=1e-5)
    with pytest.raises(AssertionError):  # structures that count differently are seen
        chex.assert_trees_all_close(many(everywhere, training.split(samples.batch(indices * 0, shards=8), MESH)), want)


def test_a_structure_in_shards_is_the_structure_in_one():
    """Edges across all shards and cell boundaries, shards with more and fewer edges, a shard of padding alone."""
    params, graph = parameters(), graphs.batch([periodic(3, 25)], MODEL.cutoff)
    shards = graphs.partition(graph, 8)
    one = jax.jit(lambda params, graph: potential.predict(MODEL, params, graph))
    many = compiled_once(parallel.predict(MODEL, MESH))
    want, padded = one(params, graph), one(params, shards)
    got = many(training.replicate(params, MESH), parallel.split_graph(shards, MESH))
    for a, b, c in zip(want, padded, got, strict=True):
        for other in (b, c):
            np.testing.assert_allclose(other[: len(a)], a, rtol=1e-5, atol=1e-5 * np.max(np.abs(a)))
    assert {shard.data.shape for shard in got.forces.addressable_shards} == {(len(shards.species) // 8, 3)}


class Image(linen.Module):
    """A network on SE(2) with statistics of the batch."""

    @linen.compact
    def __call__(self, x, nodes):
        f = nn.LiftingConv(2, size=5)(x, nodes)
        f = linen.relu(linen.BatchNorm(use_running_average=False)(f))
        return linen.Dense(3)(jnp.mean(nn.GroupConv(4, size=3)(f, nodes), axis=(1, 2, 3)))


def test_images_split_over_eight_devices_are_the_images_on_one():
    """Loss, gradient and running statistics of one batch, from arrays that are split, with nothing else said."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(16, 8, 8, 1)).astype(np.float32), np.arange(16) % 3
    x *= 1 + np.arange(16, dtype=np.float32)[:, None, None, None]  # the statistics of each device are others
    model, nodes = Image(), ej.groups.SO(2).nodes(4)
    variables = jax.jit(model.init)(jax.random.key(0), x[:1], nodes)

    def step(variables, x, labels, nodes):
        def loss(params):
            scores, after = model.apply({**variables, "params": params}, x, nodes, mutable="batch_stats")
            return jnp.mean(optax.softmax_cross_entropy(scores, jax.nn.one_hot(labels, 3))), after

        return jax.value_and_grad(loss, has_aux=True)(variables["params"])

    want = jax.jit(step)(variables, x, labels, nodes)
    (everywhere, there), many = training.replicate((variables, nodes), MESH), compiled_once(step)
    for order in (np.arange(16), np.arange(16)[::-1]):
        got = many(everywhere, *training.split((x[order], labels[order]), MESH), there)
        chex.assert_trees_all_close(got, want, rtol=1e-3, atol=1e-5)
    with pytest.raises(AssertionError):  # a wrong picture is seen
        chex.assert_trees_all_close(many(everywhere, *training.split((x, labels[::-1]), MESH), there), want, atol=1e-3)
    split = training.split((x, labels), MESH)
    jax.jit(step).trace(everywhere, *split, there).lower(lowering_platforms=("tpu",))  # kernels decompose their nodes


def test_shards_hold_what_ends_there():
    graph = graphs.batch([periodic(1, 20), periodic(2, 7)], MODEL.cutoff)
    shards = graphs.partition(graph, 4, edges=640)
    assert (len(shards.species), len(shards.senders)) == (len(graph.species), 4 * 640)
    block = np.arange(len(shards.senders)) // 640
    np.testing.assert_array_equal(shards.receivers // (len(shards.species) // 4), block)
    edges = lambda g: np.column_stack([g.senders, g.receivers, g.shifts])[g.edge_mask]  # noqa: E731
    np.testing.assert_array_equal(edges(shards), edges(graph))


def test_a_checkpoint_of_eight_devices_goes_on_on_four(tmp_path):
    state = training.start(parameters(), training.optimizer(10), average=True)
    sharded = state._replace(average=training.split({"w": np.arange(48.0).reshape(16, 3)}, MESH))
    checkpoint.save(tmp_path, 1, MODEL, training.replicate(parameters(), MESH), training=sharded)
    four = jax.make_mesh((4,), ("devices",), devices=jax.devices()[4:])
    like = state._replace(average=training.split({"w": np.zeros((16, 3))}, four))
    found = checkpoint.restore(tmp_path, training=like)
    assert found.training.average["w"].sharding.mesh.devices.tolist() == jax.devices()[4:]
    chex.assert_trees_all_equal(found.training, sharded)
    chex.assert_trees_all_equal(found.params, parameters())


def test_products_and_layers_on_an_explicit_mesh():
    """Rows or channels split; the result is split as its features are."""
    x, y = np.random.default_rng(0).normal(size=(2, 16, 9, 8)).astype(np.float32)
    cases = [
        (ej.products.gaunt, ("terms", "grid", "separable", "auto")),
        (ej.products.bracket, ("auto",)),
        (lambda x, y, method: ej.products.clebsch_gordan(x, y), ("auto",)),
        (lambda x, y, method: nn.ManyBodyProduct(2).apply(nn.ManyBodyProduct(2).init(jax.random.key(0), x), x), ("",)),
    ]
    for spec in (PartitionSpec("devices"), PartitionSpec(None, None, "devices")):
        a, b = (jax.device_put(v, NamedSharding(MESH, spec)) for v in (x, y))
        for f, methods in cases[: 4 if spec[0] else 3]:
            for method in methods:
                with jax.set_mesh(MESH):
                    got = f(a, b, method=method)
                np.testing.assert_allclose(got, f(jnp.asarray(x), jnp.asarray(y), method=method), rtol=1e-4, atol=1e-4)
                assert not got.sharding.is_fully_replicated


def test_clear_errors():
    structures = [periodic(0), periodic(1)]
    with pytest.raises(ValueError, match=r"shards: expected a divisor of the 3 structures"):
        potential.samples(MODEL, structures, 1).batch([0, 1, 0], shards=2)
    with pytest.raises(ValueError, match=r"tree\['w'\]: .* 8 devices .* got shape \(9, 2\)"):
        training.split({"w": np.zeros((9, 2))}, MESH)
    with pytest.raises(ValueError, match=r"mesh: expected one axis, got \('a', 'b'\)"):
        parallel.predict(MODEL, jax.make_mesh((4, 2), ("a", "b")))
    graph = graphs.batch(structures, MODEL.cutoff)
    with pytest.raises(ValueError, match="shards: expected at most one for each of the 24 nodes, got 25"):
        graphs.partition(graph, 25)
    with pytest.raises(ValueError, match="edges: expected room for"):
        graphs.partition(graph, 2, edges=4)
    with pytest.raises(ValueError, match=r"graph: expected one of graphs.partition\(graph, 8\)"):
        parallel.split_graph(graphs.partition(graph, 2), MESH)
    x = jax.device_put(np.ones((2, 16, 4), np.float32), NamedSharding(MESH, PartitionSpec(None, "devices")))
    with jax.set_mesh(MESH), pytest.raises(ValueError, match=r"x: expected all coefficients .* 'devices'"):
        ej.products.gaunt(x, x)

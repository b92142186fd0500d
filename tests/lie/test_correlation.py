"""Lifting and correlation on images: exact algebra, symmetric grids, convergence with the nodes, bad input."""

import functools
import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, lie, reps
from equijax.lie import grid

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(6, 7, 2))
W1, W2 = RNG.normal(size=(2, 6)), RNG.normal(size=(9, 12))


def on_space(points):
    return jnp.sin(points @ W1 + 0.3).reshape(*points.shape[:-1], 2, 3)


def on_group(g):
    x, a = g.translation, lie.coordinates(g.linear)
    lead = jnp.broadcast_shapes(x.shape[:-1], a.shape[:-1])
    both = jnp.concatenate([jnp.broadcast_to(y, (*lead, y.shape[-1])) for y in (x, a)], axis=-1)
    return jnp.sin(both @ W2).reshape(*lead, 3, 4)


SEPARABLE = lie.Separable(
    lambda x: jnp.cos(x @ W1[:, :4]), lambda a: jnp.sin(lie.coordinates(a) @ W2[:7]).reshape(*a.shape[:-2], 3, 4)
)
CHANNELWISE = lie.Separable(
    SEPARABLE.space, lambda a: jnp.sin(lie.coordinates(a) @ W2[:7, :3]), RNG.normal(size=(3, 4))
)
KERNELS = {"full": on_group, "separable": SEPARABLE, "channelwise": CHANNELWISE}
AS_FULL = {
    "full": on_group,
    "separable": lambda g: SEPARABLE.space(g.translation)[..., None, :] * SEPARABLE.group(g.linear),
    "channelwise": lambda g: (
        SEPARABLE.space(g.translation)[..., None, :] * CHANNELWISE.group(g.linear)[..., None] * CHANNELWISE.channels
    ),
}


# Tier one: exact algebra


@pytest.mark.parametrize("kind", KERNELS)
def test_is_the_integral_over_the_group(kind, x64):
    """The sum written out over all pixels and nodes, with weights of the left Haar measure of the whole group."""
    nodes = groups.GLPlus(2).nodes(3)
    f = jnp.asarray(RNG.normal(size=(3, 4, 5, 3)))
    rows, columns = np.indices((4, 5))
    pixels = np.stack([columns - 2.0, 1.5 - rows], -1).reshape(-1, 2)  # x to the right, y up
    values = jnp.moveaxis(f, 0, 2).reshape(20, 3, 3)
    _, (elements, weights) = lie.lift_points(jnp.asarray(pixels), values[:, 0], nodes)

    def haar(g):  # what `correlate` leaves to the kernel
        return AS_FULL[kind](g) * jnp.abs(jnp.linalg.det(g.linear))[..., None, None]

    direct = jax.jit(lambda f: lie.correlate_points(f, haar, (elements, weights)))(values.reshape(60, 3))
    direct = jnp.moveaxis(direct.reshape(4, 5, 3, 4), 2, 0)
    wide = jnp.pad(f, ((0, 0), (3, 3), (2, 2), (0, 0)))  # so that a stencil of 9 pixels sees all
    found = jax.jit(lambda f: lie.correlate(f, KERNELS[kind], nodes, size=9))(wide)[:, 3:-3, 2:-2]
    np.testing.assert_allclose(found, direct, atol=1e-12 * jnp.abs(direct).max())


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KERNELS)
def test_moving_the_nodes_with_the_input_is_exact(kind, x64):
    """h = 2 I, with det h = 4, moves a grid of spacing one to one of spacing 2; any nodes will do."""
    elements, weights = groups.GLPlus(2).nodes(3)

    @functools.partial(jax.jit, static_argnums=2)
    def network(x, elements, spacing):
        nodes = (elements, weights)
        f = jnp.tanh(lie.lift(x, on_space, nodes, size=3, spacing=spacing))
        return lie.correlate(f, KERNELS[kind], nodes, size=3, spacing=spacing)

    x = jnp.asarray(IMAGE)
    still, moved = network(x, elements, 1.0), network(x, 2 * elements, 2.0)
    np.testing.assert_allclose(moved, still, atol=1e-13 * jnp.abs(still).max())
    assert jnp.abs(network(x, 2 * elements, 1.0) - still).max() > 0.1  # the grid has to move as well


def test_trivial_group_is_a_convolution():
    x = jnp.asarray(RNG.normal(size=(2, 6, 7, 2)), jnp.float32)
    table = jnp.asarray(RNG.normal(size=(3, 3, 2, 4)), jnp.float32)
    nodes = (jnp.eye(2)[None], jnp.ones(1))
    found = lie.lift(x, looked_up(table), nodes, size=3)[:, 0]
    expected = jax.lax.conv_general_dilated(
        x, table, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision="highest"
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def looked_up(table):
    """The kernel whose value at a point is that of the nearest pixel of a table of 3 × 3 pixels."""

    def kernel(points):
        place = jnp.round(points).astype(int)
        return jnp.asarray(table)[1 - place[..., 1], 1 + place[..., 0]]

    return kernel


# Tier two: symmetric grids


@pytest.mark.gpu
def test_quarter_turns_equal_a_handwritten_convolution(x64):
    """Cohen and Welling 2016: lifting by turned filters, then filters turned and their group axis shifted."""
    group = groups.Cyclic(4)
    nodes = group.elements(), jnp.ones(4)
    first, second = RNG.normal(size=(3, 3, 2, 3)), RNG.normal(size=(4, 3, 3, 3, 4))
    x = RNG.normal(size=(1, 5, 5, 2))
    dims = ("NHWC", "HWIO", "NHWC")
    conv = functools.partial(
        jax.lax.conv_general_dilated, window_strides=(1, 1), padding="SAME", dimension_numbers=dims
    )
    lifted = np.stack([conv(x, np.rot90(first, i)) for i in range(4)], 1)
    expected = np.stack(
        [sum(conv(lifted[:, j], np.rot90(second[(j - i) % 4], i)) for j in range(4)) for i in range(4)], 1
    )

    def kernel(g):
        turn = jnp.round(jnp.arctan2(g.linear[..., 1, 0], g.linear[..., 0, 0]) / (np.pi / 2)).astype(int) % 4
        return jnp.select(
            [(turn == j)[..., None, None] for j in range(4)], [looked_up(t)(g.translation) for t in second]
        )

    found = jax.jit(lambda x: lie.lift(x, looked_up(first), nodes, size=3))(x)
    np.testing.assert_allclose(found, lifted, atol=1e-12)
    found = jax.jit(lambda f: lie.correlate(f, kernel, nodes, size=3))(found)
    np.testing.assert_allclose(found, expected, atol=1e-11)


@pytest.mark.parametrize(
    ("kind", "stride", "padding"), [("full", 1, "zero"), ("separable", 2, "zero"), ("channelwise", 1, "wrap")]
)
def test_quarter_turns_and_flips_are_exact(kind, stride, padding):
    group = groups.Dihedral(4)
    nodes = group.nodes()
    options = {"size": 4 if stride == 2 else 3, "stride": stride, "padding": padding}

    def network(x):
        f = jnp.tanh(lie.lift(x, on_space, nodes, size=3, padding=padding))
        return lie.correlate(f, KERNELS[kind], nodes, **options)

    lifted = reps.Joint(reps.Image(), reps.Regular(group, axis=-4))
    symmetry = ej.Symmetry(group, reps.Image(), lifted)
    ej.check(network, symmetry, (RNG.normal(size=(8, 8, 2)).astype(np.float32),)).assert_exact()


def test_circular_shifts_are_exact(x64):
    nodes = groups.GLPlus(2).nodes(2)
    x = jnp.asarray(RNG.normal(size=(6, 8, 2)))

    @jax.jit
    def network(x):
        f = lie.lift(x, on_space, nodes, size=3, padding="wrap")
        options = {"size": 4, "stride": 2, "padding": "wrap"}
        return [lie.correlate(f, kernel, nodes, **options) for kernel in (on_group, SEPARABLE)]

    pairs = zip(network(jnp.roll(x, (2, -4), (0, 1))), network(x), strict=True)
    for moved, still in pairs:
        np.testing.assert_allclose(moved, jnp.roll(still, (1, -2), (1, 2)), atol=1e-12)


@pytest.mark.parametrize(
    ("space", "size", "stride", "padding"),
    [
        ((9,), 3, 2, "zero"),
        ((8, 6), 4, 2, "wrap"),
        ((7, 60), 3, 1, "zero"),  # more than one block of results in a row, and a last one that is not full
        ((9, 11), 3, 1, "wrap"),  # two rows of results to a matrix, and a last one that is alone
        ((5, 57), 5, 2, "valid"),
        ((4, 5, 6), 3, 1, "zero"),
        ((6, 6, 4), 2, 2, "wrap"),
    ],
)
def test_channels_by_themselves_are_a_convolution_with_a_group_a_channel(x64, space, size, stride, padding):
    n = len(space)
    f, filters = jnp.asarray(RNG.normal(size=(3, 2, *space))), jnp.asarray(RNG.normal(size=(size**n, 3)))

    def all_at_once(f, k):
        return grid.convolve_channels(f, k, size, stride, padding)

    def one_by_one(f, k):
        alone = [grid.convolve(f[c, ..., None], k[:, c, None, None], size, stride, padding)[..., 0] for c in range(3)]
        return jnp.stack(alone)

    moved = jax.tree.map(lambda a: jnp.asarray(RNG.normal(size=a.shape)), (f, filters))
    turn = jnp.asarray(RNG.normal(size=jax.eval_shape(one_by_one, f, filters).shape))

    def derivatives(call):
        value, tangent = jax.jvp(call, (f, filters), moved)
        gradients = jax.grad(lambda f, k: jnp.sum(turn * call(f, k)), (0, 1))
        return value, tangent, gradients(f, filters), jax.jvp(gradients, (f, filters), moved)[1]

    found, expected = (jax.jit(functools.partial(derivatives, call))() for call in (all_at_once, one_by_one))
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-12), found, expected)


# Tier three: convergence

SL2 = groups.SL(2)


def chart(a):
    x = SL2.coords(a)  # orthonormal coordinates: X = [[p, q], [q, −p]] / √2
    return x[..., 0] / 2**0.5, x[..., 1] / 2**0.5, x[..., 2]


def feature(a):
    p, q, t = chart(a)
    return jnp.exp(-((p - 0.1) ** 2 + (q + 0.05) ** 2) / (2 * 0.3**2)) * jnp.exp(jnp.cos(t - 0.3) - 1)


def bell(g):
    p, q, t = chart(g.linear)
    k = (1 + p - 0.5 * q + 0.5 * jnp.sin(t)) * jnp.exp(-(p**2 + q**2) / (2 * 0.35**2)) * jnp.exp(jnp.cos(t) - 1)
    return k[..., None, None]


@jax.jit
def responses(h, elements, weights, outputs):
    """The correlation of the moved feature, at elements of the group alone: an image of one pixel."""
    f = feature(SL2.compose(SL2.inverse(h), elements))[:, None, None, None]
    return lie.correlate(f, bell, (elements, weights), outputs=outputs, size=1)[:, 0, 0, 0]


def test_error_falls_with_the_nodes_and_only_with_their_weights(x64):
    """The toy of SL(2): Kronecker nodes converge at the rate 1/N or so; without the Haar weights they do not at all."""
    h = SL2.from_coords(jnp.array([0.25 * 2**0.5, 0.15 * 2**0.5, 0.7]))
    a = np.concatenate([RNG.normal(size=(6, 2)) * 0.2 * 2**0.5, RNG.uniform(-3, 3, size=(6, 1))], -1)
    outputs = SL2.from_coords(jnp.asarray(a))
    window = groups.SL(2, window=0.45 * 2**0.5)
    dense = window.nodes(8000)
    reference = responses(SL2.identity(dtype=jnp.float64), *dense, SL2.compose(SL2.inverse(h), outputs))

    def error(count, weighted):
        found = []
        for seed in range(4):
            elements, weights = window.nodes(count, jax.random.key(seed))
            if not weighted:
                weights = jnp.full_like(weights, jnp.sum(dense[1]) / count)
            y = responses(h, elements, weights, outputs)
            found.append(jnp.linalg.norm(y - reference) / jnp.linalg.norm(reference))
        return np.mean(found)

    few, many = error(50, True), error(800, True)
    assert many < 0.02
    assert many < few / 6  # 16 times as many: at the rate N^−½ it would be 4 times less
    assert error(800, False) > 0.1


@pytest.fixture(scope="module")
def gaussians():
    """Invariants of a picture of three bells at given places, by lifting and correlation."""

    def render(places):
        rows, columns = np.indices((17, 17))
        pixels = np.stack([columns - 8.0, 8.0 - rows], -1).astype(places.dtype)
        squares = jnp.sum((pixels[:, :, None] - places) ** 2, -1)
        return jnp.sum(jnp.exp(-squares / 8) * np.array([1.0, -0.7, 0.4], places.dtype), -1)[..., None]

    def smooth(k):
        return lambda x: k(x / 3) * lie.gaussian(jnp.sum(x**2, -1), 1.2)[..., None]

    def network(places, nodes):
        lifting = smooth(lambda x: jnp.sin(x @ W1[:, :3].astype(x.dtype) + 0.3))
        f = jnp.tanh(lie.lift(render(places), lambda x: lifting(x)[..., None, :], nodes))
        turns = lambda a: jnp.sin(lie.coordinates(a) @ W2[:7].astype(a.dtype)).reshape(*a.shape[:-2], 3, 4)  # noqa: E731
        space = smooth(lambda x: jnp.cos(x @ W1[:, 2:].astype(x.dtype)))
        y = jnp.tanh(lie.correlate(f, lie.Separable(space, turns), nodes))
        return jnp.mean(lie.project(y, nodes), axis=(-3, -2))

    return network


def test_check_states_the_error_beside_the_number_of_nodes(gaussians):
    places = np.array([[1.5, 0.5], [-2.0, 1.0], [0.3, -2.2]], np.float32)
    symmetry = ej.Symmetry(groups.SO(2), (reps.Vector(), reps.Quadrature()), None)
    found = [ej.check(gaussians, symmetry, (places, groups.SO(2).nodes(n)), samples=4) for n in (3, 12)]
    assert [r.nodes for r in found] == [3, 12]
    assert found[1].verdict == "approximate", str(found[1])
    assert found[1].error < found[0].error / 10
    assert "nodes: 12" in str(found[1])


# Programs and bad input


def test_other_nodes_do_not_compile_again():
    chex.clear_trace_counter()
    group = groups.GLPlus(2)

    @jax.jit
    @chex.assert_max_traces(n=1)
    def network(x, nodes):
        return lie.project(lie.correlate(lie.lift(x, on_space, nodes, size=3), SEPARABLE, nodes, size=3), nodes)

    x = jnp.asarray(IMAGE, jnp.float32)
    y = [network(x, group.nodes(3, jax.random.key(seed))) for seed in range(2)]
    assert jnp.abs(y[0] - y[1]).max() > 1e-3
    assert network(x, group.nodes(3)).dtype == jnp.float32


def test_batches_derivatives_and_half_precision():
    nodes = groups.SO(2).nodes(3)
    x = jnp.asarray(RNG.normal(size=(2, 6, 7, 2)), jnp.float32)

    @jax.jit
    def network(x):
        return lie.correlate(lie.lift(x, on_space, nodes, size=3), SEPARABLE, nodes, size=3)

    y = network(x)
    np.testing.assert_allclose(jax.vmap(network)(x), y, atol=1e-5)
    tangent = jax.jvp(lambda x: jnp.sum(network(x)[0] ** 2), (x,), (x,))[1]
    np.testing.assert_allclose(tangent, jnp.vdot(jax.grad(lambda x: jnp.sum(network(x)[0] ** 2))(x), x), rtol=1e-4)
    half = network(x.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    assert jnp.abs(half - y).max() < 0.05 * jnp.abs(y).max()


def test_volumes_and_features_of_other_dimensions():
    nodes = groups.SO(3).nodes(4)
    kernel = lambda x: jnp.sin(x).sum(-1)[..., None, None] + 1  # noqa: E731
    shape = jax.eval_shape(lambda x: lie.lift(x, kernel, nodes, size=3), jnp.ones((5, 6, 7, 1))).shape
    assert shape == (4, 5, 6, 7, 1)


X, NODES = jnp.ones((6, 7, 2)), (jnp.eye(2)[None], jnp.ones(1))


@pytest.mark.parametrize("kind", KERNELS)
def test_no_images(kind):
    lifted = lie.lift(jnp.zeros((0, 6, 7, 2)), on_space, NODES, size=3)
    assert lifted.shape == (0, len(NODES[1]), 6, 7, 3)
    assert lie.correlate(lifted, KERNELS[kind], NODES, size=3).shape == (0, len(NODES[1]), 6, 7, 4)


def test_points_of_the_stencil_come_at_least_in_float32():
    elements = jnp.asarray([[[2, 0], [0, 1]]], jnp.bfloat16)
    for found in (lie.stencil_points(elements, 3), lie.relative(elements, elements)):
        assert found.dtype == jnp.float32
    np.testing.assert_array_equal(lie.stencil_points(elements, 3)[0, 0], [-0.5, 1])
    with pytest.raises(TypeError, match="elements: expected real floating-point numbers, got int"):
        inspect.unwrap(lie.stencil_points)(elements.astype(int), 3)  # without the shape checks of the tests


BAD = [
    (lambda: lie.lift(X, on_space, NODES, size=3, spacing=0.0), ValueError, "spacing: expected a positive number"),
    (lambda: lie.lift(X, on_space, (jnp.float32(1), NODES[1]), size=3), ValueError, "nodes: expected matrices"),
    (lambda: lie.lift(X, on_space, groups.SO(2).nodes(3)[0]), TypeError, "without the weights"),
    (lambda: lie.lift(X, on_space, (jnp.eye(2)[None], None)), TypeError, "weights are None"),
    (lambda: lie.lift(X, on_space, (jnp.eye(2)[None], jnp.ones(2))), ValueError, "expected 1 weights"),
    (lambda: lie.lift(X, on_space, groups.SE(2).nodes(3)), ValueError, "linear part"),
    (lambda: lie.lift(X, on_space, (jnp.zeros((1, 2, 2)), jnp.ones(1))), ValueError, "singular"),
    (lambda: lie.lift(X, on_space, (jnp.full((1, 2, 2), 0.1), jnp.ones(1))), ValueError, "nodes: a matrix is singular"),
    (lambda: lie.lift(X, on_space, (jnp.full((1, 2, 2), jnp.nan), jnp.ones(1))), ValueError, "nodes: expected finite"),
    (lambda: lie.lift(X, on_space, (jnp.eye(2)[None], jnp.full(1, jnp.nan))), ValueError, "expected finite weights"),
    (lambda: lie.lift(X, on_space, (jnp.ones((0, 2, 2)), jnp.ones(0))), ValueError, r"got \(0, 2, 2\)"),
    (lambda: lie.lift(X, on_space, NODES, size=3, stride=0), ValueError, "stride: expected an integer of at least 1"),
    (
        lambda: lie.lift(X, lambda x: jnp.ones((2, 3)), NODES, size=3),
        ValueError,
        r"\(1, 9, 2, features\) .* \(1, 1, 2, 3\)",
    ),
    (lambda: lie.lift(X, on_space, NODES, size=7), ValueError, "larger than the image"),
    (lambda: lie.lift(X, on_space, NODES, size=4), ValueError, "cannot be centered"),
    (lambda: lie.lift(X, on_space, NODES, size=3, padding="same"), ValueError, "padding: expected one of"),
    (lambda: lie.lift(X[0], on_space, NODES, size=3), ValueError, "2 axes of space"),
    (lambda: lie.lift(X, on_space, groups.SO(3).nodes(4), size=3), ValueError, "3 axes of space"),
    (lambda: lie.lift(X[..., :1], on_space, NODES, size=3), ValueError, "kernel: expected matrices"),
    (lambda: lie.correlate(jnp.ones((2, 6, 7, 3)), on_group, NODES, size=3), ValueError, "expected 1 nodes along axis"),
    (lambda: lie.correlate(jnp.ones((1, 6, 7, 2)), SEPARABLE, NODES, size=3), ValueError, "kernel.group: expected"),
    (
        lambda: lie.correlate(jnp.ones((1, 6, 7, 3)), CHANNELWISE._replace(channels=jnp.eye(2)), NODES, size=3),
        ValueError,
        r"kernel.channels: expected \(3, features\)",
    ),
    (
        lambda: lie.correlate(jnp.ones((1, 6, 7, 3)), on_group, NODES, outputs=NODES, size=3),
        TypeError,
        "outputs: expected matrices alone",
    ),
    (
        lambda: lie.correlate(jnp.ones((1, 6, 7, 3)), on_group, NODES, outputs=jnp.eye(3)[None], size=3),
        ValueError,
        r"outputs: expected matrices of shape \(nodes, 2, 2\)",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()

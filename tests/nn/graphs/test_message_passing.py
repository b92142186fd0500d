"""Messages on graphs: symmetry, padding, the cut-off, variance."""

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import graphs, groups, nn, reps, spherical

CUTOFF, NODES = 2.5, 5
RNG = np.random.default_rng(0)
POSITIONS = RNG.uniform(-1.5, 1.5, (NODES, 3)) + 0.4 * np.arange(NODES)[:, None]
STRUCTURE = graphs.Structure(np.array([1, 6, 8, 1, 6]), POSITIONS)
SINGLE = graphs.from_structure(STRUCTURE, CUTOFF)
FEATURES = RNG.normal(size=(2, NODES, 4, 3)).astype(np.float32)
LAYER = nn.ZonalConvolution(CUTOFF, lmax=2, filter_lmax=2, bracket=True, mean_neighbors=3.0, hidden=(6,), functions=4)


def parameters(layer, x, graph=SINGLE):
    vectors = np.ones((len(graph.senders), 3), np.float32)
    shapes, rng = jax.eval_shape(layer.init, jax.random.key(0), x, vectors, graph), np.random.default_rng(3)
    return jax.tree.map(lambda p: rng.normal(size=p.shape).astype(np.float32), shapes)


def convolve(layer, params, x, positions, graph):
    return layer.apply(params, x, graphs.edge_vectors(positions, graph), graph)


@pytest.mark.core
def test_zonal_convolution_is_exact_for_e3_and_permutations():
    x = tuple(FEATURES)
    group = groups.Product(groups.E(3), groups.Permutation(NODES))

    def both(k, lmax):
        return reps.Product(reps.Spherical(lmax, pseudo=bool(k)), reps.Permutation(-3))

    index = reps.Product(None, reps.Index())
    position = reps.Product(reps.Position(), reps.Permutation(-2))
    symmetry = ej.Symmetry(group, (None, (both(0, 1), both(1, 1)), position, index, index), (both(0, 2), both(1, 2)))

    def f(params, x, positions, senders, receivers):
        return convolve(LAYER, params, x, positions, SINGLE._replace(senders=senders, receivers=receivers))

    args = (parameters(LAYER, x), x, POSITIONS.astype(np.float32), SINGLE.senders, SINGLE.receivers)
    ej.check(f, symmetry, args, samples=3).assert_exact()


def test_a_message_that_is_not_equivariant_is_seen():
    layer = nn.MessagePassing(lambda sent, received, r: sent * r[:, :1, None])
    rep = reps.Spherical(1)
    f = lambda x, p: layer.apply({}, x, graphs.edge_vectors(p, SINGLE), SINGLE)  # noqa: E731
    symmetry = ej.Symmetry(groups.O(3), (rep, reps.Position()), rep)
    args = (FEATURES[0], POSITIONS.astype(np.float32))
    assert jax.jit(lambda *a: ej.equivariance_error(f, symmetry, a, key=jax.random.key(0)))(*args) > 1e-2


def test_padding_and_batching_change_nothing():
    """Two copies in one padded graph, with NaN in the padding of the features: values and gradients."""
    layer = nn.ZonalConvolution(CUTOFF, hidden=(6,))
    params = parameters(layer, FEATURES[0])

    def loss(x, positions, graph):
        z = convolve(layer, params, x, positions, graph)
        return jnp.sum(jnp.sin(z) ** 2), z  # no terms that cancel: a relative error is one of rounding

    gradient = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
    (one, z), slopes = gradient(FEATURES[0], POSITIONS.astype(np.float32), SINGLE)
    graph = graphs.batch([STRUCTURE, STRUCTURE], CUTOFF, nodes=17, edges=90, graphs=4)
    rest = len(graph.species) - 2 * NODES
    x = np.concatenate([FEATURES[0], FEATURES[0], np.full((rest, 4, 3), np.nan, np.float32)])
    positions = np.concatenate([POSITIONS, POSITIONS, np.zeros((rest, 3))]).astype(np.float32)
    (two, both), both_slopes = gradient(x, positions, graph)
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)
    np.testing.assert_allclose(both[:NODES], z, atol=1e-5)
    np.testing.assert_array_equal(both[2 * NODES :], 0)
    for slope, double in zip(slopes, both_slopes, strict=True):
        np.testing.assert_allclose(double[NODES : 2 * NODES], slope, atol=2e-5)
    assert np.isfinite(both_slopes[1]).all()


def test_messages_are_added_up_at_their_receivers():
    graph = graphs.batch([STRUCTURE], CUTOFF)
    x = np.asarray(RNG.normal(size=len(graph.species)), np.float32)
    a = np.asarray(RNG.normal(size=len(graph.senders)), np.float32)
    module = nn.MessagePassing(lambda sent, received, a: {"m": a * sent["x"] - received["x"], "none": None}, 4.0)
    found = module.apply({}, {"x": x}, a, graph)
    expected = np.zeros(len(x))
    for e in np.flatnonzero(graph.edge_mask):
        j, i = graph.senders[e], graph.receivers[e]
        expected[i] += (a[e] * x[j] - x[i]) / 2
    np.testing.assert_allclose(found["m"], expected, atol=1e-6)
    assert found["none"] is None


def test_a_module_as_message_has_its_parameters_inside():
    class Message(flax.linen.Module):
        @flax.linen.compact
        def __call__(self, sent, received, edges):
            return nn.Linear(2)(sent)

    y, variables = nn.MessagePassing(Message()).init_with_output(jax.random.key(0), FEATURES[0], None, SINGLE)
    assert y.shape == (NODES, 4, 2)
    assert variables["params"]["message"]["Linear_0"]["kernel"].shape == (2, 3, 2)


def test_a_message_is_the_product_with_the_harmonics_of_the_edge(x64):
    """Two nodes, one edge each way, natural and odd part."""
    pair = graphs.from_structure(graphs.Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0.3, 1.1, -0.5]])), CUTOFF)
    x = jnp.asarray(FEATURES[0][:2], jnp.float64)
    layer = nn.ZonalConvolution(CUTOFF, lmax=2, filter_lmax=1, bracket=True, hidden=(), mean_neighbors=2.0)
    params = parameters(layer, x, pair)
    r = jnp.asarray(pair.vectors)
    found = jax.jit(layer.apply)(params, x, r, pair)
    radial = nn.RadialBasis(CUTOFF, (12,)).apply({"params": params["params"]["radial"]}, jnp.linalg.norm(r, axis=-1))
    w = radial.reshape(2, 2, 2, 3)  # edge, even or odd, degree, channel
    Y = (4 * np.pi) ** 0.5 * spherical.harmonics(r, 1)[..., None]
    module = nn.GauntProduct(lmax=2, bracket=True, method="grid")
    ones = jax.tree.map(lambda p: np.ones(p.shape), jax.eval_shape(module.init, jax.random.key(0), x, Y))
    apply = jax.jit(module.apply)
    for k, z in enumerate(found):
        expected = apply(ones, x[pair.senders], Y * w[:, k][:, [0, 1, 1, 1]])[k]
        expected = nn.aggregate(expected, pair, 2.0)
        np.testing.assert_allclose(z, expected, atol=1e-12)


def test_smooth_through_the_cutoff_and_finite_without_a_length(x64):
    layer, x = nn.ZonalConvolution(CUTOFF, hidden=(6,)), FEATURES[0].astype(np.float64)
    params = parameters(layer, x)
    stretched = np.zeros((len(SINGLE.senders), 3))

    @jax.jit
    def f(s):
        apply = lambda s: layer.apply(params, x, stretched + s * np.array([0.6, 0, 0.8]), SINGLE)  # noqa: E731
        first = jax.jacfwd(apply)
        return jnp.stack([apply(s), first(s), jax.jacfwd(first)(s)])

    assert np.abs(f(0.5 * CUTOFF)).max((1, 2, 3)).min() > 1e-3
    np.testing.assert_allclose(f(CUTOFF - 1e-7)[:2], 0, atol=1e-6)
    np.testing.assert_array_equal(f(CUTOFF + 1e-7), 0)
    assert np.isfinite(f(0.0)).all()


def test_variance_is_that_of_the_features_times_that_of_the_weights():
    """Many nodes on a ring of random edges of one length; every degree of the result alike."""
    n, channels = 3000, 8
    v = RNG.normal(size=(n, 3))
    vectors = (1.2 * v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32)
    ring = np.arange(n)
    graph = SINGLE._replace(
        species=np.ones(n, np.int32), senders=ring, receivers=(ring + 1) % n, edge_mask=np.ones(n, bool)
    )
    x = RNG.normal(size=(2, n, 9, channels)).astype(np.float32)
    layer = nn.ZonalConvolution(CUTOFF, bracket=True, hidden=())
    params = parameters(layer, tuple(x), graph)
    kernel = params["params"]["radial"]["MLP_0"]["layer_0"]["kernel"]
    kernel[...] = RNG.normal(size=(8, 1))  # the same radial function everywhere
    w = nn.RadialBasis(CUTOFF, (1,)).apply(
        {"params": {"MLP_0": {"layer_0": {"kernel": kernel[:, :1]}}}}, np.float32(1.2)
    )
    for z in jax.jit(layer.apply)(params, tuple(x), vectors, graph):
        np.testing.assert_allclose(jnp.mean(z**2, (0, 2)) / w[0] ** 2, 1, atol=0.07)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_dtype_is_that_of_the_features(x64, dtype):
    x = jnp.asarray(FEATURES[0], dtype)
    for vectors in (np.float32, dtype):
        vectors = jnp.ones((len(SINGLE.senders), 3), vectors)
        for module in (LAYER, nn.MessagePassing(lambda sent, received, r: sent)):
            out = jax.eval_shape(module.init_with_output, jax.random.key(0), x, vectors, SINGLE)[0]
            assert {a.dtype for a in jax.tree.leaves(out)} == {jnp.dtype(dtype)}


def test_half_precision_is_added_up_in_float32():
    n = 1000
    graph = SINGLE._replace(senders=np.zeros(n, int), receivers=np.zeros(n, int), edge_mask=np.ones(n, bool))
    assert nn.aggregate(jnp.ones((n, 1), jnp.bfloat16), graph)[0] == jnp.bfloat16(1000)


def test_integers_are_no_messages():
    with pytest.raises(TypeError, match="messages: expected real floating-point numbers, got int32"):
        nn.aggregate(jnp.ones(len(SINGLE.senders), jnp.int32), SINGLE)


@pytest.mark.parametrize(
    ("layer", "x", "rows", "match"),
    [
        (LAYER, FEATURES[0][:4], 0, r"x: expected 5 rows, one for each node of the graph, got \(4, 4, 3\)"),
        (LAYER, FEATURES[0], 1, r"vectors: expected \d+ rows, one for each edge of the graph"),
        (LAYER, FEATURES[0][:, :3], 0, r"x: expected a square number of coefficients"),
        (nn.ZonalConvolution(0.0), FEATURES[0], 0, r"cutoff: expected a positive length, got 0"),
        (nn.ZonalConvolution(1.0, lmax=3), FEATURES[0], 0, r"lmax: expected at most 2"),
        (nn.ZonalConvolution(1.0, mean_neighbors=0.0), FEATURES[0], 0, r"mean_neighbors: expected a positive number"),
        (nn.MessagePassing(lambda a, b, r: a[:2]), FEATURES[0], 0, r"messages: expected \d+ rows, one for each edge"),
        (nn.MessagePassing(lambda a, b, r: a), FEATURES[0][:2], 0, r"x: expected 5 rows, one for each node"),
    ],
)
def test_errors_name_the_argument(layer, x, rows, match):
    vectors = jnp.ones((len(SINGLE.senders) + rows, 3))
    with pytest.raises(ValueError, match=match):
        jax.eval_shape(layer.init, jax.random.key(0), x, vectors, SINGLE)

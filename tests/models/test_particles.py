"""Networks for particles that move: which symmetries they have by themselves, and which from frames."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import frames, groups, reps
from equijax.models import EGNN, GauntNetwork, GraphNetwork, LocalFrameNetwork, SetNetwork
from equijax.nn import AllPairs, EdgeDense, differences, off_diagonal

N = 4
RNG = np.random.default_rng(0)
X, V = (jnp.asarray(RNG.normal(size=(N, 3)) * [1, 2, 3], jnp.float32) for _ in range(2))
Q = jnp.asarray([1.0, -1.0, -1.0, 1.0])
E3 = ej.Symmetry(groups.E(3), inputs=(None, reps.Position(), reps.Vector(), None), outputs=reps.Position())
PERMUTED = ej.Symmetry(
    groups.Permutation(N),
    inputs=(None, reps.Permutation(-2), reps.Permutation(-2), reps.Permutation(-1)),
    outputs=reps.Permutation(-2),
)
BOTH = ej.Symmetry(
    groups.Product(groups.E(3), groups.Permutation(N)),
    inputs=(
        None,
        reps.Product(reps.Position(), reps.Permutation(-2)),
        reps.Product(reps.Vector(), reps.Permutation(-2)),
        reps.Product(None, reps.Permutation(-1)),
    ),
    outputs=reps.Product(reps.Position(), reps.Permutation(-2)),
)


class Sets(nn.Module):
    """A set network that moves particles."""

    @nn.compact
    def __call__(self, x, v, q):
        return x + SetNetwork(8, layers=1)(x, v, q[:, None])


def parameters(module, seed=0):
    """Normal numbers in the shapes of the parameters, so that no small one at the start hides an error."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), X, V, Q)
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape) * 0.3, a.dtype), shapes)


@pytest.mark.parametrize(
    "module",
    [
        EGNN(8, layers=2),
        EGNN(8, layers=2, normalize=False),
        GauntNetwork(8, channels=4, layers=2, probes=2),
        LocalFrameNetwork(16, layers=2, tensors=(2, 1)),
    ],
    ids=["EGNN", "published EGNN", "GauntNetwork", "LocalFrameNetwork"],
)
def test_equivariant_by_their_layers(module):
    ej.check(jax.jit(module.apply), BOTH, (parameters(module), X, V, Q), samples=2).assert_exact()


def test_functions_of_degree_two_with_brackets_are_equivariant():
    module = GauntNetwork(4, channels=2, lmax=2, layers=1, bracket=True, probes=1)
    ej.check(jax.jit(module.apply), BOTH, (parameters(module), X, V, Q), samples=2).assert_exact()


def test_local_frames_without_reflections_are_of_rotations_only():
    module = LocalFrameNetwork(12, layers=1, reflections=False)
    report = ej.check(jax.jit(module.apply), BOTH, (parameters(module), X, V, Q), samples=2)
    assert report.verdict == "broken"
    assert report.by_part["reflection"] > 0.01
    assert max(e for part, e in report.by_part.items() if part != "reflection") < 1e-12


@pytest.mark.parametrize("shape", ["one", "a pair", "a line at rest", "a plane"])
def test_local_frames_are_exact_where_neighbors_span_little(shape, x64):
    """Axes that nothing defines are zero: what moves stays in the span of what there is."""
    x, v = (np.asarray(a, np.float64) for a in (X, V))
    x, v = {
        "one": (x[:1], v[:1]),
        "a pair": (x[:2], v[:2]),
        "a line at rest": (x[:, :1] * np.array([1.0, 2.0, -1.0]), 0 * v),
        "a plane": (x * [1, 1, 0], v * [1, 1, 0]),
    }[shape]
    module, q = LocalFrameNetwork(16, layers=2, tensors=(2, 1)), np.asarray(Q[: len(x)], np.float64)
    params = jax.tree.map(lambda a: a.astype(np.float64), parameters(module))
    move = jax.jit(lambda x, v: module.apply(params, x, v, q))
    g = groups.O(3).sample(jax.random.key(1), dtype=np.float64)
    moved, found = move(x @ g.T + 1.0, v @ g.T), move(x, v)
    np.testing.assert_allclose(moved, found @ g.T + 1.0, atol=1e-8 * np.abs(found).max())
    span = np.linalg.svd(np.concatenate([x - x[0], v]))[2][: {"one": 1, "a pair": 3, "a line at rest": 1}.get(shape, 2)]
    rest = (found - x) - (found - x) @ span.T @ span
    assert np.abs(rest).max() < 1e-8 * np.abs(found).max()
    assert np.abs(found - x - v).max() > 0.1


@pytest.mark.parametrize("frame", [frames.pca, frames.weighted_pairs])
@pytest.mark.parametrize("module", [GraphNetwork(8, layers=1), Sets()], ids=["GraphNetwork", "SetNetwork"])
def test_equivariant_by_their_frames_only(module, frame):
    averaged = jax.jit(ej.frame_average(module.apply, E3, frame, frame_input=1))
    args = (parameters(module), X, V, Q)
    ej.check(averaged, BOTH, args, samples=2).assert_exact()
    plain = jax.jit(module.apply)
    assert ej.check(plain, PERMUTED, args, samples=2).verdict == "exact"
    assert ej.check(plain, E3, args, samples=2).verdict == "broken"


@pytest.mark.core
def test_egnn_has_the_parameters_of_the_paper():
    module = EGNN()
    shapes = jax.eval_shape(module.init, jax.random.key(0), X, V, Q)
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == 134_020


@pytest.mark.core
def test_egnn_without_its_last_weights_leaves_particles_where_they_are():
    params = parameters(module := EGNN(8, layers=2))
    still = jax.tree_util.tree_map_with_path(lambda path, a: jnp.zeros_like(a) if _moves(path[1].key) else a, params)
    np.testing.assert_array_equal(module.apply(still, X, V, Q), X)
    assert np.abs(module.apply(params, X, V, Q) - X).max() > 0.1
    params = parameters(module := GraphNetwork(8, layers=1))  # which moves them on as they fly
    params["params"]["readout_out"] = jax.tree.map(jnp.zeros_like, params["params"]["readout_out"])
    np.testing.assert_allclose(module.apply(params, X, V, Q), X + V, rtol=1e-6)


def test_a_normalized_egnn_divides_moves_by_the_length_and_one():
    """Of two particles at rest whose messages do not see the distance, which the two forms tell differently."""
    params = parameters(EGNN(4, layers=1))
    params["params"]["message_0"]["edge_0"]["kernel"] *= 0
    x, v = jnp.array([[0.0, 0, 0], [0, 3, 0]]), jnp.zeros((2, 3))
    normal, published = (EGNN(4, 1, normalize=n).apply(params, x, v, jnp.ones(2)) - x for n in (True, False))
    np.testing.assert_allclose(normal, published / 4, rtol=1e-4)
    assert np.abs(published).max() > 0.01


def test_messages_of_a_gaunt_network_do_not_see_the_size_of_features():
    """h is normalized before it is used: moves are W (k h + update), an update that the size k of h does not change."""
    module = GauntNetwork(8, channels=3, layers=1, probes=2)
    params = parameters(module)

    def at(k):
        start = jax.tree.map(lambda a: k * a, {name: params["params"][name] for name in ("speed", "velocity")})
        return module.apply({"params": params["params"] | start}, X, V, Q)

    np.testing.assert_allclose(at(3.0) - at(2.0), at(2.0) - at(1.0), atol=1e-4)
    assert np.abs(at(2.0) - at(1.0)).max() > 0.01


def _moves(name):
    return name.endswith("_out") and not name.startswith("update")


@pytest.mark.parametrize(
    "module", [EGNN(4, layers=1), GauntNetwork(4, channels=2, layers=1, probes=1), LocalFrameNetwork(12, layers=1)]
)
def test_coincident_particles_at_rest_have_finite_gradients(module):
    x = jnp.zeros_like(X).at[0].set(1.0)
    params = parameters(module)
    gradient = jax.jit(jax.grad(lambda x, v: jnp.sum(module.apply(params, x, v, Q) ** 2), (0, 1)))(x, 0 * V)
    assert all(np.isfinite(g).all() for g in gradient)


def test_egnn_is_finite_at_any_scale_and_overflows_as_published():
    """At positions of 100 and of 1e8, with the gradient of its parameters; the published form at 100 is not."""

    def finite(module, scale):
        loss = lambda params: jnp.mean(module.apply(params, scale * X, V, Q) / scale)  # noqa: E731
        found = jax.jit(jax.value_and_grad(loss))(parameters(module))
        return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))

    assert finite(EGNN(8), 100)
    assert finite(EGNN(8), 1e8)
    assert not finite(EGNN(8, normalize=False), 100)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
def test_dtype_is_that_of_the_positions(dtype, x64):
    modules = EGNN(4, layers=1), GauntNetwork(4, channels=2, layers=1, probes=1), GraphNetwork(4, 1), Sets()
    for module in (*modules, LocalFrameNetwork(12, 1)):
        args = [a.astype(dtype) for a in (X, V, Q)]
        assert jax.eval_shape(module.apply, parameters(module), *args).dtype == dtype


@pytest.mark.parametrize("module", [EGNN(4, layers=1), GauntNetwork(4, channels=2, layers=1), GraphNetwork(4, 1)])
def test_particles_that_do_not_fit_are_named(module):
    cases = {
        "positions: .* one at least": (X[:0], V[:0], Q[:0]),
        r"velocities: expected shape \(4, 3\)": (X, V[:, :1], Q),
        r"charges: expected shape \(4,\) .* got \(4, 1\)": (X, V, Q[:, None]),
    }
    for message, args in cases.items():
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(module.init, jax.random.key(0), *args)
    with pytest.raises(TypeError, match="velocities: expected real floating-point"):
        jax.eval_shape(module.init, jax.random.key(0), X, V.astype(int), Q)


def test_sets_do_not_see_padding():
    module = SetNetwork(8)
    params = jax.jit(module.init)(jax.random.key(0), X)
    padded = jnp.concatenate([X, jnp.full((2, 3), jnp.nan)])
    found = module.apply(params, padded, mask=np.arange(N + 2) < N)
    np.testing.assert_allclose(found[:N], module.apply(params, X), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found[N:], 0)
    with pytest.raises(ValueError, match=r"mask: expected shape \(4,\), one entry a point, got \(4, 1\)"):
        module.apply(params, X, mask=np.ones((N, 1), bool))


@pytest.mark.core
def test_pairs_leave_out_the_diagonal():
    a = jnp.arange(N * N).reshape(N, N)
    np.testing.assert_array_equal(off_diagonal(a), [[a[i, j] for j in range(N) if j != i] for i in range(N)])
    np.testing.assert_array_equal(differences(X)[2], [X[2] - X[j] for j in (0, 1, 3)])
    with pytest.raises(ValueError, match=r"a: expected shape \(n, n, \.\.\.\), got \(4, 3\)"):
        off_diagonal(X)


def test_a_dense_layer_of_pairs_is_one_product_with_both_ends_and_the_edge():
    module, e = EdgeDense(5), jnp.asarray(RNG.normal(size=(N, N - 1, 2)), jnp.float32)
    params = module.init(jax.random.key(0), X, AllPairs(N), e)
    p = params["params"]
    w = jnp.concatenate([p[name]["kernel"] for name in ("receiver", "sender", "edge_0")])
    assert jnp.abs(w).max() <= 8**-0.5
    row = jnp.concatenate([X[1], X[3], e[1, 2]])  # j = 3 is the third of those that are not 1
    found = module.apply(params, X, AllPairs(N), e)
    np.testing.assert_allclose(found[1, 2], row @ w + p["bias"], rtol=1e-5, atol=1e-6)


def test_networks_name_a_degree_that_is_too_low():
    with pytest.raises(ValueError, match=r"tensors: \(4, 1\) are 21 numbers in 3 dimensions, features: 16"):
        LocalFrameNetwork(16, tensors=(4, 1)).init(jax.random.key(0), X, V, Q)
    with pytest.raises(ValueError, match="lmax: expected at least 1"):
        GauntNetwork(lmax=0).init(jax.random.key(0), X, V, Q)

"""Nested heads against the products they stand for, cuts of features that turn, and the corners of a simplex."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from equijax import nn, reps

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
IRREPS = "4x0e+2x0o+3x1o+2x2e"
TURN = Rotation.from_rotvec([0.3, -0.8, 0.5]).as_matrix() * -1  # a rotation and the inversion
TURNING = ((2, 0, 1, 0), (2, 1, 2, 1), (4, 2, 3, 2))


def test_tied_levels_are_partial_sums_and_others_have_weights_of_their_own(x64):
    z = RNG.normal(size=(5, 16))
    tied = nn.MatryoshkaHead(3, (2, 8, 16))
    y, variables = jax.jit(tied.init_with_output)(KEY, z)
    params = variables["params"]
    assert 0.8 < 4 * np.abs(params["kernel"]).max() <= 1  # drawn up to 1/√inputs, as those of a dense layer
    for level, size in zip(y, (2, 8, 16), strict=True):
        np.testing.assert_allclose(level, z[:, :size] @ params["kernel"][:size] + params["bias"], atol=1e-12)
    free, variables = jax.jit(nn.MatryoshkaHead(3, (2, 8, 16), tied=False).init_with_output)(KEY, z)
    own = variables["params"]
    assert [own[f"kernel_{k}"].shape for k in range(3)] == [(2, 3), (8, 3), (16, 3)]
    for k, size in enumerate((2, 8, 16)):
        np.testing.assert_allclose(free[k], z[:, :size] @ own[f"kernel_{k}"] + own[f"bias_{k}"], atol=1e-12)
    moved = jax.jit(tied.apply)({"params": params}, z + np.eye(16)[9])
    np.testing.assert_allclose(moved[:2], y[:2], rtol=1e-12)  # what is outside of a level does not matter to it
    assert np.abs(moved[2] - y[2]).max() > 1e-3


def move_of(rep):
    """The matrix of the turn and the inversion on features."""
    return np.asarray(rep.matrix(jnp.asarray(TURN)))


@pytest.mark.parametrize("tied", [True, False])
def test_levels_of_whole_irreps_are_invariant(tied, x64):
    head, rep = nn.MatryoshkaHead(3, TURNING, irreps=IRREPS, tied=tied), reps.Irreps(IRREPS)
    z = RNG.normal(size=rep.dim)
    y, params = jax.jit(head.init_with_output)(KEY, z)
    assert y.shape == (3, 3)
    apply = jax.jit(lambda z: head.apply(params, z))
    np.testing.assert_allclose(apply(move_of(rep) @ z), y, atol=1e-12)
    assert np.abs(apply(z[::-1]) - y).max() > 1e-2
    # the first level has two scalars and one vector
    slope = np.abs(jax.jit(jax.jacobian(lambda z: head.apply(params, z)[0]))(z)).max(0)
    np.testing.assert_array_equal(np.flatnonzero(slope > 1e-6), nn.nest(IRREPS, TURNING[0]))


def test_what_is_left_turns_unless_an_irrep_is_cut(x64):
    move = move_of(reps.Irreps("8x0e+4x1o"))
    for kept, left in (((3, 2), "3x0e+2x1o"), (14, "8x0e+2x1o"), ((8, 0), "8x0e")):
        places = nn.nest("8x0e+4x1o", kept)
        others = np.setdiff1d(np.arange(20), places)
        assert np.abs(move[np.ix_(places, others)]).max() < 1e-12  # nothing comes from what is left out
        np.testing.assert_allclose(move[np.ix_(places, places)], move_of(reps.Irreps(left)), atol=1e-12)
    assert np.abs(move[:9, 9:]).max() > 0.1  # one number of a vector turns with the other two
    for cut, near in ((9, "8 or 11"), (19, "17 or 20")):
        with pytest.raises(ValueError, match=rf"keep: the first {cut} numbers of .* cut an irrep; keep {near}"):
            nn.nest("8x0e+4x1o", cut)


@pytest.mark.parametrize("k", [2, 5, 8])
def test_the_simplex_and_its_symmetry(k, x64):
    w = np.asarray(nn.d_simplex(k))
    assert w.shape == (k, k - 1)
    np.testing.assert_allclose(w @ w.T, k / (k - 1) * np.eye(k) - 1 / (k - 1), atol=1e-12)
    np.testing.assert_allclose(w.sum(0), 0, atol=1e-12)
    np.testing.assert_allclose(w.T @ w, k / (k - 1) * np.eye(k - 1), atol=1e-12)
    p, q = (np.eye(k)[RNG.permutation(k)] for _ in range(2))
    of = lambda p: (k - 1) / k * w.T @ p @ w  # noqa: E731
    np.testing.assert_allclose(p @ w, w @ of(p), atol=1e-12)
    np.testing.assert_allclose(of(p) @ of(p).T, np.eye(k - 1), atol=1e-12)
    np.testing.assert_allclose(of(p @ q), of(p) @ of(q), atol=1e-12)
    s = 3.0  # cross-entropy of an aligned feature of this norm
    loss = -jax.nn.log_softmax(w @ (s * w[0]))[0]
    np.testing.assert_allclose(loss, np.log(1 + (k - 1) * np.exp(-s * k / (k - 1))), rtol=1e-12)
    fewer = w[: k - 1] @ w[: k - 1].T  # no simplex of its own: −1/(k − 1), and not −1/(k − 2)
    assert k == 2 or fewer[0, 1] == pytest.approx(-1 / (k - 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.MatryoshkaHead(2, (4, 2)), r"levels: expected parts of Irreps\('4x0e'\) that grow"),
        (lambda: nn.MatryoshkaHead(2, ()), "levels: expected parts of"),
        (lambda: nn.MatryoshkaHead(2, (2, 5)), "keep: the first 5 numbers of .* cut an irrep; keep 4"),
        (lambda: nn.MatryoshkaHead(2, ((1,), (2,)), irreps="2x1o"), r"z: expected shape \(\.\.\., 6\), got \(3, 4\)"),
        (lambda: nn.MatryoshkaHead(2, ((1, 1),)), r"keep: expected at most \(4,\) copies of 4x0e, got \(1, 1\)"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make().init(KEY, jnp.ones((3, 4)))


def test_a_simplex_has_two_corners_at_least():
    with pytest.raises(ValueError, match="classes: expected an integer of at least 2, got 1"):
        nn.d_simplex(1)

"""Polar decompositions and logarithms of matrices: values, and derivatives of two orders, at every hard point."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from equijax import groups
from equijax.groups.decompositions import log_polar, matrix_log, orthogonal_factor, polar
from equijax.numerics import exp_and_phi

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}  # compiling is the cost
RANDOM = np.random.default_rng(0).normal(size=(2, 3, 3))
HARD = {
    "identity": np.eye(3),
    "twice the identity": 2 * np.eye(3),
    "a turn by pi": np.diag([-1.0, -1.0, 1.0]),
    "two equal singular values": np.diag([2.0, 2.0, 0.5]),
    "a reflection": np.diag([-0.5, 1.0, 1.0]),
    "negative": -np.diag([1.0, 2.0, 2.0]),
    "ill-conditioned": RANDOM[0] @ np.diag([1e3, 1.0, 1e-3]) @ RANDOM[1],
    "generic": RANDOM[0],
}
STACK = np.stack(list(HARD.values()))


@functools.partial(jax.jit, compiler_options=QUICK)
@jax.vmap
def curves(a, e):
    """e^X R = A, X = Xᵀ and Rᵀ R = 1 along A + t E: values, first and second derivatives."""

    def defects(t):
        x, r = log_polar(a + t * e)
        p, q = polar(a + t * e)
        special = orthogonal_factor(a + t * e, True)
        stretch = special.T @ (a + t * e)
        return {
            "product": exp_and_phi(x)[0] @ r - (a + t * e),
            "polar": p @ q - (a + t * e),
            "symmetric": jnp.stack([x - x.T, p - p.T, stretch - stretch.T]),
            "orthogonal": jnp.stack([r.T @ r, q.T @ q, special.T @ special]) - jnp.eye(3),
            "determinant": jnp.linalg.det(special) - 1,
        }

    first = jax.jacfwd(defects)
    return defects(0.0), first(0.0), jax.jacfwd(first)(0.0)


@pytest.mark.core
def test_polar_decompositions_and_two_derivatives_at_every_hard_point(x64):
    e = np.random.default_rng(1).normal(size=STACK.shape)
    for order, found in enumerate(curves(STACK, e)):
        for name, defect in found.items():
            defect = np.abs(np.asarray(defect)).reshape(len(HARD), -1).max(1)
            usual = np.arange(len(HARD)) != list(HARD).index("ill-conditioned")
            assert defect[usual].max() < 3e-14 * 100**order, (order, name, defect)
            assert defect[~usual].max() < 1e-11 * 1e6**order, (order, name, defect)


def test_reverse_mode_agrees_with_forward_mode(x64):
    def f(a):
        x, r = log_polar(a)
        return jnp.sum(jnp.sin(x) * RANDOM[1]) + jnp.sum(r * RANDOM[1])

    forward, reverse = (jax.jit(jax.vmap(jax.jacfwd(j(f)))) for j in (jax.jacfwd, jax.jacrev))
    points = STACK[[0, 2, 3, 7]]
    np.testing.assert_allclose(forward(points), reverse(points), atol=1e-11)


@functools.partial(jax.jit, compiler_options=QUICK)
@jax.vmap
def logarithms(k, e):
    """e^L = R along R exp(t E), with L skew."""
    a = exp_and_phi(k)[0]

    def defects(t):
        r = a @ exp_and_phi(t * e)[0]
        log = matrix_log(r, True)
        return exp_and_phi(log)[0] - r, log + log.T

    return matrix_log(a, True), defects(0.0), jax.jacfwd(defects)(0.0), jax.jacfwd(jax.jacfwd(defects))(0.0)


def test_logarithms_of_rotations_of_four_space(x64):
    planes = np.array(
        [[0, 0], [1e-9, 0], [1, 1], [2, -2], [3, 0.1], [np.pi - 1e-7, 1], [np.pi, 0], [np.pi, -2], [3, 3]]
    )
    blocks = np.zeros((len(planes), 4, 4))
    for i, j, angle in ((0, 1, planes[:, 0]), (2, 3, planes[:, 1])):
        blocks[:, j, i], blocks[:, i, j] = angle, -angle
    q = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    k = q @ blocks @ q.T
    e = np.random.default_rng(1).normal(size=k.shape)
    log, value, first, second = logarithms(k, e - e.swapaxes(1, 2))
    below = np.abs(planes).max(1) < np.pi - 1e-8
    np.testing.assert_allclose(np.asarray(log)[below], k[below], atol=1e-8)
    np.testing.assert_allclose(np.asarray(log)[below][:5], k[below][:5], atol=2e-14)
    np.testing.assert_allclose(np.linalg.norm(log, axis=(1, 2)), np.linalg.norm(k, axis=(1, 2)), atol=1e-7)
    assert max(np.abs(x).max() for x in value) < 1e-13
    assert max(np.abs(x).max() for x in first) < 1e-12
    assert max(np.abs(x).max() for x in second) < 1e-10


def test_two_turns_by_pi_have_a_logarithm_too(x64):
    back = scipy.linalg.expm(np.asarray(jax.jit(lambda r: matrix_log(r, True))(-jnp.eye(4))))
    np.testing.assert_allclose(back, -np.eye(4), atol=1e-7)


def test_logarithms_where_there_are_any(x64):
    k = np.random.default_rng(0).normal(size=(6, 3, 3))
    k[:2] *= 1e-6
    k[2] = np.diag([5.0, -5.0, 0.0])
    matrices = np.concatenate([scipy.linalg.expm(k), [np.diag([-2.0, -0.5, 1]), np.diag([-1.0, 1, 1])]])
    logs = np.asarray(jax.jit(matrix_log)(matrices))
    np.testing.assert_allclose(logs[:6], k, atol=1e-12)
    assert np.isnan(logs[6:]).all()


def test_single_precision(x64):
    a = (RANDOM[0] @ np.diag([20.0, 1.0, 0.05]) @ RANDOM[1]).astype(np.float32)
    x, r = jax.jit(log_polar)(a)
    exact, turn = jax.jit(log_polar)(a.astype(float))
    assert x.dtype == r.dtype == np.float32
    np.testing.assert_allclose(x, exact, atol=5e-4)
    np.testing.assert_allclose(r, turn, atol=1e-4)


def test_half_precision():
    a = jnp.asarray(RANDOM[0], jnp.bfloat16)
    for found, exact in zip(jax.jit(log_polar)(a), jax.jit(log_polar)(a.astype(jnp.float32)), strict=True):
        assert found.dtype == jnp.bfloat16
        np.testing.assert_allclose(found.astype(np.float32), exact, atol=0.02)


def test_degenerate_matrices_give_numbers_and_zero_derivatives(x64):
    for a, special in ((jnp.zeros((3, 3)), False), (jnp.diag(jnp.array([1.0, 0, 0])), False), (-jnp.eye(2), False)):
        assert jnp.isfinite(orthogonal_factor(a, special)).all()
    unclear = jnp.diag(jnp.array([1.0, -1.0]))  # all rotations are as near
    derivative = jax.jit(jax.jacfwd(lambda a: orthogonal_factor(a, True)))(unclear)
    np.testing.assert_array_equal(derivative, 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: polar(jnp.ones((2, 3))), r"a: expected square matrices, shape \(..., n, n\), got \(2, 3\)"),
        (lambda: log_polar(jnp.diag(jnp.array([1.0, 0.0]))), "a: a matrix is singular .* down to 0.0e"),
        (lambda: log_polar(jnp.array([[0.1, 0.3], [0.2, 0.6]], jnp.float32)), "a: a matrix is singular in float32"),
        (lambda: log_polar(jnp.full((2, 2), jnp.nan)), "a: expected finite numbers, got NaN"),
        (lambda: matrix_log(jnp.diag(jnp.array([-2.0, -0.5]))), "no real principal logarithm, .* the polar chart"),
        (lambda: matrix_log(jnp.ones((2, 3))), "a: expected square matrices"),
        (lambda: log_polar(jnp.ones((3, 0, 0))), "a: expected square matrices"),
    ],
)
def test_errors_name_the_matrix(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_derivative_at_two_turns_by_pi_is_zero(x64):
    """The planes are open there; next to it the derivative is as large as the distance is small."""
    value = lambda a: jnp.sum(jnp.sin(matrix_log(a, True)) * jnp.arange(16.0).reshape(4, 4))  # noqa: E731
    slope = jax.jit(jax.grad(value))
    assert bool((slope(-jnp.eye(4)) == 0).all())
    beside = groups.SO(4).exp(jnp.array([jnp.pi - 1e-3, 0, 0, 0, 0, jnp.pi - 2e-3]))
    assert 1 < float(jnp.abs(slope(beside)).max()) < 1e6


@pytest.mark.parametrize("f", [polar, log_polar, matrix_log, lambda a: matrix_log(a, True)])
def test_no_matrices(f):
    assert jax.tree.leaves(f(jnp.zeros((0, 4, 4))))[0].shape == (0, 4, 4)

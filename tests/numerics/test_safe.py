"""Safe functions in extended precision: values and two derivatives at 0, at 1e-30, and where branches meet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import numerics

DTYPES = [np.float32, np.float64]
SIZES = [1e-30, 1e-10, 1.0, 1e10, 1e30]
HARD = [0.0, 1e-30, 1e-10, 1e-4, 0.031, 0.0317, 0.5, 2.0]  # the series of sinc ends at √0.001


def derivatives(f, x):
    """f(x), f'(x) and f''(x) of a function of a number, at each of x."""
    return jax.jit(lambda x: [jax.vmap(g)(x) for g in (f, jax.grad(f), jax.grad(jax.grad(f)))])(x)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_norm_and_unit_of_any_size(size, dtype, x64):
    u = np.array([[2.0, -1.0, 2.0], [0.0, 0.0, 3.0]]) / 3
    v = jnp.asarray(3 * size * u, dtype)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(numerics.norm(v), np.full(2, 3 * size), rtol=4 * eps)
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(numerics.norm)))(v), u, atol=4 * eps)
    direction, square = numerics.unit(v)
    assert direction.dtype == square.dtype == dtype
    np.testing.assert_allclose(direction, u, atol=4 * eps)
    np.testing.assert_array_equal(square, 1)
    across = (np.eye(3) - u[:, :, None] * u[:, None, :]) / (3 * size)  # the derivative of v/‖v‖ = ∇‖v‖
    np.testing.assert_allclose(jax.jit(jax.vmap(jax.hessian(numerics.norm)))(v), across, atol=16 * eps / size)
    short = dtype == np.float32 and size == 1e-30  # where the square of 1/size overflows, the direction is a constant
    slope = jax.jit(jax.vmap(jax.jacfwd(lambda v: numerics.unit(v)[0])))(v)
    np.testing.assert_allclose(slope, 0 if short else across, atol=0 if short else 16 * eps / size)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_zero_vector_has_no_length_no_direction_and_no_derivatives(dtype, x64):
    zero = jnp.zeros(3, dtype)
    for f in (numerics.norm, lambda v: numerics.unit(v)[0], lambda v: numerics.sqrt(jnp.sum(v * v))):
        for g in (f, jax.jacrev(f), jax.hessian(f)):
            np.testing.assert_array_equal(jax.jit(g)(zero), 0)
    assert numerics.unit(zero)[1] == 0


def test_numbers_that_are_not_finite_stay_so():
    v = jnp.array([[1.0, jnp.nan, 0.0], [jnp.inf, 0.0, 0.0]])
    assert jnp.isnan(numerics.norm(v)).all()
    assert jnp.isnan(numerics.unit(v)[0]).any(axis=-1).all()
    assert jnp.isnan(numerics.sqrt(jnp.array(jnp.nan)))


def test_axes_of_norms_are_those_of_numpy():
    v = jax.random.normal(jax.random.key(0), (2, 3, 4))
    assert numerics.norm(jnp.zeros((2, 0))).shape == (2,)
    np.testing.assert_allclose(numerics.norm(v, axis=1, keepdims=True), np.linalg.norm(v, axis=1, keepdims=True), 1e-6)
    np.testing.assert_allclose(numerics.norm(v, axis=(0, 2)), np.linalg.norm(v, axis=(0, 2)), 1e-6)
    np.testing.assert_allclose(numerics.norm(v, axis=None), np.linalg.norm(v), 1e-6)
    np.testing.assert_allclose(numerics.unit(v, axis=0)[0], v / np.linalg.norm(v, axis=0), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_square_roots_where_they_are_not_zero(dtype, x64):
    x = jnp.array([1e-30, 1e-3, 4.0], dtype)
    value, first, second = derivatives(numerics.sqrt, x)
    wide = np.asarray(x, float)
    np.testing.assert_allclose(value, wide**0.5, rtol=1e-6)
    np.testing.assert_allclose(first, wide**-0.5 / 2, rtol=1e-6)
    np.testing.assert_allclose(second[1:], -(wide[1:] ** -1.5) / 4, rtol=1e-6)


def series(coefficients):
    """Σ_k c_k x^(2k) and its first two derivatives, in extended precision, |x| ≤ 2."""
    p = np.polynomial.Polynomial(np.ravel([[c, 0.0] for c in coefficients]).astype(np.longdouble))
    return p, p.deriv(), p.deriv(2)


FACTORIALS = np.cumprod(np.arange(1, 48, dtype=np.longdouble))[::2]  # (2k + 1)!


@pytest.mark.parametrize(("dtype", "bounds"), [(np.float32, [2e-7, 6e-6, 3e-4]), (np.float64, [4e-16, 1e-14, 6e-13])])
@pytest.mark.parametrize(
    ("f", "exact"),
    [
        (numerics.sinc, series((-1.0) ** np.arange(24) / FACTORIALS)),
        (lambda x: numerics.sinc_sqrt(x**2), series((-1.0) ** np.arange(24) / FACTORIALS)),
        (lambda x: numerics.sinhc_sqrt(x**2), series(1 / FACTORIALS)),
    ],
    ids=["sinc", "sinc of a root", "sinhc of a root"],
)
def test_sinc_and_sinhc(f, exact, dtype, bounds, x64):
    x = jnp.array(HARD, dtype)
    for found, expected, bound in zip(derivatives(f, x), exact, bounds, strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected(np.asarray(x, np.longdouble)).astype(float), rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", DTYPES)
def test_angles_over_their_sines_and_rapidities(dtype, x64):
    """θ / sin θ and z / sinh z, with their derivatives, (sin θ − θ cos θ) / sin²θ and its like."""
    x = jnp.array([0.0, 1e-30, 1e-10, 1e-4, 0.9e-3, 1.1e-3, 0.031, 0.032, 0.5, 1.5], dtype)
    wide = np.maximum(np.asarray(x, np.longdouble), 1e-4)  # below, the first term of the series
    cases = [
        (lambda t: numerics.angle_over_sine(jnp.sin(t) ** 2, jnp.cos(t)), np.sin, np.cos, 1),
        (lambda t: numerics.rapidity_over_sinh(jnp.sinh(t) ** 2, jnp.cosh(t)), np.sinh, np.cosh, -1),
    ]
    for f, sine, cosine, sign in cases:
        value, first, second = derivatives(f, x)
        exact = np.where(x < 1e-4, 1, wide / sine(wide)).astype(float)
        slope = np.where(x < 2e-4, sign * x / 3, (sine(wide) - wide * cosine(wide)) / sine(wide) ** 2).astype(float)
        np.testing.assert_allclose(value, exact, rtol=100 * np.finfo(dtype).eps)
        np.testing.assert_allclose(first, slope, rtol=0, atol=2e3 * np.finfo(dtype).eps)
        np.testing.assert_allclose(second[:4], sign / 3, rtol=1e-4)
        assert np.isfinite(second).all()


def test_complex_rapidities(x64):
    z = jnp.array([0.01 + 0.02j, 0.5 - 1.0j, 1e-9j, -2.0 + 0.3j])
    np.testing.assert_allclose(numerics.rapidity_over_sinh(jnp.sinh(z) ** 2, jnp.cosh(z)), z / jnp.sinh(z), rtol=1e-14)


def test_unit_of_a_constant_is_compiled_right():
    """Compilers fold what is known and take common factors out of sums, which must not lose digits."""
    v = jnp.asarray(np.random.default_rng(0).normal(size=(40, 3)), jnp.float32)
    np.testing.assert_allclose(jax.jit(lambda: numerics.unit(v)[0])(), numerics.unit(v)[0], atol=1e-6)

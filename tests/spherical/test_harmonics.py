"""Spherical harmonics against SciPy and e3nn-jax, and at the points where formulas with angles fail."""

import e3nn_jax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from equijax import spherical

AXES = np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])


def scipy_harmonics(v, lmax):
    """Real harmonics from SciPy's complex ones, whose polar axis is z and which carry (-1)^m."""
    x, y, z = (v / np.linalg.norm(v, axis=-1, keepdims=True)).T
    theta, phi = np.arccos(y), np.arctan2(x, z)
    out = []
    for l in range(lmax + 1):
        for m in range(-l, l + 1):
            Y = (-1) ** m * scipy.special.sph_harm_y(l, abs(m), theta, phi)
            out.append(Y.real if m == 0 else np.sqrt(2) * (Y.imag if m < 0 else Y.real))
    return np.stack(out, -1)


@pytest.mark.core
@pytest.mark.gpu
def test_harmonics_agree_with_scipy_up_to_degree_20(x64):
    v = np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_allclose(spherical.harmonics(v, 20), scipy_harmonics(v, 20), atol=2e-13)


def test_order_and_signs_are_those_of_e3nn(x64):
    v = jnp.asarray(np.random.default_rng(1).normal(size=(5, 3)))
    irreps = e3nn_jax.Irreps([(1, (l, (-1) ** l)) for l in range(5)])
    want = jax.jit(lambda v: e3nn_jax.spherical_harmonics(irreps, v, True, "integral").array)(v)
    np.testing.assert_allclose(spherical.harmonics(v, 4), want, atol=1e-14)


def test_solid_harmonics_grow_with_the_power_of_their_degree(x64):
    v = np.random.default_rng(2).normal(size=(4, 3))
    scale = np.linalg.norm(v, axis=-1, keepdims=True) ** spherical.degree_of_coefficient(5)
    got = spherical.harmonics(v, 5, normalize=False)
    np.testing.assert_allclose(got, scale * spherical.harmonics(v, 5), atol=1e-12)


def test_derivatives_exist_at_zero_and_on_the_axes(x64):
    """Value, Jacobian and Hessian; the Jacobian against central differences, which nothing disturbs off zero."""
    f = lambda v: spherical.harmonics(v, 4)  # noqa: E731
    value, jacobian, hessian = jax.jit(jax.vmap(lambda v: (f(v), jax.jacfwd(f)(v), jax.hessian(f)(v))))(AXES)
    assert np.isfinite(value).all()
    assert np.isfinite(jacobian).all()
    assert np.isfinite(hessian).all()
    assert np.array_equal(value[0], [1 / np.sqrt(4 * np.pi)] + [0] * 24)
    assert not np.any(jacobian[0])
    step = 1e-5 * np.eye(3)
    differences = (
        scipy_harmonics((AXES[1:, None] + step).reshape(-1, 3), 4)
        - scipy_harmonics((AXES[1:, None] - step).reshape(-1, 3), 4)
    ).reshape(6, 3, 25) / 2e-5
    np.testing.assert_allclose(jacobian[1:], differences.swapaxes(1, 2), atol=1e-8)


def test_only_the_direction_counts_however_long_the_vector():
    v = np.random.default_rng(3).normal(size=(6, 3)).astype(np.float32)
    want = spherical.harmonics(v, 3)
    for scale in (1e-30, 1e30):
        np.testing.assert_allclose(spherical.harmonics(v * np.float32(scale), 3), want, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_short_vectors_have_harmonics_and_two_finite_derivatives(dtype, x64):
    """The derivative of order k is ‖x‖⁻ᵏ times that at length 1, or zero where that may not fit into the dtype."""
    single = dtype == np.float32
    exponents = np.array([-37, -30, -20, -17, -14, -6, 0] if single else [-307, -200, -156, -152, -148, -20, 0])
    v = np.array([[1.0, 0, 0], [-0.48, 0.6, 0.64]])[:, None] * 10.0 ** exponents[:, None]  # (2, exponents, 3)
    f = lambda v: spherical.harmonics(v, 2)  # noqa: E731
    found = jax.jit(jax.vmap(jax.vmap(lambda v: (f(v), jax.jacrev(f)(v), jax.hessian(f)(v)))))(jnp.asarray(v, dtype))
    short = exponents < (-16 if single else -151)
    for order, values in enumerate(np.asarray(a, float) for a in found):
        assert np.isfinite(values).all()
        sizes = np.where(short & (order > 0), 0, 10.0 ** np.clip(-order * exponents, -400.0, 300))
        exact = values[:, -1:] * sizes.reshape(-1, *[1] * (values.ndim - 2))
        scale = np.maximum(sizes, 1e-300).reshape(-1, *[1] * (values.ndim - 2))
        np.testing.assert_allclose(values / scale, exact / scale, atol=1e-5 if single else 1e-13)


def test_program_of_value_and_gradient_grows_by_at_most_a_hundred_operations_a_degree():
    # compile time follows the length of the program: a second and a half at degree 8
    def operations(lmax):
        f = jax.jit(jax.value_and_grad(lambda v: jnp.sum(spherical.harmonics(v, lmax) ** 2)))
        return f.lower(jnp.ones((64, 3))).as_text().count(" = ")

    at = [operations(lmax) for lmax in (4, 8, 12)]
    assert at[2] - at[1] == at[1] - at[0] <= 4 * 100


@pytest.mark.parametrize(
    "f", [spherical.harmonics, lambda v, l: spherical.wigner_matrix(jnp.eye(3, dtype=v.dtype) * v, l)]
)
def test_half_precision_is_rounded_once(f):
    v = jnp.asarray([[0.3, -0.4, 0.8]], jnp.bfloat16)
    got, want = f(v, 10), f(v.astype(jnp.float32), 10)
    assert got.dtype == jnp.bfloat16
    np.testing.assert_array_equal(got, want.astype(jnp.bfloat16))


def test_what_is_not_finite_has_no_direction():
    for bad in (np.nan, np.inf):
        assert np.isnan(spherical.harmonics(jnp.array([bad, 0.0, 1.0]), 2)[1:]).all()


def test_layout_helpers():
    assert spherical.degree_of_coefficient(2).tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 2]
    assert spherical.lmax_of(np.zeros((5, 9, 2)), "x") == 2
    assert spherical.lmax_of(np.zeros((5, 16)), "x", axis=-1) == 3
    with pytest.raises(ValueError, match=r"x: expected a square number of coefficients, .* got 8 coefficients"):
        spherical.lmax_of(np.zeros((5, 8, 2)), "x")
    with pytest.raises(ValueError, match=r"x: expected coefficients on axis -2 .* got shape \(9,\)"):
        spherical.lmax_of(np.zeros(9), "x")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"vectors: expected shape \(..., 3\), got \(4, 2\)"):
        spherical.harmonics(np.zeros((4, 2)), 1)
    with pytest.raises(ValueError, match="lmax: expected an integer of at least 0, got -1"):
        spherical.harmonics(np.zeros(3), -1)
    with pytest.raises(TypeError, match="vectors: expected real floating-point numbers, got int"):
        spherical.harmonics(np.zeros(3, int), 1)

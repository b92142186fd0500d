"""Radial functions: values, the cut-off, the origin, variance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import nn

CUTOFF = 4.0


def derivatives(f, count):
    """f and its derivatives of order 0 to `count`, stacked."""
    chain = [f]
    for _ in range(count):
        chain.append(jax.jacfwd(chain[-1]))
    return jax.jit(lambda r: jnp.stack([jnp.asarray(d(r)) for d in chain]))


@pytest.mark.core
@pytest.mark.parametrize("order", [3, 6])
def test_value_and_two_derivatives_vanish_at_the_cutoff(x64, order):
    f = derivatives(lambda r: nn.polynomial_cutoff(r, CUTOFF, order), 3)
    for r in (CUTOFF - 1e-6, CUTOFF, CUTOFF + 1e-6, 10.0):
        np.testing.assert_allclose(f(r)[:3], 0, atol=1e-5)
    assert abs(f(CUTOFF - 1e-6)[3]) > 0.1  # two and no more
    np.testing.assert_allclose(f(0.0)[:order], [1, 0, 0, 0][:order], atol=1e-12)
    assert (np.diff(nn.polynomial_cutoff(np.linspace(0, CUTOFF, 50), CUTOFF, order)) <= 0).all()


def test_learned_functions_vanish_with_two_derivatives_at_the_cutoff(x64):
    module = nn.RadialBasis(CUTOFF, (8, 3))
    rng = np.random.default_rng(0)
    params = {
        "params": {
            "MLP_0": {"layer_0": {"kernel": rng.normal(size=(8, 8))}, "layer_1": {"kernel": rng.normal(size=(8, 3))}}
        }
    }
    f = derivatives(lambda r: module.apply(params, r), 2)
    np.testing.assert_allclose(f(CUTOFF), 0, atol=1e-12)
    assert np.abs(f(0.7 * CUTOFF)).min() > 1e-6


def test_bessel_functions(x64):
    r = np.concatenate([[0.0], 10.0 ** np.linspace(-9, 0, 40), [2.0, CUTOFF]])
    n = np.arange(1, 9)
    expected = np.sqrt(2 / CUTOFF) * (n * np.pi / CUTOFF) * np.sinc(n * r[:, None] / CUTOFF)
    np.testing.assert_allclose(nn.bessel_basis(jnp.asarray(r), CUTOFF), expected, rtol=1e-10, atol=1e-14)
    second = derivatives(lambda r: nn.bessel_basis(r, CUTOFF), 2)(0.0)[2]
    np.testing.assert_allclose(second, -np.sqrt(2 / CUTOFF) * (n * np.pi / CUTOFF) ** 3 / 3, rtol=1e-10)
    nodes, weights = np.polynomial.legendre.leggauss(60)  # orthonormal in r² dr
    r = CUTOFF / 2 * (nodes + 1)
    values = nn.bessel_basis(jnp.asarray(r), CUTOFF)
    np.testing.assert_allclose(
        np.einsum("rn,rm,r->nm", values, values, CUTOFF / 2 * weights * r**2), np.eye(8), atol=1e-12
    )


def test_radial_functions_have_unit_variance_over_the_ball():
    rng = np.random.default_rng(0)
    for cutoff in (0.5, 5.0):
        r = jnp.asarray(cutoff * rng.uniform(size=4000) ** (1 / 3), jnp.float32)
        params = {"params": {"MLP_0": {"layer_0": {"kernel": rng.normal(size=(8, 500))}}}}
        y = nn.RadialBasis(cutoff, (500,), order=500).apply(params, r)  # a cut-off that is almost a step
        assert np.mean(np.square(y)) == pytest.approx(1, abs=0.1)


def test_dtype_and_errors():
    for dtype in (jnp.bfloat16, jnp.float32):
        r = jnp.ones(3, dtype)
        assert jax.eval_shape(nn.RadialBasis(2.0, (4, 2)).init_with_output, jax.random.key(0), r)[0].dtype == dtype
    for call, match in [
        (lambda: nn.polynomial_cutoff(jnp.ones(3), 0.0), "cutoff: expected a positive length, got 0"),
        (lambda: nn.polynomial_cutoff(jnp.ones(3), 1.0, 2), "order: expected an integer of at least 3"),
        (lambda: nn.bessel_basis(jnp.ones(3), -1.0), "cutoff: expected a positive length"),
        (lambda: nn.bessel_basis(jnp.ones(3), 1.0, 0), "functions: expected an integer of at least 1"),
    ]:
        with pytest.raises(ValueError, match=match):
            call()

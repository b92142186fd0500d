"""Products of many functions at once: brackets of vectors, and arguments that are named. The rest is tested with nn."""

import jax.numpy as jnp
import numpy as np
import pytest

from equijax.products import double_bracket, gaunt, many_body

F = np.random.default_rng(0).normal(size=(3, 4, 6))  # (rows, coefficients, three factors of 2 channels)


@pytest.mark.gpu
def test_products_of_growing_order(x64):
    a, b, c = jnp.split(jnp.asarray(F), 3, axis=-1)
    pair = gaunt(a, b, lmax=2)
    want = jnp.concatenate([pair, gaunt(pair, c, lmax=2)], axis=-1)
    np.testing.assert_allclose(many_body(F, 3, lmax=2), want, atol=1e-12)
    np.testing.assert_allclose(many_body(F, 3, lmax=4)[:, 9:, :2], 0, atol=1e-12)  # that two factors do not reach


@pytest.mark.gpu
def test_double_bracket_of_vectors_is_a_double_cross_product(x64):
    """Each bracket of degrees 1 is √(3/4π) times the cross product, each factor is divided by √2."""
    a, b, c = np.split(F[:, 1:], 3, axis=-1)
    want = 3 / (4 * np.pi) / 4 * np.cross(np.cross(a, b, axis=1), c, axis=1)
    np.testing.assert_allclose(double_bracket(F)[:, 1:], want, atol=1e-12)


def test_what_is_kept_does_not_depend_on_what_is_cut_off(x64):
    f = np.random.default_rng(1).normal(size=(2, 16, 3))
    for of, reached in ((double_bracket, 3), (lambda x, lmax: many_body(x, 3, lmax=lmax), 9)):
        np.testing.assert_allclose(of(f, lmax=1), of(f, lmax=reached)[:, :4], atol=1e-12)


@pytest.mark.parametrize("f", [lambda x, **o: many_body(x, 3, **o), double_bracket])
def test_bad_factors_are_named(f):
    with pytest.raises(ValueError, match=r"factors: expected a square number of coefficients"):
        f(F[:, :3])
    with pytest.raises(ValueError, match=r"factors: expected a multiple of 3 channels, 3 factors side by side, got 4"):
        f(F[..., :4])
    with pytest.raises(TypeError, match="factors: expected real floating-point"):
        f(F.astype(int))
    with pytest.raises(ValueError, match="lmax: expected an integer of at least 0, got -1"):
        f(F, lmax=-1)
    with pytest.raises(ValueError, match="precision: expected"):
        f(F, precision="hgihest")
    with pytest.raises(ValueError, match="order: expected an integer of at least 2, got 1"):
        many_body(F, 1)

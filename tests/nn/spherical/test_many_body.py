"""Many-body products equal iterated products that are not cut off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import nn, products, spherical

X = np.random.default_rng(0).normal(size=(5, 9, 2))  # (rows, coefficients, channels)


def mixed(params, name, x):
    kernel = params["params"][name]["kernel"]
    return jnp.split(nn.linear(x, kernel / x.shape[-1] ** 0.5), 3, axis=-1)


@pytest.mark.core
@pytest.mark.parametrize("lmax", [0, 3])
def test_equals_iterated_products(x64, lmax):
    x = jnp.asarray(X)
    module = nn.ManyBodyProduct(order=3, lmax=lmax, bracket=True)
    params = jax.jit(module.init)(jax.random.key(1), x)
    found = jnp.split(jax.jit(module.apply)(params, x), 3, axis=-1)
    f, full = mixed(params, "factors", x), None
    for k, p in enumerate(found[:2]):
        full = products.gaunt(f[0] if full is None else full, f[k + 1], lmax=2 * (k + 2))
        np.testing.assert_allclose(p, full[..., : (lmax + 1) ** 2, :], atol=1e-12)

    l = spherical.degree_of_coefficient(2)[:, None]
    b = mixed(params, "bracket_factors", x)
    spin = lambda f: f / np.sqrt(np.maximum(l * (l + 1), 1))  # noqa: E731
    pseudo = products.bracket(spin(b[0]), spin(b[1]), lmax=2)
    np.testing.assert_allclose(found[2], products.bracket(spin(pseudo), spin(b[2]), lmax=lmax), atol=1e-12)
    assert np.abs(found[2]).max() > (1e-2 if lmax else -1)


def test_cutting_off_intermediate_products_is_something_else(x64):
    """So the test above can fail."""
    x = jnp.asarray(X)
    cut = products.gaunt(products.gaunt(x, x, lmax=2), x, lmax=2)
    assert np.abs(cut - products.power(x, 3)).max() > 1e-2


def test_each_row_by_itself():
    x, module = jnp.asarray(X, jnp.float32), nn.ManyBodyProduct(bracket=True)
    params = jax.jit(module.init)(jax.random.key(0), x)
    both = module.apply(params, jnp.stack([x, 2 * x]))
    for y, rows in ((both[0, 1], x[1]), (both[1, 1], 2 * x[1])):
        np.testing.assert_allclose(y, module.apply(params, rows), atol=1e-5, rtol=1e-5)


def test_the_double_bracket_is_natural():
    """It changes its sign with an odd number of degrees only: a mirror image of x gives the mirror image."""
    x = jnp.asarray(X, jnp.float32)
    module = nn.ManyBodyProduct(order=2, bracket=True)
    params = jax.jit(module.init)(jax.random.key(0), x)
    inversion = (-1.0) ** spherical.degree_of_coefficient(2)[:, None]
    np.testing.assert_allclose(module.apply(params, inversion * x), inversion * module.apply(params, x), atol=1e-6)

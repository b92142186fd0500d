"""The Gaunt product layer: which paths, which weights, which scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import nn, products, spherical
from equijax.nn.variance import path_variances

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(3, 9, 2)), RNG.normal(size=(3, 4, 2))


def weights(module, *args, seed=0):
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(module.init, jax.random.key(0), *args)
    return jax.tree.map(lambda p: rng.normal(size=p.shape), shapes)


def scaled(w, x):
    return w[spherical.degree_of_coefficient(len(w) - 1)] * x


def test_variances_of_degrees_4():
    np.testing.assert_allclose(path_variances(4, 4, 4).sum((0, 1)), [1.99, 1.59, 1.40, 1.11, 0.91], atol=5e-3)


@pytest.mark.parametrize("odd", [False, True])
def test_variances_are_those_of_the_couplings(odd):
    table = spherical.bracket_coefficients if odd else spherical.gaunt_coefficients
    for degrees in [(3, 2, 4), (1, 4, 5), (0, 2, 2)]:
        a, b, c = (spherical.degree_of_coefficient(l) for l in degrees)
        spins = [np.maximum(l * (l + 1), 1) if odd else np.ones(len(l)) for l in (a, b)]
        squares = table(*degrees) ** 2 / spins[0][:, None, None] / spins[1][:, None] / (2 * c + 1)
        found = np.zeros([l + 1 for l in degrees])
        np.add.at(found, (a[:, None, None], b[:, None], c), squares)
        np.testing.assert_allclose(path_variances(*degrees, odd=odd), found, atol=1e-14)


@pytest.mark.core
def test_equals_a_sum_of_products_of_weighted_features(x64):
    """Of rank 3 and with the bracket; parity table of pairs."""
    module = nn.GauntProduct(lmax=3, rank=3, bracket=True, method="grid")
    args = ((jnp.asarray(X), jnp.asarray(X[::-1])), (jnp.asarray(Y), jnp.asarray(Y[::-1])))
    params = weights(module, *args)
    w = params["params"]
    natural, pseudo = jax.jit(module.apply)(params, *args)

    def term(i, j, odd, r):
        suffix = ("", "_pseudo")
        u, v = scaled(w["left" + suffix[i]][:, r], args[0][i]), scaled(w["right" + suffix[j]][:, r], args[1][j])
        if odd:
            u, v = (
                scaled(1 / np.sqrt(np.maximum(l * (l + 1), 1))[:, None], f)
                for l, f in ((np.arange(3), u), (np.arange(2), v))
            )
        return (products.bracket if odd else products.gaunt)(u, v, lmax=3, method="grid")

    variance = [path_variances(2, 1, 3, odd=odd).sum((0, 1)) for odd in (False, True)]
    scale = 1 / np.sqrt(3 * 2 * (variance[0] + variance[1]))[:, None]
    parity_table = {0: [(0, 0, 0), (1, 1, 0), (0, 1, 1), (1, 0, 1)], 1: [(0, 1, 0), (1, 0, 0), (0, 0, 1), (1, 1, 1)]}
    for kind, out in enumerate((natural, pseudo)):
        name = ("out", "out_pseudo")[kind]
        expected = sum(scaled(w[name][:, r] * scale, sum(term(*t, r) for t in parity_table[kind])) for r in range(3))
        np.testing.assert_allclose(out, expected, atol=1e-12)


def test_parts_that_nothing_reaches_are_none():
    x = jnp.asarray(X, jnp.float32)
    for bracket, left, right, expected in [
        (False, (x, None), (x, None), (True, False)),
        (False, (None, x), x, (False, True)),
        (False, (None, x), (None, x), (True, False)),
        (True, x, x, (True, True)),
        (True, (None, x), x, (True, True)),
        (False, (x, x), (None, x), (True, True)),
    ]:
        out = jax.eval_shape(nn.GauntProduct(bracket=bracket).init_with_output, jax.random.key(0), left, right)[0]
        assert tuple(a is not None for a in out) == expected
    assert not isinstance(jax.eval_shape(nn.GauntProduct().init_with_output, jax.random.key(0), x, x)[0], tuple)


def test_one_channel_serves_all_on_either_side():
    x, y = jnp.asarray(X, jnp.float32), jnp.asarray(Y[..., :1], jnp.float32)
    for left, right in ((x, y), (y, x)):
        module = nn.GauntProduct(rank=2, method="grid")
        params = weights(module, left, right)
        full = module.apply(params, *(jnp.broadcast_to(a, (*a.shape[:2], 2)) for a in (left, right)))
        np.testing.assert_allclose(module.apply(params, left, right), full, atol=1e-5)


def test_scalars_have_no_bracket():
    """Degree 0 alone: the bracket is 0, and so is its scale; nothing is divided by 0."""
    x = jnp.ones((3, 1, 2))
    natural, pseudo = nn.GauntProduct(bracket=True).init_with_output(jax.random.key(0), x, x)[0]
    assert np.isfinite(natural).all()
    np.testing.assert_array_equal(pseudo, 0)


def test_unit_variance_in_the_mean_over_the_weights():
    """As drawn, of rank 2, over 4096 channels."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 40, 4, 4096)).astype(np.float32)
    out = jax.jit(nn.GauntProduct(rank=2, method="grid").init_with_output)(jax.random.key(0), x, y)[0]
    np.testing.assert_allclose(np.mean(np.square(out), (0, 2)), 1, atol=0.2)

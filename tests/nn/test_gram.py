"""Layers of Gram matrices: the limit of wide networks, and O(d)-invariance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3))


def test_gram_layers_are_those_of_wide_networks(x64):
    g = nn.gram(X)
    w = RNG.normal(size=(3, 400_000)) / 3**0.5
    wide = np.maximum(X @ w, 0)
    np.testing.assert_allclose(nn.arc_cosine(g), 2 * wide @ wide.T / w.shape[1], atol=0.02)
    np.testing.assert_allclose(jnp.diagonal(nn.arc_cosine(g)), jnp.diagonal(g), rtol=1e-12)
    apart = np.sum((X[:, None] - X) ** 2, axis=-1) / 3
    np.testing.assert_allclose(nn.squared_exponential(g), np.exp(-apart / 2), rtol=1e-12)
    # parallel and opposite rows, and a zero one: values and derivatives are finite
    pairs = jnp.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [-1.0, -2.0, 0.0], [0.0, 0.0, 0.0]])
    found = nn.arc_cosine(nn.gram(pairs))
    np.testing.assert_allclose(found[:, 0], [5 / 3, 10 / 3, 0, 0], atol=1e-7)
    assert jnp.isfinite(jax.jacrev(lambda x: nn.arc_cosine(nn.gram(x)))(pairs)).all()


def test_orthogonal_maps_of_the_features_change_nothing(x64):
    deep = jax.jit(lambda x: nn.squared_exponential(nn.arc_cosine(nn.gram(x))))
    q = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    np.testing.assert_allclose(deep(X @ q), deep(X), rtol=1e-12)
    assert jnp.abs(deep(X * np.array([1, 1, 2])) - deep(X)).max() > 0.01
    order = RNG.permutation(5)  # a permutation of the samples is one of rows and columns
    np.testing.assert_allclose(deep(X[order]), deep(X)[order][:, order], rtol=1e-12)


def test_a_matrix_that_is_no_gram_matrix():
    with pytest.raises(ValueError, match=r"g: expected a Gram matrix of shape \(..., n, n\), got \(5, 3\)"):
        nn.arc_cosine(jnp.asarray(X))

"""Variance by factor, the interaction basis, Gaussians of classes: what changes them, and what does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shards import assert_shards_agree

from equijax import measures

RNG = np.random.default_rng(0)


def orthogonal(n):
    return np.linalg.qr(RNG.normal(size=(n, n)))[0]


def test_variance_explained_adds_up_over_independent_factors(x64):
    a, b = np.meshgrid(np.arange(3), np.arange(4), indexing="ij")  # every pair once: exactly independent
    factors = {"a": np.eye(3)[a.ravel()], "b": (b.ravel() - 1.5)}
    z = 2 * factors["a"] @ RNG.normal(size=(3, 5)) + factors["b"][:, None] * RNG.normal(size=5)
    found = measures.variance_explained(z, factors)
    np.testing.assert_allclose(sum(found.values()), 1, rtol=1e-12)
    part = factors["b"][:, None] * (factors["b"] @ z / (factors["b"] @ factors["b"]))
    np.testing.assert_allclose(found["b"], np.sum(part**2) / np.sum((z - z.mean(0)) ** 2), rtol=1e-12)
    moved = measures.variance_explained(3 * z @ orthogonal(5) + 1, factors)
    np.testing.assert_allclose(list(moved.values()), list(found.values()), rtol=1e-12)
    stretched = measures.variance_explained(z * np.array([5, 1, 1, 1, 1]), factors)
    assert abs(stretched["b"] / found["b"] - 1) > 0.01
    constant = measures.variance_explained(np.ones((12, 2)), {"b": factors["b"], "none": np.ones(12)})
    assert max(constant.values()) == 0

    def split(scale, z, b, axis_name):
        return measures.variance_explained(z + scale * jnp.tanh(z), {"b": b}, axis_name=axis_name)["b"]

    assert_shards_agree(split, 0.5, (z, factors["b"]))


def test_the_interaction_basis_does_not_change_with_the_parameters(x64):
    w = RNG.normal(size=(4, 3))
    later = lambda h: jnp.tanh(w @ h)  # noqa: E731
    h = jnp.asarray(RNG.normal(size=(200, 3)) @ RNG.normal(size=(3, 3)) + 1)
    a = RNG.normal(size=(3, 3)) + 2 * np.eye(3)

    @jax.jit
    def basis(h, undo):
        found = measures.interaction_basis(h, jax.vmap(jax.jacrev(lambda h: later(undo @ h)))(h))
        return found.coordinates(h), found.importance

    u, importance = basis(h, jnp.eye(3))
    v, same = basis(h @ a.T, jnp.linalg.inv(a))
    np.testing.assert_allclose(same, importance, rtol=1e-9)
    np.testing.assert_allclose(v * jnp.sign(jnp.sum(u * v, axis=0)), u, atol=1e-8)
    np.testing.assert_allclose(jnp.cov(u.T), np.eye(3), atol=1e-12)
    # principal components do change, and so does what was not undone
    assert jnp.abs(basis(h @ a.T, jnp.eye(3))[1] / importance - 1).max() > 0.1
    # a direction without variance is left out
    flat = jnp.concatenate([h[:, :2], jnp.ones((200, 1))], axis=1)
    u, importance = basis(flat, jnp.eye(3))
    assert importance[2] < 1e-12
    np.testing.assert_allclose(u[:, 2], 0, atol=1e-6)


def test_gaussians_of_classes(x64):
    """Against SciPy; no affine map of the features changes a class; far samples count less."""
    from scipy.stats import multivariate_normal

    labels = RNG.integers(0, 3, 300)
    means = np.array([[0, 0], [4, 0], [0, 5.0]])
    z = means[labels] + RNG.normal(size=(300, 2)) * np.array([1, 0.5])
    found = measures.class_gaussians(z, labels, 3, shrink=1e-9)
    for k in range(3):
        np.testing.assert_allclose(found.covariances[k], np.cov(z[labels == k].T, ddof=0), atol=1e-6)
        wanted = multivariate_normal(z[labels == k].mean(0), np.cov(z[labels == k].T, ddof=0)).logpdf(z[:5])
        np.testing.assert_allclose(found.log_density(z[:5])[:, k], wanted, atol=1e-5)
    a = np.array([[2.0, 1.0], [-1.0, 3.0]])
    usual, moved = (measures.class_gaussians(x, labels, 3, rounds=2) for x in (z, z @ a.T + 7))
    np.testing.assert_array_equal(moved.classify(z @ a.T + 7), usual.classify(z))
    np.testing.assert_allclose(moved.means, usual.means @ a.T + 7, rtol=1e-10)
    # a fifth of the labels of class 0 are wrong: weighing moves the mean back
    noisy = np.where((labels == 1) & (np.arange(300) % 4 == 0), 0, labels)
    far = [np.linalg.norm(measures.class_gaussians(z, noisy, 3, rounds=r).means[0]) for r in (1, 4)]
    assert far[1] < 0.6 * far[0]
    # a class without samples has the mean of all and the mean covariance
    rare = measures.class_gaussians(z, labels, 4)
    np.testing.assert_allclose(rare.means[3], z.mean(0))
    assert jnp.isfinite(rare.log_density(z)).all()
    drawn = found.sample(jax.random.key(0), jnp.zeros(20_000, int))
    np.testing.assert_allclose(jnp.cov(drawn.T), found.covariances[0], atol=0.05)


def test_features_in_bfloat16_have_measures_in_float32():
    z = jnp.asarray(RNG.normal(size=(40, 3)), jnp.bfloat16)
    labels, slopes = jnp.arange(40) % 2, jnp.ones((40, 2, 3), jnp.bfloat16)
    for at, wide in ((z, slopes), (z.astype(jnp.float32), slopes.astype(jnp.float32))):
        classes = measures.class_gaussians(at, labels, 2, rounds=2)
        basis = measures.interaction_basis(at, wide)
        share = measures.variance_explained(at, {"first": at[:, 0]})["first"]
        found = [classes.log_density(at), basis.coordinates(at), basis.importance, share]
        assert all(x.dtype == jnp.float32 for x in found)
        if at is z:
            half = found
    for x, y in zip(half, found, strict=True):
        np.testing.assert_array_equal(x, y)


X = jnp.ones((4, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: measures.variance_explained(X, {"a": jnp.ones(3)}), r"factors\['a'\]: expected shape \(4,\)"),
        (lambda: measures.interaction_basis(X[:1], X[None, :1]), "activations: .* two samples"),
        (lambda: measures.interaction_basis(X, X), r"jacobians: expected shape \(4, outputs, 2\)"),
        (lambda: measures.class_gaussians(X, jnp.zeros(3, int), 2), "labels: expected one a row"),
        (lambda: measures.class_gaussians(X, jnp.zeros(4, int), 2, shrink=0.0), "shrink: expected a positive"),
        (lambda: measures.class_gaussians(X, jnp.zeros(4, int), 0), "classes: .* at least 1"),
    ],
)
def test_errors_of_factors(call, message):
    with pytest.raises(ValueError, match=message):
        call()

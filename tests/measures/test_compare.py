"""CKA and matrices of distances: what leaves them as they are, what does not, and values by other ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from scipy.sparse.csgraph import shortest_path
from scipy.spatial.distance import pdist, squareform

from equijax.measures import cka, geo_topological, geodesics, rdm, rdm_correlation

RNG = np.random.default_rng(0)
X = RNG.normal(size=(15, 6))
ORTHOGONAL = np.linalg.qr(RNG.normal(size=(6, 6)))[0]
UPPER = np.triu_indices(15, 1)
rdm_of = jax.jit(rdm, static_argnums=1)
cka_of = jax.jit(cka, static_argnames="debiased")
gt = jax.jit(geo_topological, static_argnames=("lower", "upper", "rank", "pooled", "sigmoid"))


def test_cka_is_what_isometries_and_scales_leave(x64):
    y = np.tanh(X @ RNG.normal(size=(6, 6)))
    value = cka_of(X, y)
    center = np.eye(15) - 1 / 15
    k, l = (center @ a @ a.T @ center for a in (X, y))
    np.testing.assert_allclose(value, np.sum(k * l) / np.sqrt(np.sum(k * k) * np.sum(l * l)), rtol=1e-12)
    np.testing.assert_allclose(cka_of(3 * X @ ORTHOGONAL + 7, y), value, rtol=1e-12)
    np.testing.assert_allclose([cka_of(X, X), cka_of(X, -2 * X @ ORTHOGONAL)], 1, rtol=1e-12)
    assert abs(cka_of(X * [1, 1, 1, 1, 1, 9], y) - value) > 0.1  # GL(d)
    assert abs(cka_of(X, y[::-1]) - value) > 0.1  # other samples
    many = np.concatenate([y] * 4, axis=1)  # more features than samples: by way of the other Gram matrix
    np.testing.assert_allclose(cka_of(X, many), value, rtol=1e-12)
    assert jnp.isnan(cka_of(X, np.full((15, 6), 0.1 + 0.2)))


def test_the_debiased_cka_of_independent_features_is_zero(x64):
    a, b = RNG.normal(size=(2, 12, 40)) + 5
    found = cka_of(a, b, debiased=True)
    n = 12  # by the definition, with the Gram matrices of the features as they are
    k, l = (g - np.diag(np.diag(g)) for g in (a @ a.T, b @ b.T))

    def hsic(k, l):
        return np.trace(k @ l) + k.sum() * l.sum() / (n - 1) / (n - 2) - 2 / (n - 2) * np.sum(k @ l)

    np.testing.assert_allclose(found, hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l)), rtol=1e-9)
    assert abs(found) < 0.2 < 0.7 < cka_of(a, b)
    np.testing.assert_allclose(cka_of(a, a, debiased=True), 1, rtol=1e-12)


def test_distances_are_those_of_scipy_and_know_no_isometry(x64):
    d = rdm_of(X)
    np.testing.assert_allclose(d, squareform(pdist(X)), rtol=1e-13)
    np.testing.assert_allclose(rdm_of(X @ ORTHOGONAL + 3), d, rtol=1e-12, atol=1e-12)
    assert np.abs(rdm_of(X * [2, 1, 1, 1, 1, 1]) - d).max() > 0.1
    np.testing.assert_allclose(rdm_of(X, "correlation"), squareform(pdist(X, "correlation")), atol=1e-13)
    flat = rdm_of(np.concatenate([X[:3], np.ones((1, 6))]), "correlation")
    np.testing.assert_array_equal(flat[3], [1, 1, 1, 0])
    near = rdm_of(np.array([[1e8, 0.0], [1e8, 1e-3]]))
    np.testing.assert_allclose(near[0, 1], 1e-3, rtol=1e-12)
    assert np.isfinite(jax.jit(jax.grad(lambda x: rdm(x).sum()))(jnp.zeros((3, 2)))).all()


def test_ranks_quantiles_and_what_leaves_them(x64):
    d = np.asarray(rdm_of(X))
    v = d[UPPER]
    pairs = lambda *args, **options: np.asarray(gt(*args, **options))[UPPER]  # noqa: E731
    ranks = (scipy.stats.rankdata(v) - 1) / (len(v) - 1)
    np.testing.assert_allclose(pairs(d, lower=0, upper=1), ranks, atol=1e-14)
    # exactly the fractions l and 1 − u of 105 pairs are clipped
    clipped = pairs(d, lower=0.2, upper=0.8)
    assert ((clipped == 0).sum(), (clipped == 1).sum()) == (21, 21)
    graph = pairs(d, lower=0.5, upper=0.5)
    assert set(graph) == {0.0, 1.0}
    np.testing.assert_array_equal(graph, v > np.median(v))
    # any increasing map with ranks, only affine ones without
    np.testing.assert_allclose(pairs(np.exp(d), lower=0.2, upper=0.8), clipped, atol=1e-14)
    plain = pairs(d, lower=0.2, upper=0.8, rank=False)
    np.testing.assert_allclose(pairs(7 * d + 2, lower=0.2, upper=0.8, rank=False), plain, atol=1e-12)
    assert np.abs(pairs(np.exp(d), lower=0.2, upper=0.8, rank=False) - plain).max() > 0.1
    # ranked first and thresholded first are not the same
    assert np.abs(scipy.stats.rankdata(plain) / len(v) - clipped).max() > 0.1
    order = RNG.permutation(15)
    np.testing.assert_allclose(
        gt(d[order][:, order], lower=0.2, upper=0.8), gt(d, lower=0.2, upper=0.8)[order][:, order]
    )
    smooth = pairs(d, sigmoid=(10, 0.5))
    np.testing.assert_allclose(smooth, 1 / (1 + np.exp(-10 * (ranks - 0.5))), atol=1e-14)
    ties = gt(np.ones((15, 15)), lower=0, upper=1)
    np.testing.assert_array_equal(ties, 0)  # 0/0


def test_quantiles_of_all_matrices_together(x64):
    d = np.asarray(rdm_of(X))
    both = np.stack([d, 10 * d])
    each, together = (np.asarray(gt(both, lower=0.0, upper=1.0, rank=False, pooled=p)) for p in (False, True))
    np.testing.assert_allclose(each[0], each[1], atol=1e-14)
    assert together[0].max() < 0.1 < together[1].max() == 1
    np.testing.assert_allclose(gt(both, lower=0.0, upper=1.0)[1], gt(both[1], lower=0.0, upper=1.0))


def test_geodesics_are_shortest_paths(x64):
    d = np.asarray(rdm_of(X))
    paths = jax.jit(geodesics, static_argnums=1, static_argnames="neighbors")
    np.testing.assert_allclose(paths(d, 1.0).distances, d, rtol=1e-12)  # a metric, and all edges
    for found, near in (
        (paths(d, 0.3), d <= np.quantile(d[UPPER], 0.3)),
        (paths(d, neighbors=3), (k := d <= np.sort(d, axis=1)[:, [3]]) | k.T),
    ):
        wanted = shortest_path(np.where(near, d, 0), directed=False)
        assert found.unreachable == np.isinf(wanted[UPPER]).sum()
        np.testing.assert_allclose(
            found.distances, np.where(np.isinf(wanted), wanted[np.isfinite(wanted)].max(), wanted)
        )
        assert (found.distances >= d - 1e-12)[np.isfinite(wanted)].all()
        assert np.abs(found.distances - d).max() > 0.1
    clouds = squareform(pdist(np.concatenate([X[:8], X[:7] + 100])))  # 28 + 21 of 105 pairs are in one of them
    apart = paths(clouds, 0.45)
    assert apart.unreachable == 56
    np.testing.assert_allclose(apart.distances[:8, 8:], np.asarray(apart.distances)[:8, :8].max(), rtol=0.5)
    assert apart.distances.max() < 20


def test_correlation_of_matrices(x64):
    a, b = np.asarray(rdm(X)), np.asarray(rdm(np.tanh(X)))
    np.testing.assert_allclose(rdm_correlation(a, b), np.corrcoef(a[UPPER], b[UPPER])[0, 1], rtol=1e-12)
    assert rdm_correlation(a, b) != pytest.approx(np.corrcoef(a.ravel(), b.ravel())[0, 1], abs=1e-3)  # the diagonal
    assert jnp.isnan(rdm_correlation(a, np.ones_like(a)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: cka(x, x[:3]), "y: expected 4 rows, as x has"),
        (lambda x: cka(x[:3], x[:3], debiased=True), "x, y: expected 4 samples at least where debiased, got 3"),
        (lambda x: rdm(x, "cosine"), r"metric: expected one of \('euclidean', 'correlation'\), got 'cosine'"),
        (lambda x: geo_topological(x), r"rdm: expected shape \(\.\.\., n, n\) .* got \(4, 2\)"),
        (lambda x: geo_topological(rdm(x), 0.8, 0.2), "lower, upper: expected 0 ≤ lower ≤ upper ≤ 1, got 0.8 and 0.2"),
        (lambda x: geodesics(rdm(x)), "quantile, neighbors: expected one of them"),
        (lambda x: geodesics(rdm(x), 1.5), "quantile: expected a number from 0 to 1"),
        (lambda x: geodesics(rdm(x), neighbors=4), "neighbors: expected at most 3"),
        (lambda x: rdm_correlation(rdm(x), rdm(x[:3])), r"b: expected shape \(4, 4\), as a has, got \(3, 3\)"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make(jnp.arange(8.0).reshape(4, 2))

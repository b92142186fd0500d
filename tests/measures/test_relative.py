"""Relative representations: which maps of the space leave each kind as it is, and which do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax.measures import choose_anchors, relative, stitch
from equijax.measures.relative import KINDS

RNG = np.random.default_rng(0)
X, ANCHORS = RNG.normal(size=(10, 4)) + 0.3, RNG.normal(size=(4, 4))
Q = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
MAPS = {
    "rotation": (lambda z: z @ Q, lambda z: z @ Q),
    "scale": (lambda z: 3 * z, lambda z: 3 * z),
    "scale of each": (lambda z: z * np.linspace(0.5, 2, len(z))[:, None], lambda z: z),
    "translation": (lambda z: z + 2, lambda z: z + 2),
    "linear": (lambda z: z @ np.diag([1.0, 2, 3, 4]) @ Q, lambda z: z @ np.diag([1.0, 2, 3, 4]) @ Q),
}
KEPT = {
    "cosine": {"rotation", "scale", "scale of each"},
    "centered": {"rotation", "scale", "translation"},
    "euclidean": {"rotation", "translation"},
    "angular": {"rotation", "scale", "scale of each"},
    "inner": {"rotation"},
    "basis": {"rotation", "scale", "linear"},
}
relative_of = jax.jit(relative, static_argnums=2)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_left_as_it_is_by_what_the_table_says(kind, x64):
    found = relative_of(X, ANCHORS, kind)
    change = {name: np.abs(relative_of(f(X), g(ANCHORS), kind) - found).max() for name, (f, g) in MAPS.items()}
    assert {name for name, error in change.items() if error < 1e-12} == KEPT[kind]
    assert all(error > 1e-2 for name, error in change.items() if name not in KEPT[kind])


def test_inner_products_are_over_the_root_of_the_features():
    """So that those of standard normal vectors have variance 1, however many anchors there are."""
    found = relative(jnp.array([3.0, 1, 0, 2]), jnp.array([[1.0, 1, 5, 0], [0, 0, 0, 4]]), "inner")
    np.testing.assert_allclose(found, [2.0, 4.0])


def test_values_of_each_kind(x64):
    cosine = X @ ANCHORS.T / np.outer(np.linalg.norm(X, axis=1), np.linalg.norm(ANCHORS, axis=1))
    np.testing.assert_allclose(relative_of(X, ANCHORS, "cosine"), cosine, atol=1e-14)
    np.testing.assert_allclose(relative_of(X, ANCHORS, "angular"), np.arccos(cosine) / np.pi, atol=1e-14)
    np.testing.assert_allclose(relative_of(X, ANCHORS, "inner"), X @ ANCHORS.T / 2, atol=1e-14)
    np.testing.assert_allclose(relative_of(X, ANCHORS, "basis") @ ANCHORS, X, atol=1e-12)
    near = relative_of(np.array([[1.0, 0.0], [1.0, np.pi * 1e-9], [0.0, 0.0]]), np.array([[1.0, 0.0]]), "angular")
    np.testing.assert_allclose(near[:, 0], [0, 1e-9, 0.5], rtol=1e-9)  # arccos would say 0
    slope = jax.jit(jax.grad(lambda z: relative(z, ANCHORS, "angular").sum()))(np.concatenate([ANCHORS, 0 * X[:1]]))
    assert np.isfinite(slope).all()
    fewer = relative_of(X, ANCHORS[:2], "basis")  # of least squares, then not for GL(d)
    np.testing.assert_allclose(fewer, np.linalg.lstsq(ANCHORS[:2].T, X.T, rcond=None)[0].T, atol=1e-12)


def test_a_decoder_runs_on_another_encoder(x64):
    weights = RNG.normal(size=(4, 3))
    decoder = lambda r: jnp.tanh(r @ weights)  # noqa: E731
    z, moved = X, 2.5 * X @ Q  # encoder B is A, turned and scaled
    logits = decoder(relative_of(z, ANCHORS, "cosine"))
    stitched = jax.jit(stitch(decoder, ANCHORS, 2.5 * ANCHORS @ Q))
    np.testing.assert_allclose(stitched(moved), logits, atol=1e-12)
    swapped = jax.jit(stitch(decoder, ANCHORS, 2.5 * ANCHORS[::-1] @ Q))  # the same inputs in another order
    assert np.abs(swapped(moved) - logits).max() > 0.1
    wide = jax.jit(stitch(decoder, ANCHORS, np.pad(2.5 * ANCHORS @ Q, [(0, 0), (0, 3)])))  # of another width
    np.testing.assert_allclose(wide(np.pad(moved, [(0, 0), (0, 3)])), logits, atol=1e-12)
    with pytest.raises(ValueError, match=r"trained, anchors: .* the same anchor inputs .* \(4, 4\) and \(3, 4\)"):
        stitch(decoder, ANCHORS, ANCHORS[:3])


def test_anchors_are_different_samples(x64):
    clusters = np.repeat(np.eye(4), 5, axis=0) * 10 + RNG.normal(0, 0.1, (20, 4))
    key = jax.random.key(0)
    for method in ("uniform", "farthest", "kmeans"):
        chosen = np.asarray(choose_anchors(clusters, 4, method, key=key))
        assert len(set(chosen)) == 4
        np.testing.assert_array_equal(chosen, choose_anchors(clusters, 4, method, key=key))
        assert method == "uniform" or set(chosen // 5) == {0, 1, 2, 3}  # one of each cluster
    with pytest.warns(UserWarning, match="clusters is empty"):  # of SciPy: all samples are the same
        assert set(np.asarray(choose_anchors(clusters * 0, 20, "kmeans"))) == set(range(20))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: relative(X, ANCHORS, "dot"), ValueError, "kind: expected one of .*'basis'.*, got 'dot'"),
        (lambda: relative(X, ANCHORS[0]), ValueError, r"anchors: expected shape \(anchors, features\), got \(4,\)"),
        (lambda: relative(X, ANCHORS[:, :3]), ValueError, r"x: expected shape \(\.\.\., 3\), got \(10, 4\)"),
        (lambda: choose_anchors(X, 11, "farthest"), ValueError, "count: expected at most 10, the samples, got 11"),
        (lambda: choose_anchors(X, 2, "pca"), ValueError, "method: expected 'uniform', 'farthest' or 'kmeans'"),
        (lambda: choose_anchors(X, 2), TypeError, "key: expected a random key"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()

"""Which galleries serve which queries: nearest neighbors by hand, ties, and pairs of models."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax.measures import average_compatibility, compatibility_matrix

RNG = np.random.default_rng(0)
QUERIES, GALLERY = RNG.normal(size=(3, 12, 4)), RNG.normal(size=(3, 9, 4))
Y, Z = jnp.arange(12) % 3, jnp.arange(9) % 3


def nearest(q, g, y, z, own=False):
    cosines = (q / np.linalg.norm(q, axis=1, keepdims=True)) @ (g / np.linalg.norm(g, axis=1, keepdims=True)).T
    return np.mean(z[np.argmax(cosines - (2 * np.eye(len(q)) if own else 0), axis=1)] == y)


def test_accuracy_of_queries_of_one_model_on_the_gallery_of_another(x64):
    found = jax.jit(compatibility_matrix)(QUERIES, Y, GALLERY, Z)
    wanted = [[nearest(q, g, Y, Z) for g in GALLERY] for q in QUERIES]
    np.testing.assert_allclose(found, wanted)
    assert not np.allclose(found, np.transpose(wanted))  # C_ij: query of i, gallery of j
    own = jax.jit(compatibility_matrix)(QUERIES, Y)
    np.testing.assert_allclose(own, [[nearest(q, g, Y, Y, own=True) for g in QUERIES] for q in QUERIES])
    collapsed = compatibility_matrix(np.ones((1, 12, 4)), Y, np.ones((1, 9, 4)), Z)
    np.testing.assert_allclose(collapsed, 1 / 3)  # of nine that are equally near a third is right


def test_the_share_of_compatible_pairs():
    c = jnp.array([[0.5, 0.9, 0.1], [0.6, 0.7, 0.1], [0.5, 0.8, 0.9]])  # (1, 0) and (2, 1), and a tie at (2, 0)
    assert average_compatibility(c) == pytest.approx(2 / 3)
    assert average_compatibility(c.T) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: compatibility_matrix(QUERIES, Y, GALLERY),
            ValueError,
            "gallery, gallery_labels: expected both or none",
        ),
        (lambda: compatibility_matrix(QUERIES, Z), ValueError, r"queries, labels: .* got \(3, 12, 4\) and \(9,\)"),
        (lambda: compatibility_matrix(QUERIES, Y * 1.0), TypeError, "labels: expected integers"),
        (lambda: compatibility_matrix(QUERIES, Y, GALLERY[:2], Z), ValueError, "gallery: expected 3 models of 4 feat"),
        (lambda: average_compatibility(jnp.ones((1, 1))), ValueError, "two models at least"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()

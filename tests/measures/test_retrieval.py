"""Ranks of the right entry, ties, chance, and the rotation of what is found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from equijax.measures import prediction_retrieval_error, retrieval, retrieval_chance

find = jax.jit(retrieval, static_argnames="hits")
error_of = jax.jit(prediction_retrieval_error)
RNG = np.random.default_rng(0)


def test_ranks_are_by_cosine_with_ties_in_the_middle(x64):
    gallery = np.array([[1.0, 0], [2, 0], [1, 1], [0, 5], [-3, 0]])  # the first two point the same way
    found = find(np.array([[0.1, 0], [0, 1.0]]), gallery, jnp.array([0, 4]), hits=(1, 2, 5))
    np.testing.assert_array_equal(found.ranks, [1.5, 4.0])  # two are first; three lie across, after two others
    np.testing.assert_allclose(found.mrr, (1 / 1.5 + 1 / 4) / 2)
    np.testing.assert_allclose(found.hits, [0, 0.5, 1])
    scaled = find(np.array([[1.0, 0.2], [0, 1.0]]), gallery * 1e-3, jnp.array([1, 4]), hits=(1, 2, 5))
    np.testing.assert_array_equal(scaled.ranks, [1.5, 4.0])  # lengths do not count


def test_collapsed_embeddings_score_as_they_should():
    rows = jnp.ones((50, 64)) * RNG.normal(size=64) + 1e-9
    found = find(rows * RNG.uniform(1, 2, (50, 1)), rows)
    np.testing.assert_array_equal(found.ranks, 25.5)
    np.testing.assert_array_equal(found.hits, 0)  # and not 1, as with argsort


def test_chance_is_what_random_embeddings_score(x64):
    chance = retrieval_chance(50)
    assert chance.mrr == pytest.approx(0.08998, abs=5e-6)
    assert chance.hits == (0.02, 0.1)
    key = jax.random.key(0)
    p, g = jax.random.normal(key, (200, 50, 8)), jax.random.normal(jax.random.fold_in(key, 1), (200, 50, 8))
    found = find(p, g)
    assert found.ranks.shape == (200, 50)
    assert found.mrr == pytest.approx(chance.mrr, abs=6e-3)
    np.testing.assert_allclose(found.hits, chance.hits, atol=1e-2)
    assert find(g, g).mrr == 1


def test_the_error_of_retrieved_rotations(x64):
    n = 400
    turns = Rotation.random(n, rng=RNG)
    q, r = turns.as_quat(), turns.as_matrix()
    z = RNG.normal(size=(n, 6))
    assert error_of(z, z, r, r) == pytest.approx(0, abs=1e-12)
    wrong = error_of(z, z, r, np.roll(r, 1, axis=0))
    np.testing.assert_allclose(wrong, np.mean(1 - np.sum(q * np.roll(q, 1, axis=0), axis=1) ** 2), rtol=1e-12)
    assert error_of(np.ones((n, 6)), np.ones((n, 6)), r, r) == pytest.approx(0.75, abs=2e-2)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: retrieval(x, x[:, :2]), ValueError, r"prediction, gallery: .* got \(6, 3\) and \(6, 2\)"),
        (lambda x: retrieval(x, x[:4]), ValueError, "target: expected one for each of 6 queries, whose gallery has 4"),
        (lambda x: retrieval(x, x, jnp.ones(6)), TypeError, "target: expected integers, got float32"),
        (lambda x: retrieval(x, x[:4], jnp.arange(6)), ValueError, "target: expected entries .* from 0 to 3"),
        (lambda x: retrieval(x, x, hits=(0,)), ValueError, "hits: expected an integer of at least 1"),
        (lambda x: prediction_retrieval_error(x, x, x, x), ValueError, r"rotations: expected shape \(6, 3, 3\)"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make(jnp.ones((6, 3)))

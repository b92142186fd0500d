"""Patches: against plain NumPy, under motions, with padding, duplicates and too few points."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial

from equijax import graphs, groups, reps

X = jnp.asarray(np.random.default_rng(0).normal(size=(40, 3)), jnp.float32)
spread = jax.jit(graphs.farthest_points, static_argnums=1)
near = jax.jit(graphs.nearest_points, static_argnums=2)


def farthest(x, count):
    """The definition, a point at a time."""
    chosen = [int(np.argmax(np.sum((x - x.mean(0)) ** 2, -1)))]
    while len(chosen) < count:
        chosen.append(int(np.argmax(np.min(np.sum((x[:, None] - x[chosen]) ** 2, -1), axis=1))))
    return chosen


def test_farthest_points_are_those_of_the_definition_wherever_the_set_is_and_in_any_order():
    found = spread(X, 12)
    np.testing.assert_array_equal(found.indices, farthest(np.asarray(X), 12))
    assert found.mask.all()
    moved = reps.Position().act(groups.E(3).sample(jax.random.key(0)), X)
    np.testing.assert_array_equal(spread(moved, 12).indices, found.indices)
    order = np.random.default_rng(1).permutation(len(X))
    np.testing.assert_array_equal(order[spread(X[order], 12).indices], found.indices)


def test_nearest_points_are_those_of_a_tree():
    distances, indices = scipy.spatial.cKDTree(X).query(X[::3] + 0.1, k=5)
    found = near(X, X[::3] + 0.1, 5)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-5)
    assert found.mask.all()
    assert (found.found == len(X)).all()


def test_a_ball_has_what_is_inside_and_says_how_many_there_are():
    inside = np.linalg.norm(X[:, None] - X, axis=-1) <= 1.0
    found = near(X, X, 6, radius=1.0)
    np.testing.assert_array_equal(found.found, inside.sum(1))
    np.testing.assert_array_equal(found.mask.sum(1), np.minimum(inside.sum(1), 6))
    assert (found.found > 6).any()
    assert (found.found < 6).any()
    assert all(inside[i, j] for i, row in enumerate(found.indices) for j in row)
    assert (np.where(found.mask, 0, found.indices - found.indices[:, :1]) == 0).all()  # the nearest again
    radii = jnp.linspace(0.1, 2, len(X))
    apart = np.linalg.norm(X[:, None] - X, axis=-1) <= radii[:, None]
    np.testing.assert_array_equal(near(X, X, 1, radius=radii).found, apart.sum(1))


def test_padding_is_never_chosen_and_too_few_points_are_masked():
    padded = jnp.concatenate([jnp.full((3, 3), jnp.nan), 1e3 + X[:2], X])
    real = np.arange(45) >= 5
    np.testing.assert_array_equal(spread(padded, 12, real).indices - 5, spread(X, 12).indices)
    np.testing.assert_array_equal(near(padded, X, 4, real).indices - 5, near(X, X, 4).indices)
    few = np.arange(45) % 20 == 10  # points 10 and 30
    chosen, patches = spread(padded, 4, few), near(padded, X[:2], 3, few)
    assert sorted(chosen.indices[:2].tolist()) == [10, 30]
    np.testing.assert_array_equal(chosen.mask, [True, True, False, False])
    np.testing.assert_array_equal(patches.mask, [[True, True, False]] * 2)
    assert set(np.ravel(patches.indices).tolist()) == {10, 30}
    assert not spread(padded, 2, np.zeros(45, bool)).mask.any()


def test_points_that_coincide_are_chosen_once_each():
    pair = jnp.asarray([[0.0, 0], [0, 0], [3, 0], [3, 0]])
    assert spread(pair, 4).indices.tolist() == [0, 2, 1, 3]
    assert near(pair, pair[:1], 3).indices.tolist() == [[0, 1, 2]]


def test_no_array_is_of_all_points_by_all():
    many = jax.ShapeDtypeStruct((10_000, 3), jnp.float32)
    program = near.lower(many, many, 16).compile()
    assert program.memory_analysis().temp_size_in_bytes < 10_000**2
    assert spread.lower(many, 500).compile().memory_analysis().temp_size_in_bytes < 10_000**2 / 100


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda: spread(X, 41), ValueError, "count: expected at most 40, the number of points, got 41"),
        (lambda: spread(X, 0), ValueError, "count: expected an integer of at least 1, got 0"),
        (lambda: near(X, X, 50), ValueError, "k: expected at most 40, the number of points, got 50"),
        (lambda: near(X, X[:, :2], 5), ValueError, r"centers: expected shape \(m, 3\), as the points, got \(40, 2\)"),
        (lambda: graphs.nearest_points(X, X, 5, radius=-1.0), ValueError, "radius: expected a positive number"),
        (lambda: near(X, X, 5, radius=jnp.ones(3)), ValueError, r"radius: expected one number, or shape \(40,\)"),
        (lambda: spread(X[None], 5), ValueError, r"points: expected shape \(n, d\), .* use jax.vmap for a batch"),
        (lambda: near(X, X, 5, np.ones((40, 1))), ValueError, r"mask: expected shape \(40,\), one entry a point"),
        (lambda: spread(jnp.ones((4, 3), int), 2), TypeError, "points: expected real floating-point numbers, got int"),
    ],
)
def test_what_does_not_fit_is_named(f, error, message):
    with pytest.raises(error, match=message):
        f()


def test_they_run_in_batches_and_have_no_derivatives():
    f = functools.partial(graphs.nearest_points, k=3)
    batch = jnp.stack([X, X[::-1]])
    np.testing.assert_array_equal(jax.vmap(f)(batch, batch).indices[0], f(X, X).indices)
    assert (jax.grad(lambda x: jnp.sum(f(x, x).distances))(X) == 0).all()

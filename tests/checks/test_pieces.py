"""Checks of functions of pieces that move on their own: which one breaks the symmetry, finer and coarser partitions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, reps

LABELS = np.array([0, 0, 0, 1, 1, 2, 2, 2])
X = jnp.asarray(np.random.default_rng(0).normal(size=(8, 3)), jnp.float32)


@functools.partial(jax.jit, static_argnums=(1, 2))
def sizes(x, labels, world=None):
    """The distance of each point from the center of its piece; for points of one piece along the z axis."""
    one = jax.nn.one_hot(np.array(labels), max(labels) + 1, dtype=x.dtype)  # (n, pieces); zeros for −1
    center = (one.T @ x) / jnp.maximum(jnp.sum(one, axis=0), 1)[:, None]
    off = x - one @ center
    height = jnp.abs(off[:, 2])
    return jnp.where(np.array(labels) == world, height, jnp.sqrt(jnp.sum(off**2, axis=-1)))


def symmetry(labels, count=3):
    return ej.Symmetry(groups.Power(groups.E(3), count), reps.Pieces(reps.Position(), labels), None)


def report(labels, moved, world=None, **options):
    f = lambda x: sizes(x, tuple(labels.tolist()), world)  # noqa: E731
    return ej.check(f, symmetry(moved), (X,), samples=2, **options)


def test_the_piece_that_is_broken_is_blamed():
    report(LABELS, LABELS).assert_exact()
    found = report(LABELS, LABELS, world=2)
    broken = {name for name, error in found.by_part.items() if error > 1e-3}
    assert broken == {"rotation of piece 2"}  # the mirror is across x, and heights are along z
    assert "piece 2 linear" in str(found)


def test_a_finer_partition_keeps_the_motion_and_a_coarser_one_does_not():
    finer, coarser = np.array([0, 0, 1, 2, 3, 4, 4, 4]), np.array([0, 0, 0, 1, 1, 1, 1, 1])
    report(finer, LABELS).assert_exact()
    assert report(np.arange(8), LABELS).verdict == "vacuous"  # one point each: the distance is always zero
    assert report(coarser, LABELS).verdict == "broken"


def test_points_of_no_piece_stay_and_a_piece_may_be_empty():
    g = groups.Power(groups.E(3), 4).sample(jax.random.key(0))
    labels = np.array([0, 3, -1, 1, 1, 3, -1, 0])  # none of piece 2
    moved = reps.Pieces(reps.Position(), labels).act(g, X)
    for label in (0, 1, 3):
        one = jax.tree.map(lambda leaf, k=label: leaf[k], g.each)
        rows = np.flatnonzero(labels == label)
        np.testing.assert_allclose(moved[rows], reps.Position().act(one, X[rows]), atol=1e-5)
    np.testing.assert_array_equal(moved[labels < 0], X[labels < 0])
    f = lambda x: sizes(x, tuple(labels.tolist()))  # noqa: E731
    found = ej.check(f, symmetry(labels, 4), (X,), mask=lambda x: labels >= 0, samples=2)
    found.assert_exact()
    assert "padding" in found.by_part


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: symmetry(LABELS, 2), r"inputs: labels: expected 0 to 1, the pieces of Power\(E\(3\), 2\), .* got 2"),
        (lambda: symmetry(LABELS - 2), "labels: expected an integer of at least -1, got -2"),
        (lambda: symmetry([]), "labels: expected one a point, got none"),
        (
            lambda: symmetry(LABELS).act_inputs(groups.Power(groups.E(3), 3).identity(), (X[1:],)),
            r"args\[0\]: expected 8 points",
        ),
        (lambda: groups.Power(groups.E(3), 0), "count: expected an integer of at least 1, got 0"),
    ],
)
def test_labels_that_do_not_fit_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: symmetry([0.5, 1.0]), "labels: expected an integer, got 0.5"),
        (lambda: symmetry(np.ones((2, 2), int)), r"labels: expected an integer, got array\(\[1, 1\]\)"),
        (lambda: ej.Symmetry(groups.E(3), reps.Pieces(reps.Position(), LABELS), None), r"acts for groups\.Power"),
        (lambda: reps.Pieces(reps.Position(), LABELS).act(groups.E(3).identity(), X), r"an element of groups\.Power"),
        (lambda: reps.Position().act(groups.Power(groups.E(3), 3).identity(), X), "an element of a product of groups"),
    ],
)
def test_what_is_of_the_wrong_kind_is_named(make, message):
    with pytest.raises(TypeError, match=message):
        make()

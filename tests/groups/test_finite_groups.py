"""Finite groups as the books have them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups


@pytest.mark.parametrize(
    ("group", "order", "improper"),
    [
        (groups.Cyclic(1), 1, 0),
        (groups.Cyclic(6), 6, 0),
        (groups.Dihedral(5), 10, 5),
        (groups.Tetrahedral(), 12, 0),
        (groups.Tetrahedral(reflections=True), 24, 12),
        (groups.Octahedral(), 24, 0),
        (groups.Octahedral(reflections=True), 48, 24),
        (groups.Icosahedral(), 60, 0),
        (groups.Icosahedral(reflections=True), 120, 60),
    ],
    ids=repr,
)
def test_orders_and_reflections(group, order, improper):
    table = group.table()
    assert group.order == len(table) == order
    assert (np.linalg.det(table) < 0).sum() == improper
    assert np.abs(table @ table.swapaxes(1, 2) - np.eye(table.shape[-1])).max() < 1e-15
    np.testing.assert_array_equal(table[0], np.eye(table.shape[-1]))


@pytest.mark.core
def test_quarter_turns_are_exact():
    np.testing.assert_array_equal(np.abs(groups.Dihedral(4).table()).sum(-1), 1)
    np.testing.assert_array_equal(groups.Cyclic(4).table()[1], [[0, -1], [1, 0]])
    assert set(np.unique(groups.Octahedral(reflections=True).table())) == {-1, 0, 1}


def test_dihedral_relation():
    table = groups.Dihedral(7).table()
    r, s = table[1], table[7]
    np.testing.assert_array_equal(s, np.diag([-1, 1]))
    np.testing.assert_allclose(s @ r, r.T @ s, atol=1e-15)


def test_polyhedra_keep_their_corners():
    phi = (1 + 5**0.5) / 2
    corners = {
        groups.Tetrahedral(reflections=True): [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)],
        groups.Octahedral(reflections=True): [tuple(row) for row in np.concatenate([np.eye(3), -np.eye(3)])],
        groups.Icosahedral(reflections=True): [
            tuple(np.roll([0, a, b * phi], k)) for a in (1, -1) for b in (1, -1) for k in range(3)
        ],
    }
    for group, points in corners.items():
        moved = np.einsum("gij,pj->gpi", group.table(), np.array(points, float))
        for cloud in moved:
            assert {tuple(p) for p in cloud.round(6) + 0.0} == {tuple(p) for p in np.round(points, 6) + 0.0}


def test_permutations_send_places():
    p, q, x = jnp.array([2, 0, 1]), jnp.array([1, 0, 2]), np.array([10, 20, 30])
    moved = np.empty(3, int)
    moved[np.asarray(p)] = x  # what is in place i goes to place p_i
    np.testing.assert_array_equal(moved, x[np.asarray(groups.Permutation(3).inverse(p))])
    np.testing.assert_array_equal(groups.Permutation(3).compose(p, q), [p[q[0]], p[q[1]], p[q[2]]])


def test_shifts_wrap():
    group = groups.Shift((4, 6), step=2)
    np.testing.assert_array_equal(group.compose(jnp.array([2, 4]), jnp.array([2, 4])), [0, 2])
    np.testing.assert_array_equal(group.inverse(jnp.array([2, 4])), [2, 2])
    assert groups.Shift(8) == groups.Shift((8,))
    assert groups.Shift((100, 100)).elements() is None
    assert jax.tree.leaves(groups.Permutation(9).elements()) == []


def test_violation_is_the_distance_from_the_nearest_element():
    turn = groups.SO(2).exp(jnp.array([0.3]))
    found = groups.Cyclic(4).violation(jnp.stack([turn, jnp.diag(jnp.array([-1.0, 1.0])), jnp.eye(2)]))
    np.testing.assert_allclose(found, [np.sin(0.3), 1, 0], atol=1e-6)
    with pytest.raises(ValueError, match=r"g: expected elements of Cyclic\(4\), .* by 3.0e-01"):
        groups.check_element(groups.Cyclic(4), turn)
    group = groups.Icosahedral(reflections=True)
    assert group.violation(group.elements()).max() < 1e-6


@pytest.mark.parametrize("group", [groups.Cyclic(2), groups.Cyclic(5), groups.Dihedral(3), groups.Shift(3)])
def test_samples_reach_every_element(group):
    drawn = np.asarray(group.sample(jax.random.key(0), (200,)), float).reshape(200, -1).round(3) + 0.0
    assert len(np.unique(drawn, axis=0)) == group.order


@pytest.mark.parametrize(
    ("angles", "match"), [((0, 1), "element 1 times element 1"), ((1, 0), "identity as the first")]
)
def test_a_table_that_is_no_group_is_refused(angles, match):
    @groups.static
    class Turns(groups.FiniteMatrices):
        angles: tuple

        def table(self):
            c, s = np.cos(self.angles), np.sin(self.angles)
            return np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)

    with pytest.raises(ValueError, match=match):
        Turns(angles).elements()

"""Projected orbits: views are linear in the rotation behind the tanh, and objects are split."""

import numpy as np
import pytest

from equijax import data


def off(rotations, views):
    """How much of arctanh(views) no linear map of the first two rows of the rotations explains, for each object."""
    bent = np.arctanh(views.astype(float))
    rows = rotations[:, :, :2].reshape(*rotations.shape[:2], 6)
    return max(
        np.abs(bent[k] - rows[k] @ np.linalg.lstsq(rows[k], bent[k], rcond=None)[0]).max() for k in range(len(views))
    )


def test_views_are_projections_of_what_the_rotations_turn():
    train, test = data.orbit_projections(2, 4, 12, held_out=1, nuisance=0.0, noise=0.0)
    for found in (train, test):
        kept = np.abs(found.views).max(axis=(0, 1)) < 0.98  # where arctanh keeps digits of float32
        assert kept.sum() > 10
        assert off(found.rotations, found.views[..., kept]) < 1e-4
        assert off(found.rotations.swapaxes(2, 3), found.views[..., kept]) > 0.1  # Rᵀ in the place of R
        np.testing.assert_allclose(found.rotations @ found.rotations.swapaxes(2, 3) - np.eye(3), 0, atol=1e-12)


def test_turns_are_about_fixed_axes_x_then_y_then_z():
    """R = Rz Ry Rx: its third row is (−sin β, cos β sin α, cos β cos α), with all angles below the bound."""
    turns = data.orbit_projections(5, 10, 40, angle=0.5).train.rotations.reshape(-1, 3, 3)
    alpha, gamma = np.arctan2(turns[:, 2, 1], turns[:, 2, 2]), np.arctan2(turns[:, 1, 0], turns[:, 0, 0])
    for found in (alpha, -np.arcsin(turns[:, 2, 0]), gamma):
        assert 0.49 < np.abs(found).max() < 0.5
        assert abs(found.std() - 0.5 / 3**0.5) < 0.02
    swapped = turns.swapaxes(1, 2)  # what intrinsic angles of the other sign would give
    assert np.abs(np.arctan2(swapped[:, 2, 1], swapped[:, 2, 2])).max() > 0.5


def test_objects_are_split_and_seeds_repeat():
    train, test = data.orbit_projections()
    assert train.views.shape == (500, 24, 64)
    assert test.views.shape == (100, 24, 64)
    assert train.views.dtype == np.float32
    objects = [set(zip(part.classes.tolist(), part.instances.tolist(), strict=True)) for part in (train, test)]
    assert not objects[0] & objects[1]
    assert len(objects[0] | objects[1]) == 600
    assert set(train.classes) == set(test.classes) == set(range(20))
    again, other = data.orbit_projections(), data.orbit_projections(seed=1)
    np.testing.assert_array_equal(again.test.views, test.views)
    assert (other.test.views != test.views).all()
    # classes are farther apart than instances of one: a mean over views tells them
    means = train.views.mean(axis=1).reshape(20, 25, 64)
    assert means.mean(axis=1).std(axis=0).mean() > 1.5 * means.std(axis=1).mean()


BAD = [
    (lambda: data.orbit_projections(held_out=30), "held_out: expected fewer than the 30 instances of a class, got 30"),
    (lambda: data.orbit_projections(classes=0), "classes: expected an integer of at least 1"),
    (lambda: data.orbit_projections(angle=0.0), "angle: expected a positive number"),
    (lambda: data.orbit_projections(noise=-1.0), "noise: expected zero or more, got -1.0"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()

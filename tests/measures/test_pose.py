"""Rotations that are read off pose matrices, in float64 against known ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from equijax.measures import pose_score, relative_rotation, rotation_score

read, score_of, pose_score_of = map(jax.jit, (relative_rotation, rotation_score, pose_score))
RNG = np.random.default_rng(1)
TURNS = Rotation.random(16, rng=np.random.default_rng(2)).as_matrix()


def test_ideal_poses_tell_the_relative_rotation(x64):
    r1, r2 = TURNS[:8], TURNS[8:]
    relative = np.swapaxes(r1, 1, 2) @ r2
    a = RNG.normal(size=(5, 3, 3))  # capsules of an object, P = A R of each view
    p, q = a @ r1[:, None], a @ r2[:, None]
    np.testing.assert_allclose(read(p, q), relative, atol=1e-12)
    assert np.abs(read(q, p) - relative).max() > 0.1  # the inverse
    wrong_side = r1[:, None] @ a, r2[:, None] @ a
    assert np.abs(read(*wrong_side) - relative).max() > 0.1
    score = pose_score_of(p, q, relative)
    assert score.r2 > 1 - 1e-12
    assert score.angle < 1e-7
    assert score.ambiguous == 0
    mirrored = read(p, -q)  # a reflection is mapped to a rotation
    np.testing.assert_allclose(np.linalg.det(mirrored), 1, atol=1e-12)


def test_small_angles_keep_their_digits(x64):
    tiny = Rotation.from_rotvec(2e-9 * TURNS[:, 0]).as_matrix()
    near = score_of(tiny, np.broadcast_to(np.eye(3), (16, 3, 3)))
    np.testing.assert_allclose(near.angle, 2e-9, rtol=1e-6)  # arccos of the trace would say 0 or 2e-8
    assert np.arccos((np.trace(tiny[1]) - 1) / 2) != pytest.approx(2e-9, rel=0.5)


def test_predictions_are_projected_for_the_angle_and_not_for_r2(x64):
    score = score_of(0.5 * TURNS, TURNS)
    assert score.angle < 1e-7
    assert score.r2 < 0.8
    turned = score_of(TURNS @ Rotation.from_rotvec([0, 0.3, 0]).as_matrix(), TURNS)
    np.testing.assert_allclose(turned.angle, 0.3, atol=1e-12)


def test_poses_that_tell_nothing_are_counted(x64):
    p = RNG.normal(size=(8, 5, 3, 3))
    p[0], p[1] = 0, p[1, :, :, :1] * np.array([1.0, 2.0, 3.0])  # zero, and H of rank one
    assert pose_score_of(p, p, np.broadcast_to(np.eye(3), (8, 3, 3))).ambiguous == 0.25
    assert score_of(np.zeros((16, 3, 3)), TURNS).ambiguous == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: rotation_score(jnp.ones((2, 9)), jnp.ones((2, 9))),
            r"prediction: .*\(samples, 3, 3\), got \(2, 9\); ",
        ),
        (lambda: rotation_score(jnp.ones((2, 3, 3)), jnp.ones((2, 3, 3))), r"target: expected elements of SO\(3\)"),
        (lambda: relative_rotation(jnp.ones((2, 3, 3)), jnp.ones((2, 3, 3))), r"poses: .*\(samples, capsules, 3, 3\)"),
        (lambda: relative_rotation(jnp.ones((2, 1, 3, 3)), jnp.ones((2, 4, 3, 3))), r"moved: .* as poses has"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()

"""Articulated chains: rigid links, exact labels, joints that hold, bends in their range."""

import numpy as np
import pytest

from equijax import data

CHAINS = data.articulated(20, points=40, frames=4, bend=(0.3, 0.8), seed=1)


def test_each_link_moves_as_a_rigid_body_by_its_own_motion():
    for k in range(4):
        points, rest = CHAINS.points[:, :, CHAINS.labels == k], CHAINS.at_rest[:, CHAINS.labels == k]
        r, t = CHAINS.rotations[:, :, k], CHAINS.translations[:, :, k]
        np.testing.assert_allclose(points, np.einsum("btij,bnj->btni", r, rest) + t[:, :, None], atol=1e-12)
        np.testing.assert_allclose(np.swapaxes(r, -1, -2) @ r, np.broadcast_to(np.eye(3), r.shape), atol=1e-12)
        assert (np.linalg.det(r) > 0).all()


def test_joints_hold_and_bend_in_their_range():
    lengths = [link.length for link in data.CHAIN]
    for k, length in enumerate(lengths[:-1]):
        end = CHAINS.translations[:, :, k] + length * CHAINS.rotations[:, :, k, :, 2]
        np.testing.assert_allclose(CHAINS.translations[:, :, k + 1], end, atol=1e-12)
        axes = CHAINS.rotations[:, :, k, :, 2], CHAINS.rotations[:, :, k + 1, :, 2]
        angle = np.arccos(np.clip(np.sum(axes[0] * axes[1], axis=-1), -1, 1))
        assert angle.max() <= 0.8 + 1e-6
        assert angle[:, [0, -1]].min() >= 0.3 - 1e-6
        assert np.ptp(angle, axis=1).max() > 0.05  # they move


def test_points_and_normals_are_those_of_elliptic_cones():
    link, rest = data.CHAIN[1], CHAINS.at_rest[:, CHAINS.labels == 1]
    height = rest[..., 2] / link.length
    radius = link.start + (link.end - link.start) * height
    np.testing.assert_allclose(np.hypot(rest[..., 0], rest[..., 1] / 0.6), radius, atol=1e-12)
    assert height.min() >= 0
    assert height.max() <= 1
    # normals by the gradient of what is constant on the surface, outwards
    slope = -radius * (link.end - link.start) / link.length
    gradient = np.stack([rest[..., 0], rest[..., 1] / 0.36, slope], axis=-1)
    gradient /= np.linalg.norm(gradient, axis=-1, keepdims=True)
    turned = np.einsum("btji,btnj->btni", CHAINS.rotations[:, :, 1], CHAINS.normals[:, :, CHAINS.labels == 1])
    np.testing.assert_allclose(turned, np.broadcast_to(gradient[:, None], turned.shape), atol=1e-12)


def test_a_seed_is_its_numbers():
    again, other = (data.articulated(2, points=10, seed=seed).points for seed in (3, 4))
    np.testing.assert_array_equal(again, data.articulated(2, points=10, seed=3).points)
    assert np.abs(again - other).max() > 0.1
    np.testing.assert_allclose(again[0, 0, 0], [-0.2069, -0.1456, 0.1453], atol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count: expected an integer of at least 1, got 0"),
        ({"bend": (1.0, 0.5)}, r"bend: expected two angles in order, from 0 to π, got \(1.0, 0.5\)"),
        ({"links": data.CHAIN[:1]}, "links: expected two at least, got 1"),
        ({"links": (data.Link(1, 1, 0), data.Link(1, 1, 1))}, "links: expected a positive number, got 0"),
        ({"points": 2}, "points: expected enough for 4 links, got 2: link 1 has none"),
    ],
)
def test_what_does_not_fit_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        data.articulated(**({"count": 1} | options))

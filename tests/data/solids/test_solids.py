"""Solids: closed surfaces of known area and volume, evenly sampled, in the order of their labels."""

import numpy as np
import pytest

from equijax import data
from equijax.data.solids import shapes


@pytest.mark.parametrize("name", data.SOLIDS)
def test_surfaces_are_closed_and_normals_point_out(name):
    """The normals of a closed surface add up to zero, and ∫ x·n dA is three times the volume."""
    rng = np.random.default_rng(0)
    points, normals = shapes._sample(rng, data.SOLIDS[name](rng.uniform), n := 40_000)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-12)
    assert np.abs(normals.mean(0)).max() < 4 / n**0.5
    assert (points * normals).sum(1).mean() > 0.2
    assert 0.97 < np.linalg.norm(points, axis=1).max() < 1 + 1e-12
    low, high = points.min(0), points.max(0)
    np.testing.assert_allclose(low + high, 0, atol=0.03)


@pytest.mark.parametrize(
    ("name", "ratio"),
    [
        # three times the volume over the area, at proportions in the middle, before scaling; and the radius that scales
        ("box", 3 * 1.2 / (2 * (1.0 + 1.2 + 1.2)) / np.sqrt(0.25 + 0.25 + 0.36)),
        ("cylinder", 3 * 0.36 * 1.2 / (2 * 0.36 + 2 * 0.6 * 1.2) / np.hypot(0.6, 0.6)),
        ("capsule", 3 * (0.25 * 0.7 + 4 / 3 * 0.125) / (4 * 0.25 + 2 * 0.5 * 0.7) / 0.85),
        ("ring", 3 * (2 * np.pi**2 * 0.7 * 0.275**2) / (4 * np.pi**2 * 0.7 * 0.275) / 0.975),
        ("tube", 3 * (0.49 - 0.16) * 1.1 / (2 * (0.49 - 0.16) + 2 * 1.1 * (0.7 + 0.4)) / np.hypot(0.7, 0.55)),
        ("angle", 3 * (1.05 * 0.3 + 0.75 * 0.3) * 1.2 / (2 * 0.54 + 4.2 * 1.2) / np.sqrt(2 * 0.525**2 + 0.36)),
    ],
)
def test_volume_over_area(name, ratio):
    points, normals = shapes._sample(np.random.default_rng(0), data.SOLIDS[name](lambda a, b: (a + b) / 2), 200_000)
    assert (points * normals).sum(1).mean() == pytest.approx(ratio, rel=0.01)


@pytest.mark.parametrize(("name", "below", "above", "height"), [("cone", 0.65, 0.0, 1.2), ("frustum", 0.7, 0.375, 1.1)])
def test_slanted_sides_are_evenly_sampled(name, below, above, height):
    """∫ z² n_z dA is twice the volume times the height z of the center of mass over the base: h/4 for a cone."""
    points, normals = shapes._sample(np.random.default_rng(0), data.SOLIDS[name](lambda a, b: (a + b) / 2), 200_000)
    size = np.hypot(below, height / 2)
    found = 1.5 * np.mean((size * points[:, 2] + height / 2) ** 2 * normals[:, 2]) / np.mean((points * normals).sum(1))
    areas = below**2 + below * above + above**2
    center = height / 4 * (areas + below * above + 2 * above**2) / areas
    assert found / size == pytest.approx(center, rel=0.02)


def test_kinds_come_equally_often_and_seeds_repeat():
    first, again, other = (data.solids(24, 10, seed=seed) for seed in (1, 1, 2))
    assert np.bincount(first.labels).tolist() == [2] * len(data.SOLIDS)
    np.testing.assert_array_equal(first.points, again.points)
    assert not np.array_equal(first.labels, other.labels)
    noisy = data.solids(24, 10, seed=1, noise=0.1)
    assert 0.08 < np.std(noisy.points - first.points) < 0.12
    with pytest.raises(ValueError, match="noise: expected zero or more, got -1"):
        data.solids(2, noise=-1)
    with pytest.raises(ValueError, match="count: expected an integer of at least 1"):
        data.solids(0)

"""The n-body benchmark: published draws, reference trajectories, what the clip of forces breaks, and its cache."""

import functools
import hashlib
from pathlib import Path

import numpy as np
import pytest

from equijax import data
from equijax.data.particles.charged import initial_states, simulate

# Signs of all 14,000 published charge vectors, and coordinates of the first trajectory at frame 20
CHARGES_SHA256 = "92811a4f7c3c1d89c5561202cadd42b0a2a725d2e8a79ed70d6462e8059bacec"
FRAME_20 = [[1.9262028, 1.42473731, -0.92586417], [-0.22531369, 0.06917401, 0.78886886]]
SHARED = Path(__file__).parents[4] / "shared" / "data" / "nbody-charged"
TURN = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]


@functools.cache
def drawn():
    return initial_states(14_000)


def test_charges_are_the_published_ones():
    charges, x, v = drawn()
    assert hashlib.sha256((charges > 0).tobytes()).hexdigest() == CHARGES_SHA256
    np.testing.assert_allclose(np.linalg.norm(v, axis=-1), 0.5, rtol=1e-14)
    np.testing.assert_allclose(x[0, 0], [0.40609421, 1.49140104, -0.51885051], atol=1e-8)
    np.testing.assert_allclose(v[-1, 4], [0.09150099, -0.32148228, 0.37185577], atol=1e-8)


def test_particles_drawn_outside_of_the_box_are_put_back_and_fly_inwards():
    _, x, v = initial_states(1, particles=1000, seed=3)
    random = np.random.RandomState(3)
    random.choice([-1.0, 0.0, 1.0], size=(1000, 1), p=[0.5, 0, 0.5])
    at = random.randn(3, 1000).T * 200 ** (1 / 3)
    outside = np.abs(at) > 5
    assert outside.sum() > 100
    np.testing.assert_allclose(x[0], np.where(outside, 10 * np.sign(at) - at, at))  # mirrored at the wall
    assert (v[0][outside] * np.sign(at[outside]) < 0).all()
    assert (np.sign(v[0][~outside]) > 0).mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.core
def test_a_trajectory_goes_where_the_published_one_does():
    charges, x, v = initial_states(2)
    x, v, _ = simulate(charges, x, v, 1000)
    x, v, clipped = simulate(charges, x, v, 1100)  # two runs are one
    np.testing.assert_allclose(x[0, :2], FRAME_20, atol=1e-8)
    assert clipped.shape == (2,)
    np.testing.assert_array_equal(simulate(charges[0], x[0], v[0], 0)[0], x[0])


def test_stored_references():
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED}: no reference trajectories here")
    charges, x, v = drawn()
    with np.load(SHARED / "reference_first8_train.npz") as file:
        reference = dict(file)
    np.testing.assert_array_equal(charges[:8], reference["charges"])
    np.testing.assert_array_equal(x[:8], reference["x_init"])
    np.testing.assert_allclose(v[:8], reference["v_init"], atol=1e-15)
    for frame in (0, 20):
        found = simulate(charges[:8], x[:8], v[:8], 100 * (frame + 1))
        for a, key in zip(found, ("x", "v"), strict=False):
            np.testing.assert_allclose(a, reference[key][:, frame], atol=1e-10)
    with np.load(SHARED / "nbody_small.npz") as file:
        small = dict(file)
    for name, start, count in (("train", 0, 3000), ("valid", 10_000, 2000), ("test", 12_000, 2000)):
        np.testing.assert_array_equal(charges[start : start + count], small[f"{name}_charges"])
    sets = data.charged_particles()
    for name, windows in zip(("train", "valid", "test"), sets, strict=True):
        for found, key in ((windows.positions, "x30"), (windows.velocities, "v30"), (windows.targets, "x40")):
            error = np.abs(found - small[f"{name}_{key}"]).max(axis=(1, 2))
            assert np.median(error) < 1e-6
            assert np.mean(error > 1e-4) < 0.08  # rounding decides the rest, after clipped encounters
    assert abs(sets.test.clipped.mean() - 0.164) < 0.002
    last = np.mean((sets.test.targets - sets.test.positions) ** 2)
    np.testing.assert_allclose(last, 0.2717, atol=5e-4)


def test_the_norm_clip_is_equivariant_and_the_component_clip_only_where_it_does_not_act():
    charges, x, v = (a[:300] for a in drawn())
    x, v, _ = simulate(charges, x, v, 1500)
    for clip in ("norm", "component"):
        y, _, clipped = simulate(charges, x, v, 300, force_clip=clip)
        turned, _, also = simulate(charges, x @ TURN.T, v @ TURN.T, 300, force_clip=clip)
        error = np.abs(turned - y @ TURN.T).max(axis=(1, 2))
        assert error[~clipped & ~also].max() < 1e-8
        assert clipped.any()
        assert (np.median(error[clipped & also]) < 1e-8) == (clip == "norm")


def test_momentum_and_a_force_by_hand():
    x, v = np.array([[0.0, 0, 0], [2, 0, 0]]), np.zeros((2, 3))
    _, v, clipped = simulate(np.array([1.0, -1.0]), x, v, 1)
    np.testing.assert_allclose(v, [[2.5e-4, 0, 0], [-2.5e-4, 0, 0]], rtol=1e-12)
    assert not clipped
    charges, x, v = (a[:20] for a in drawn())
    still = simulate(charges, x, v, 50, force_clip="norm")
    kept = ~still[2]
    np.testing.assert_allclose(still[1][kept].sum(axis=1), v[kept].sum(axis=1), atol=1e-12)


def test_the_cache_is_read_again_and_refused_with_other_settings(tmp_path):
    small = {"train": 2, "validation": 1, "test": 1, "frames": (0, 1)}
    path = tmp_path / "folder" / "sets.npz"
    first = data.charged_particles(**small, cache=path)
    assert [p.name for p in path.parent.iterdir()] == ["sets.npz"]
    again = data.charged_particles(**small, cache=path)
    for a, b in zip(first, again, strict=True):
        for u, w in zip(a, b, strict=True):
            np.testing.assert_array_equal(u, w)
    with pytest.raises(ValueError, match=r"sets\.npz: holds .*component.*, expected .*norm"):
        data.charged_particles(**small, force_clip="norm", cache=path)
    np.save(tmp_path / "other.npy", np.ones(3))
    for content in (path.read_bytes()[:100], b"", (tmp_path / "other.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"sets\.npz: not written by .* or damaged"):
            data.charged_particles(**small, cache=path)
    with pytest.raises(ValueError, match="cache: expected a file, got the folder"):
        data.charged_particles(**small, cache=tmp_path)


BAD = [
    ({"force_clip": "length"}, "force_clip: expected one of component, norm, got 'length'"),
    ({"train": 20_000}, "train: expected at most 10000"),
    ({"frames": (40, 30)}, r"frames: expected two numbers in order"),
]


@pytest.mark.parametrize(("settings", "message"), BAD, ids=[next(iter(s)) for s, _ in BAD])
def test_errors_name_the_argument(settings, message):
    with pytest.raises(ValueError, match=message):
        data.charged_particles(**settings)
    with pytest.raises(ValueError, match="count: expected an integer of at least 1, got -1"):
        initial_states(-1)
    with pytest.raises(ValueError, match=r"expected shapes \(..., n\)"):
        simulate(np.ones(3), np.ones((4, 3)), np.ones((4, 3)), 1)

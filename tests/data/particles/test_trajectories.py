"""Springs and charged trajectories: known numbers, conservation, superposition, and the n-body generator."""

import numpy as np
import pytest

from equijax import data


def test_springs_are_symmetric_keep_momentum_and_agree_with_steps_taken_one_by_one():
    found = data.springs(400, frames=2)
    edges, x = found.edges, found.positions
    np.testing.assert_array_equal(edges, edges.swapaxes(1, 2))
    assert not np.diagonal(edges, axis1=1, axis2=2).any()
    assert abs(edges[:, ~np.eye(5, dtype=bool)].mean() - 0.5) < 0.02
    np.testing.assert_array_equal(x[:3], data.springs(3, frames=2).positions)
    random = np.random.RandomState(42)  # the first system, step by step
    lower = np.tril(random.choice([0, 0.5, 1.0], size=(5, 5), p=[0.5, 0, 0.5]), -1)
    e, y, v = lower + lower.T, 0.5 * random.randn(3, 5).T, random.randn(3, 5).T
    v *= 0.5 / np.linalg.norm(v, axis=1, keepdims=True)
    mean, drift = y.mean(0), v.mean(0)
    for step in range(1, 401):
        v = v - 1e-3 * 0.1 * np.einsum("ij,ijd->id", e, y[:, None] - y)
        y = y + 1e-3 * v
        if step % 200 == 0:
            np.testing.assert_allclose(x[0, :, step // 200 - 1], y, atol=1e-13)
            np.testing.assert_allclose(y.mean(0), mean + drift * step * 1e-3, atol=1e-13)
    np.testing.assert_array_equal(edges[0], e)


def test_a_pair_on_a_spring_swings_with_the_frequency_of_theory():
    """ẍ = −2 · 0.1 x of the difference."""
    found = data.springs(20, frames=49, particles=2)
    difference = (found.positions[:, 0] - found.positions[:, 1])[found.edges[:, 0, 1] == 1]  # (some, 49, 3)
    second = difference[:, 2:] - 2 * difference[:, 1:-1] + difference[:, :-2]
    want = -2 * (1 - np.cos(0.2 * np.sqrt(0.2))) * difference[:, 1:-1]
    np.testing.assert_allclose(second, want, atol=1e-4 * np.abs(want).max())


def test_charged_trajectories_are_those_of_the_generator():
    found = data.charged_trajectories(3, frames=2)
    charges, x, v = data.initial_states(3, seed=42)
    for clip in ("component", "norm"):
        x_400, _, clipped = data.simulate(charges, x, v, 400, force_clip=clip)
        found = data.charged_trajectories(3, frames=2, force_clip=clip)
        np.testing.assert_allclose(found.positions[:, :, 1], x_400, atol=1e-12)
        np.testing.assert_array_equal(found.clipped, clipped)
    np.testing.assert_array_equal(found.charges, charges)


@pytest.mark.parametrize("make", [data.springs, data.charged_trajectories])
def test_bad_numbers_are_named(make):
    with pytest.raises(ValueError, match="count: expected an integer of at least 1, got 0"):
        make(0)
    with pytest.raises(ValueError, match="frames: expected at most 49, as the published program makes, got 50"):
        make(1, frames=50)

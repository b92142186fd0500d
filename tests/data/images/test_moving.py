"""Moving digits: rolled and turned by known amounts, the same for a seed."""

import numpy as np
import pytest

from equijax import data

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 6, 6), dtype=np.uint8)


def test_frames_of_one_digit_are_rolls_of_the_first():
    moving = data.flowing_digits(IMAGES, 5, frames=4, digits=1, speed=2, seed=1)
    assert moving.frames.shape == (5, 4, 6, 6, 1)
    assert moving.frames.dtype == np.float32
    assert np.abs(moving.velocities).max() == 2
    for sequence, (velocity,), (chosen,) in zip(moving.frames, moving.velocities, moving.chosen, strict=True):
        for t in range(4):
            np.testing.assert_array_equal(sequence[t], np.roll(sequence[0], t * velocity, axis=(0, 1)))
        assert np.sort(sequence[0].ravel()).tolist() == np.sort(IMAGES[chosen].ravel() / np.float32(255)).tolist()


def test_two_digits_are_added_up_to_white():
    moving = data.flowing_digits(np.full((1, 4, 4), 100, np.uint8), 1, frames=1, size=6, seed=2)
    values = np.unique(moving.frames)
    np.testing.assert_allclose(values, [0, 100 / 255, 200 / 255][: len(values)], atol=1e-6)
    bright = data.flowing_digits(np.full((1, 4, 4), 200, np.uint8), 1, frames=1, seed=2)
    assert (bright.frames == 1).all()


def test_a_velocity_is_that_of_all_digits_and_seeds_differ():
    moving = data.flowing_digits(IMAGES, 2, frames=3, velocity=(0, -1), seed=[3, 4])
    np.testing.assert_array_equal(moving.frames[:, 2], np.roll(moving.frames[:, 0], -2, axis=2))
    again, other = (data.flowing_digits(IMAGES, 2, frames=3, velocity=(0, -1), seed=[3, k]) for k in (4, 5))
    np.testing.assert_array_equal(again.frames, moving.frames)
    assert (other.frames != moving.frames).any()


def test_turns_are_counterclockwise_and_by_whole_steps():
    moving = data.rotating_digits(IMAGES, 4, frames=3, digits=1, step=90.0, most=1, seed=0)
    assert set(np.unique(moving.velocities)) <= {-90.0, 0.0, 90.0}
    assert len(np.unique(moving.velocities)) > 1
    smooth = np.zeros((1, 16, 16), np.uint8)
    smooth[0, 6:10, 8:14] = 200  # to the right of the center
    turning = data.rotating_digits(smooth, 8, frames=2, digits=1, step=90.0, most=1, seed=0)
    for frames, (velocity,) in zip(turning.frames[..., 0], turning.velocities, strict=True):
        np.testing.assert_allclose(frames[1], np.rot90(frames[0], int(velocity) // 90), atol=1e-5)


BAD = [
    (lambda: data.flowing_digits(IMAGES[:, :4], 1), r"images: expected shape \(n, size, size\), got \(3, 4, 6\)"),
    (lambda: data.flowing_digits(IMAGES, 1, size=5), "size: expected at least"),
    (lambda: data.flowing_digits(IMAGES, 1, velocity=(1, 2, 3)), "velocity: expected two integers"),
    (lambda: data.flowing_digits(IMAGES, 0), "count: expected an integer of at least 1"),
    (lambda: data.rotating_digits(IMAGES, 1, step=0.0), "step: expected a positive number"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()

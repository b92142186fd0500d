"""Images that move at constant velocities: over a torus, or about the center."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.ndimage

from equijax._validate import integer, positive
from equijax.data.images.digits import pad


class MovingDigits(NamedTuple):
    """Sequences of frames, and what moves in them."""

    frames: np.ndarray  # (count, time, height, width, 1), float32, 0 to 1
    velocities: np.ndarray  # (count, digits, 2) in pixels a frame along (height, width), or (count, digits) in degrees
    chosen: np.ndarray  # (count, digits), which images


def flowing_digits(
    images: np.ndarray,
    count: int,
    frames: int = 20,
    *,
    digits: int = 2,
    speed: int = 2,
    velocity: Sequence[int] | None = None,
    size: int | None = None,
    seed: int | Sequence[int] = 0,
) -> MovingDigits:
    """Digits that move over a torus, each by a whole number of pixels a frame, from a place of its own.

    Frame t is the sum of the digits, no brighter than 1, each rolled by start + t velocity: so a sequence is a flow of
    one at rest where all digits have one velocity.

    Args:
        images: Digits (n, height, width), uint8.
        count: Number of sequences.
        frames: Frames of each.
        digits: In each frame.
        speed: Velocities are drawn from −speed to speed along each axis.
        velocity: That of all digits instead.
        size: Pixels along the sides of a frame, on which digits are padded; those of the images unless given.
        seed: Of the random numbers; equal seeds give equal sequences.

    Raises:
        ValueError: If the images are not square, or larger than a frame, or the velocity is not two integers.

    References:
        Keller 2025, arXiv:2507.14793 ("Flowing MNIST").

    Examples:
        >>> images = np.zeros((1, 4, 4), np.uint8)
        >>> images[0, 0, 0] = 255
        >>> moving = flowing_digits(images, 1, frames=3, digits=1, velocity=(1, 0))
        >>> [np.argwhere(frame[..., 0]).tolist() for frame in moving.frames[0] - moving.frames[0, :1] > 0]
        [[], [[0, 2]], [[1, 2]]]
    """
    images, rng = _square(images, size), np.random.default_rng(seed)
    count, frames, digits = integer("count", count, 1), integer("frames", frames, 1), integer("digits", digits, 1)
    m = images.shape[1]
    chosen = rng.integers(len(images), size=(count, digits))
    start = rng.integers(m, size=(count, digits, 2))
    velocities = rng.integers(-integer("speed", speed), speed + 1, size=(count, digits, 2))
    if velocity is not None:
        given = np.asarray(velocity)
        if given.shape != (2,) or not np.issubdtype(given.dtype, np.integer):
            raise ValueError(f"velocity: expected two integers, pixels a frame, got {velocity}")
        velocities = np.broadcast_to(given, velocities.shape)
    moved = start[:, None] + np.arange(frames)[:, None, None] * velocities[:, None]  # (count, frames, digits, 2)
    rows, columns = np.moveaxis((np.arange(m) - moved[..., None]) % m, -2, 0)  # where each pixel comes from
    found = images[chosen[:, None, :, None, None], rows[..., :, None], columns[..., None, :]]
    return MovingDigits(_together(found), velocities, chosen)


def rotating_digits(
    images: np.ndarray,
    count: int,
    frames: int = 20,
    *,
    digits: int = 2,
    step: float = 10.0,
    most: int = 4,
    size: int | None = None,
    seed: int | Sequence[int] = 0,
) -> MovingDigits:
    """Digits that turn about the center of the frame, each by a multiple of `step` degrees a frame, from any angle.

    Bilinear interpolation of the digit itself, once for each frame; what turns out of the frame is cut off.

    Args:
        images: Digits (n, height, width), uint8.
        count: Number of sequences.
        frames: Frames of each.
        digits: In each frame.
        step: Degrees, counterclockwise.
        most: Velocities are drawn from −most to most steps.
        size: As for `flowing_digits`.
        seed: Of the random numbers; equal seeds give equal sequences.

    Raises:
        ValueError: If the images are not square, or larger than a frame, or the step is not positive.

    References:
        Keller 2025, arXiv:2507.14793 ("Rotating MNIST").

    Examples:
        >>> moving = rotating_digits(np.ones((2, 4, 4), np.uint8), 3, frames=5, digits=1)
        >>> moving.frames.shape, moving.velocities.shape
        ((3, 5, 4, 4, 1), (3, 1))
    """
    images, rng = _square(images, size), np.random.default_rng(seed)
    count, frames, digits = integer("count", count, 1), integer("frames", frames, 1), integer("digits", digits, 1)
    positive("step", step)
    chosen = rng.integers(len(images), size=(count, digits))
    start = rng.uniform(0, 360, size=(count, digits))
    velocities = step * rng.integers(-integer("most", most), most + 1, size=(count, digits))
    angles = start[:, None] + np.arange(frames)[:, None] * velocities[:, None]  # (count, frames, digits)
    turned = [
        scipy.ndimage.rotate(images[chosen[i, k]].astype(np.float32), angles[i, t, k], reshape=False, order=1)
        for i, t, k in np.ndindex(angles.shape)
    ]
    return MovingDigits(_together(np.reshape(turned, (*angles.shape, *images.shape[1:]))), velocities, chosen)


def _square(images: np.ndarray, size: int | None) -> np.ndarray:
    images = np.asarray(images)
    if images.ndim != 3 or images.shape[1] != images.shape[2]:
        raise ValueError(f"images: expected shape (n, size, size), got {images.shape}")
    return images if size is None else pad(images, size)


def _together(found: np.ndarray) -> np.ndarray:
    """Frames (count, time, height, width, 1) of digits (count, time, digits, height, width) of 0 to 255."""
    return np.minimum(found.sum(axis=2, dtype=np.float32) / 255, 1)[..., None]

"""Gaussian random fields on periodic grids."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax._validate import integer, positive, random_key
from equijax.views.spectra import wave_weights

EXPONENT = 6.0


def gaussian_field(
    key: PRNGKeyArray,
    shape: tuple[int, ...],
    *,
    exponent: int | float | None = None,
    length: int | float | None = None,
    most: int | float | None = None,
    dtype: DTypeLike | None = None,
) -> Float[Array, "..."]:
    """φ = irfft2(A rfft2(n)) c  of white noise n, with mean 0 over the grid and variance 1 at each pixel.

    A(k) = ‖k‖^(−γ/2), or exp(−½ (2π ℓ ‖k‖ / N)²), and A(0) = 0; ‖k‖ in waves along the longest side, N pixels.
    Stationary, and periodic; the distribution is the same under quarter turns and flips of a square.

    Args:
        shape: (..., height, width); each of the leading axes has fields of its own.
        exponent: γ, of the power spectrum: 3 looks like clouds, from 6 on only the longest waves are left. Default 6.
        length: ℓ in pixels, a Gaussian spectrum instead.
        most: Waves with larger ‖k‖ are left out.

    Raises:
        ValueError: If a side has less than two pixels, so that no wave fits, no wave is left, or both `exponent` and
            `length` are given.

    Examples:
        >>> phi = gaussian_field(jax.random.key(0), (3, 16, 20))  # three fields
        >>> phi.shape, bool(jnp.abs(phi.mean(axis=(1, 2))).max() < 1e-6)
        ((3, 16, 20), True)
    """
    if len(shape) < 2 or min(shape[-2:]) < 2:
        raise ValueError(
            f"shape: expected (..., height, width) with two pixels or more along each side, so that a wave fits, "
            f"got {shape}"
        )
    filtering = amplitude(shape[-2], shape[-1], exponent, length, most)
    dtype = jnp.promote_types(jnp.result_type(float if dtype is None else dtype), jnp.float32)
    return filter_noise(jax.random.normal(random_key("key", key), shape, dtype), filtering)


def filter_noise(noise: Float[Array, "*batch h w"], filtering: np.ndarray) -> Float[Array, "*batch h w"]:
    """The field of some white noise: linear, and it commutes with periodic shifts."""
    waves = jnp.fft.rfft2(noise) * jnp.asarray(filtering, noise.dtype)
    return jnp.fft.irfft2(waves, s=noise.shape[-2:])


@functools.cache
def amplitude(
    height: int,
    width: int,
    exponent: int | float | None = None,
    length: int | float | None = None,
    most: int | float | None = None,
) -> np.ndarray:
    """A(k) for the waves of `rfft2`, scaled to unit variance of pixels, shape (height, width // 2 + 1)."""
    if exponent is not None and length is not None:
        raise ValueError(f"exponent, length: expected one of them, got {exponent} and {length}")
    longest = max(integer("height", height, 2), integer("width", width, 2))
    k = longest * np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    if length is None:
        a = np.where(k > 0, k, 1) ** (-(EXPONENT if exponent is None else exponent) / 2)
    else:
        positive("length", length)
        a = np.exp(-0.5 * (2 * np.pi * length * k / longest) ** 2)
    a[(k == 0) | (k > (np.inf if most is None else most))] = 0
    if not a.any():
        name, value = ("most", most) if length is None else ("length", length)
        raise ValueError(f"{name}: no wave is left of {height} × {width} pixels, got {value}; the longest has ‖k‖ = 1")
    return a * np.sqrt(height * width / np.sum(wave_weights(width) * a**2))

"""Time series as waves, as views that need no augmentation: Fourier, Gabor and Morlet, all of periodic series.

With the first and the last value side by side, shifts are those of a cyclic group, and each law holds exactly.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from equijax._validate import floating, integer, positive


class Spectra(NamedTuple):
    """Three views of one series."""

    fourier: Complex[Array, "*batch waves channels"]
    gabor: Complex[Array, "*batch frames waves channels"]
    morlet: Complex[Array, "*batch scales time channels"]


def spectra(
    x: Float[Array, "*batch time channels"], *, window: int, hop: int, scales: Sequence[float] | np.ndarray
) -> Spectra:
    """The `fourier`, `gabor` and `morlet` transforms of a series, with their arguments.

    Examples:
        >>> views = spectra(jnp.ones((16, 2)), window=8, hop=4, scales=[1.0, 2.0])
        >>> [view.shape for view in views]
        [(9, 2), (4, 5, 2), (2, 16, 2)]
    """
    return Spectra(fourier(x), gabor(x, window, hop), morlet(x, scales))


def fourier(x: Float[Array, "*batch time channels"]) -> Complex[Array, "*batch waves channels"]:
    """The orthonormal discrete Fourier transform, waves 0 to ⌊time/2⌋.

    Σ w_k ‖X_k‖² = Σ x²  with w = `wave_weights(time)`. A shift by s turns the phase of wave k by −2π k s / time.

    Examples:
        >>> print(jnp.abs(fourier(jnp.cos(jnp.pi / 2 * jnp.arange(4.0))[:, None]))[:, 0].round(5))
        [0. 1. 0.]
    """
    return jnp.fft.rfft(_series(x), axis=-2, norm="ortho").astype(_complex(x))


def wave_weights(n: int) -> np.ndarray:
    """How many waves of the full transform each wave of the real one stands for: (1, 2, …, 2), and 1 at n/2.

    Examples:
        >>> wave_weights(6).tolist(), wave_weights(5).tolist()
        ([1.0, 2.0, 2.0, 1.0], [1.0, 2.0, 2.0])
    """
    weights = np.full(integer("n", n, 1) // 2 + 1, 2.0)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return weights


def gabor(
    x: Float[Array, "*batch time channels"], window: int, hop: int
) -> Complex[Array, "*batch frames waves channels"]:
    """Orthonormal Fourier transforms of pieces of the series, under a sine window w_n = sin(π (n + ½) / window).

    A shift by the hop shifts the frames by one. Energies, with `wave_weights(window)`, add up to
    Σ_n x_n² Σ_m w²_{n − m hop}: a tight frame of bound window / (2 hop) where the hop is a half, a third, ... of it.

    Args:
        window: Length of a piece.
        hop: From one piece to the next; it divides the length of the series.

    Raises:
        ValueError: If the window is longer than the series, or the hop does not divide its length.

    Examples:
        >>> gabor(jnp.ones((2, 12, 1)), 6, 3).shape  # (batch, frames, waves, channels)
        (2, 4, 4, 1)
    """
    x = _series(x)
    time = x.shape[-2]
    if integer("window", window, 1) > time:
        raise ValueError(f"window: expected at most the length of the series, {time}, got {window}")
    if time % integer("hop", hop, 1):
        raise ValueError(f"hop: expected a divisor of the length of the series, {time}, got {hop}")
    places = (np.arange(0, time, hop)[:, None] + np.arange(window)) % time  # (frames, window)
    shape = jnp.asarray(np.sin(np.pi * (np.arange(window) + 0.5) / window), x.dtype)[:, None]
    return jnp.fft.rfft(x[..., places, :] * shape, axis=-2, norm="ortho").astype(_complex(x))


def morlet(
    x: Float[Array, "*batch time channels"], scales: Sequence[float] | np.ndarray, *, center: int | float = 6.0
) -> Complex[Array, "*batch scales time channels"]:
    """The continuous wavelet transform with the analytic Morlet wavelet, periodic in time.

    Filters 2 exp(−½ (s ω − ω₀)²) of frequencies 0 < ω < π, and nothing of negative ones, so that a cosine of frequency
    ω₀ / s has the modulus of its amplitude at scale s. Commutes with every shift.

    Args:
        scales: s, in time steps.
        center: ω₀, in radians.

    Raises:
        ValueError: If a scale is not positive.

    Examples:
        >>> wave = 3 * jnp.cos(2 * jnp.pi * 8 / 64 * jnp.arange(64.0))[:, None]
        >>> found = jnp.abs(morlet(wave, [6 * 64 / (2 * jnp.pi * 8)]))
        >>> print(found.min().round(4), found.max().round(4))
        3.0 3.0
    """
    x = _series(x)
    s = np.asarray(scales, float)
    if s.ndim != 1 or not len(s):
        raise ValueError(f"scales: expected a list of numbers, got {scales}")
    for scale in s:
        positive("scales", scale)
    omega = 2 * np.pi * np.fft.fftfreq(x.shape[-2])
    filters = np.where((omega > 0), 2 * np.exp(-0.5 * (s[:, None] * omega - center) ** 2), 0)  # (scales, waves)
    waves = jnp.fft.fft(x, axis=-2)[..., None, :, :]
    return jnp.fft.ifft(waves * jnp.asarray(filters, x.dtype)[..., None], axis=-2).astype(_complex(x))


def _series(x):
    x = floating("x", x)
    if x.ndim < 2 or not x.shape[-2]:
        raise ValueError(f"x: expected shape (..., time, channels), got {x.shape}; x[:, None] has one channel")
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _complex(x):
    return jnp.promote_types(x.dtype, jnp.complex64)

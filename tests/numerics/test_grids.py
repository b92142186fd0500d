"""Periodic grids: phases, traced shifts and band limits, against loops, NumPy and Fourier series."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import numerics

RNG = np.random.default_rng(0)


@pytest.mark.core
def test_energies_of_phases_are_sums_over_strided_slices(x64):
    x = RNG.normal(size=(2, 4, 6, 5))
    expected = [[[np.sum(y[a::2, b::3] ** 2) for b in range(3)] for a in range(2)] for y in x]
    np.testing.assert_allclose(numerics.phase_energies(jnp.asarray(x), (2, 3)), expected, rtol=1e-12)
    phase, margin = numerics.largest_phase(jnp.asarray(expected), 2)
    for k, energies in enumerate(np.asarray(expected)):
        first, second = np.sort(energies.ravel())[[-1, -2]]
        np.testing.assert_array_equal(phase[k], np.unravel_index(energies.argmax(), (2, 3)))
        np.testing.assert_allclose(margin[k], 1 - second / first, rtol=1e-12)
    assert numerics.phase_energies(jnp.ones((4, 1), jnp.bfloat16), (2,)).dtype == jnp.float32
    assert [float(numerics.largest_phase(e, 1)[1]) for e in (jnp.ones(1), jnp.zeros(2), jnp.ones(2))] == [1, 0, 0]


def test_traced_shifts_are_those_of_numpy(x64):
    x, shift = RNG.normal(size=(3, 4, 6, 2)), np.array([[1, -2], [0, 7], [3, 5]])
    expected = np.stack([np.roll(y, s, (0, 1)) for y, s in zip(x, shift, strict=True)])
    rolled = jax.jit(numerics.roll)
    np.testing.assert_array_equal(rolled(jnp.asarray(x), jnp.asarray(shift)), expected)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(expected * numerics.roll(x, jnp.asarray(shift)))))(jnp.asarray(x))
    np.testing.assert_array_equal(slope, x)  # the derivative is the shift back


def test_band_limited_values_lie_on_the_fourier_series(x64):
    """Of every frequency that both grids hold, at any place; the highest of an even length is left out."""
    for old, new in ((8, 12), (12, 8), (7, 10), (6, 6)):
        for f in range(old // 2 + 1):
            wave = lambda n, f=f: np.cos(2 * np.pi * f * np.arange(n)[:, None] / n + 0.4)  # noqa: E731
            kept = f < min(old, new) / 2
            found = numerics.resample(jnp.asarray(wave(old)), (new,))
            np.testing.assert_allclose(found, kept * wave(new), atol=1e-12)
    moved = lambda s, f=3: np.cos(2 * np.pi * f * (np.arange(8)[:, None] - s) / 8)  # noqa: E731
    np.testing.assert_allclose(
        numerics.fractional_shift(jnp.asarray(moved(0)), jnp.array([2.3])), moved(2.3), atol=1e-12
    )
    x = jnp.asarray(RNG.normal(size=(5, 7, 2)))
    found = numerics.fractional_shift(x, jnp.array([2.0, -3.0]))
    np.testing.assert_allclose(found, jnp.roll(x, (2, -3), (0, 1)), atol=1e-12)

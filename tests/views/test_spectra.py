"""Spectra of periodic series: energies, shifts and frequencies."""

import jax.numpy as jnp
import numpy as np
import pytest

from equijax import views


@pytest.fixture
def series():
    return jnp.asarray(np.random.default_rng(0).normal(size=(3, 24, 2)))


def test_energies_need_the_weights_of_real_transforms(x64):
    x = np.random.default_rng(0).normal(size=(200, 142, 1))
    power, energy = np.abs(views.fourier(jnp.asarray(x))) ** 2, (x**2).sum(axis=1)
    np.testing.assert_allclose(np.einsum("k,bkc->bc", views.wave_weights(142), power), energy, rtol=1e-12)
    assert abs(power.sum() / energy.sum() - 72 / 142) < 0.003  # without them 0.507
    odd = np.einsum("k,bkc->bc", views.wave_weights(141), np.abs(views.fourier(jnp.asarray(x[:, :141]))) ** 2)
    np.testing.assert_allclose(odd, (x[:, :141] ** 2).sum(axis=1), rtol=1e-12)


def test_shifts_turn_phases_only(x64, series):
    shifted, k = views.fourier(jnp.roll(series, 5, axis=1)), np.arange(13)[:, None]
    np.testing.assert_allclose(shifted, views.fourier(series) * np.exp(-2j * np.pi * k * 5 / 24), atol=1e-12)
    assert np.abs(shifted - views.fourier(series) * np.exp(2j * np.pi * k * 5 / 24)).max() > 0.1
    np.testing.assert_allclose(np.abs(shifted), np.abs(views.fourier(series)), atol=1e-12)


def test_gabor_frames_are_tight_and_move_by_hops(x64, series):
    energy = (series**2).sum(axis=1)
    for window, hop in ((12, 3), (8, 4), (24, 1)):  # window / (2 hop), and ‖w‖² for all shifts
        power = np.abs(views.gabor(series, window, hop)) ** 2
        found = np.einsum("k,bmkc->bc", views.wave_weights(window), power)
        np.testing.assert_allclose(found, window / (2 * hop) * energy, rtol=1e-12)
    ends = 2 * np.sin(np.pi / 8) + 2 * np.sin(3 * np.pi / 8)  # a window of four, symmetric, of ones
    np.testing.assert_allclose(views.gabor(jnp.ones((8, 1)), 4, 4)[:, 0, 0], ends / 2, atol=1e-12)
    loose = np.abs(views.gabor(series, 12, 8)) ** 2  # windows that do not add up to a constant
    assert np.ptp(np.einsum("k,bmkc->bc", views.wave_weights(12), loose) / energy) > 0.05
    moved = views.gabor(jnp.roll(series, 3, axis=1), 12, 3)
    np.testing.assert_allclose(moved, jnp.roll(views.gabor(series, 12, 3), 1, axis=1), atol=1e-12)
    part = np.abs(views.gabor(jnp.roll(series, 1, axis=1), 12, 3))  # not by parts of a hop
    assert min(np.abs(part - np.roll(np.abs(views.gabor(series, 12, 3)), k, 1)).max() for k in range(8)) > 0.1


def test_wavelets_move_with_the_series_and_find_frequencies(x64, series):
    found = views.morlet(series, [1.0, 2.0, 4.0])
    assert found.shape == (3, 3, 24, 2)
    for shift in (1, 7):
        np.testing.assert_allclose(
            views.morlet(jnp.roll(series, shift, axis=1), [1.0, 2.0, 4.0]), jnp.roll(found, shift, axis=2), atol=1e-12
        )
    time = np.arange(128)
    for wave in (4, 20):
        scales = np.geomspace(1, 60, 240)
        modulus = np.abs(views.morlet(jnp.asarray(2.0 * np.sin(2 * np.pi * wave / 128 * time))[:, None], scales))[
            ..., 0
        ]
        assert abs(scales[modulus.mean(axis=1).argmax()] * 2 * np.pi * wave / 128 / 6 - 1) < 0.02
        assert abs(modulus.max() - 2) < 0.01
        assert np.ptp(modulus, axis=1).max() < 1e-12  # analytic: no beat of wave and −wave
    assert views.morlet(series[0].astype(jnp.float32), [2.0]).dtype == np.complex64


BAD = [
    (lambda x: views.gabor(x, 25, 2), "window: expected at most the length of the series, 24, got 25"),
    (lambda x: views.gabor(x, 8, 5), "hop: expected a divisor of the length of the series, 24, got 5"),
    (lambda x: views.morlet(x, [1.0, 0.0]), "scales: expected a positive number, got 0.0"),
    (lambda x: views.morlet(x, []), "scales: expected a list of numbers"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_errors_name_the_argument(series, make, message):
    with pytest.raises(ValueError, match=message):
        make(series)

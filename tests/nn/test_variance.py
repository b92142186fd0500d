"""Gains of activations and norms, by draws and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax.nn.variance import gain, norm_gain, unit_scale

RNG = np.random.default_rng(0)


def test_gains_by_hand():
    """E[z²] = 1, E[relu(z)²] = 1/2, E[exp(z)²] = e²; and E[n² n²] = (k + 2)/k for n² a mean of k = 2l + 1 squares."""
    assert gain(lambda z: z) == pytest.approx(1)
    assert gain(jax.nn.relu) == pytest.approx(2**0.5, rel=1e-3)
    assert gain(jnp.exp) == pytest.approx(np.exp(-1), rel=1e-6)
    for degree in range(4):
        k = 2 * degree + 1
        assert norm_gain(jnp.ones_like, degree) == pytest.approx(1, rel=1e-3)  # E[n²] = 1
        assert norm_gain(lambda n: n, degree) == pytest.approx((k / (k + 2)) ** 0.5, rel=1e-3)


@pytest.mark.parametrize("activation", [jax.nn.silu, jnp.tanh, jax.nn.sigmoid])
def test_gains_by_draws(activation):
    z = RNG.normal(size=200_000)
    assert np.mean(np.asarray(activation(z)) ** 2) * gain(activation) ** 2 == pytest.approx(1, rel=2e-2)
    for degree in (0, 2):
        n = np.sqrt(np.mean(RNG.normal(size=(200_000, 2 * degree + 1)) ** 2, axis=-1))
        assert np.mean((n * np.asarray(activation(n))) ** 2) * norm_gain(activation, degree) ** 2 == pytest.approx(
            1, rel=2e-2
        )


def test_unit_scale():
    np.testing.assert_array_equal(unit_scale(np.array([4.0, 0.0, 0.25])), [0.5, 0.0, 2.0])

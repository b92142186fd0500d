"""Normalization: unit size, masks, zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import nn, spherical

X = np.random.default_rng(0).normal(size=(6, 9, 4)).astype(np.float32) * 3
MASK = np.arange(6) < 4


@pytest.mark.parametrize("axes", [(), (0,), (-3,)])
def test_every_degree_has_unit_mean_square(axes):
    y = nn.rms_normalize(X, np.ones((3, 4)), axes=axes)
    for l in range(3):
        block = np.square(y[:, spherical.degree_of_coefficient(2) == l])
        np.testing.assert_allclose(block.mean((0, 1, 2) if axes else (1, 2)), 1, rtol=1e-5)


@pytest.mark.core
@pytest.mark.parametrize("axes", [(), (0,)])
def test_padding_changes_nothing(axes):
    """Whatever is in it; without the mask it would."""
    scale = np.random.default_rng(1).normal(size=(3, 4))
    padded = np.where(MASK[:, None, None], X, np.nan)
    value, slope = jax.value_and_grad(lambda x: jnp.sum(nn.rms_normalize(x, scale, MASK, axes=axes) ** 3))(padded)
    y = nn.rms_normalize(padded, scale, MASK, axes=axes)
    alone = nn.rms_normalize(X[:4], scale, axes=axes)
    np.testing.assert_allclose(y[:4], alone, rtol=1e-6)
    np.testing.assert_array_equal(y[4:], 0)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    np.testing.assert_array_equal(slope[4:], 0)
    assert (np.abs(nn.rms_normalize(X, scale, axes=axes)[:4] - alone).max() > 1e-2) == bool(axes)


def test_nothing_but_padding():
    f = lambda x: nn.rms_normalize(x, np.ones((3, 4)), np.zeros(6, bool), axes=(0,))  # noqa: E731
    np.testing.assert_array_equal(f(X), 0)
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sum(f(x)))(X), 0)


def test_large_and_small_half_precision():
    """Squares are taken in float32: 300² is beyond float16."""
    for size in (1e-2, 300):
        x = jnp.asarray(X / 3 * size, jnp.float16)
        assert np.mean(np.square(nn.rms_normalize(x, np.ones((3, 4))).astype(np.float32))) == pytest.approx(1, abs=0.05)


def test_scales_that_do_not_fit_are_named():
    x = jnp.ones((4, 9, 2))
    for shape in ((2, 2), (4, 2), (3, 1)):
        with pytest.raises(ValueError, match=r"scale: expected shape \(3, 2\) for x \(4, 9, 2\), got"):
            nn.rms_normalize(x, jnp.ones(shape))

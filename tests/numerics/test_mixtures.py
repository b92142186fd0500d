"""Mixtures: the fixed point, merging, and both derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import numerics

CENTERS = np.array([[0.0, 0], [2, 0], [0, 1.2]])
Y = np.concatenate([np.random.default_rng(0).normal(size=(6, 2)) * 0.3 + c for c in CENTERS])
START = Y[[0, 1, 6, 7, 12, 13]]  # two in each


def fit(y, start=START, **options):
    return numerics.fit_mixture(jnp.asarray(y), jnp.asarray(start), 0.4, **options)


def test_it_ends_at_the_fixed_point_with_what_is_close_merged(x64):
    found = fit(Y, steps=100)
    there = np.asarray(found.weights) > 0
    assert there.sum() == 3
    np.testing.assert_allclose(found.weights[there], 1 / 3, atol=0.01)
    q = np.exp(-((Y[:, None] - np.asarray(found.means)) ** 2).sum(-1) / (2 * 0.4**2)) * np.asarray(found.weights)
    q /= q.sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(numerics.log_assignment(jnp.asarray(Y), found, 0.4)), q, atol=1e-12)
    np.testing.assert_allclose(found.means[there], (q.T @ Y / q.sum(0)[:, None].clip(1e-30))[there], atol=1e-10)
    np.testing.assert_allclose(found.weights, q.mean(0), atol=1e-10)
    assert (np.asarray(fit(Y, steps=100, merge=0).weights) > 0).all()


def test_padding_and_means_that_are_not_there_count_nowhere(x64):
    padded, start = np.concatenate([Y, np.full((3, 2), 50.0)]), np.concatenate([START, [[50.0, 50.0]]])
    found = fit(padded, start, mask=np.arange(21) < 18, known=np.arange(7) < 6)
    expected = fit(Y)
    np.testing.assert_allclose(found.means[:6], expected.means, atol=1e-12)
    np.testing.assert_allclose(found.weights, [*expected.weights, 0], atol=1e-12)


def test_the_implicit_derivative_is_that_of_the_fixed_point(x64):
    """As finite differences; that of the steps comes near it as they converge, and takes more and more memory."""

    def of(derivative, steps):
        value = lambda y: jnp.sum(fit(y, steps=steps, merge=0, derivative=derivative).means[:, 0] ** 2)  # noqa: E731
        return jax.jit(jax.value_and_grad(value))

    implicit, few, many = (of(*case)(Y)[1] for case in (("implicit", 400), ("unrolled", 3), ("unrolled", 400)))
    value, step = of("implicit", 400), np.zeros_like(Y)
    step[4, 0] = 1e-5
    slope = (value(Y + step)[0] - value(Y - step)[0]) / 2e-5
    np.testing.assert_allclose(implicit[4, 0], slope, rtol=1e-4)
    np.testing.assert_allclose(many, implicit, atol=1e-10)
    assert np.abs(few - implicit).max() > 1e-4
    needs = lambda *case: of(*case).lower(Y).compile().memory_analysis().temp_size_in_bytes  # noqa: E731
    assert needs("implicit", 100) < 1.5 * needs("implicit", 10)
    assert needs("unrolled", 100) > 3 * needs("unrolled", 10)


def test_another_derivative_is_refused():
    with pytest.raises(ValueError, match="derivative: expected one of implicit, unrolled, got 'fisher'"):
        fit(Y, derivative="fisher")

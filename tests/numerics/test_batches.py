"""Statistics over a batch on several devices."""

import jax
import jax.numpy as jnp
import pytest
from shards import assert_shards_agree

from equijax.numerics import global_batch


def variance(scale, x, axis_name):
    return jnp.sum(jnp.tanh(scale * global_batch(x, axis_name)).var(0, ddof=1))


def test_a_variance_and_its_gradient_are_of_all_rows(x64):
    scale = jnp.array([0.5, 2.0, 1.0])
    assert_shards_agree(variance, scale, (jax.random.normal(jax.random.key(0), (12, 3)),))


def test_a_variance_of_the_own_rows_is_seen(x64):
    x = jax.random.normal(jax.random.key(0), (12, 3))
    with pytest.raises(AssertionError):
        assert_shards_agree(lambda scale, x, _: variance(scale, x, None), jnp.ones(3), (x,))

"""The optimizer: parameters stacked by shape, rates, weight decay."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from equijax import training


def test_stacks_hold_every_matrix_once():
    shapes = {"a": (2, 8, 16), "b": (24, 8), "c": (9, 12), "d": (3, 40), "e": (5,), "f": ()}
    params = {name: jax.random.normal(jax.random.key(k), shape) for k, (name, shape) in enumerate(shapes.items())}
    stacks = training.stack(params)
    assert {name: x.shape for name, x in stacks.items()} == {"8x8": (7, 8, 8), "9x12": (1, 9, 12), "1x1": (126, 1, 1)}
    np.testing.assert_array_equal(stacks["8x8"][3], params["a"][1, :, 8:])
    chex.assert_trees_all_equal(training.unstack(stacks, params), params)


def test_a_stacked_transformation_updates_as_that_of_the_parameters():
    """Adam and its weight decay go number by number, whatever the shape; Muon makes each matrix orthogonal."""
    params = {"w": jnp.arange(96.0).reshape(12, 8) / 96, "b": jnp.ones(5)}
    slope = jax.tree.map(jnp.cos, params)
    plain, stacked = optax.adamw(0.1), training.stacked(optax.adamw(0.1))
    want, got = (rule.update(slope, rule.init(params), params)[0] for rule in (plain, stacked))
    chex.assert_trees_all_close(got, want, rtol=1e-6)
    params["w"] = jax.random.normal(jax.random.key(0), (16, 8))
    rule = training.optimizer(None, muon=1.0)
    update = rule.update(params, rule.init(params), params)[0]["w"]
    singular = np.linalg.svd(update.reshape(2, 8, 8), compute_uv=False)
    np.testing.assert_allclose(singular, 1.0, atol=0.35)  # Newton and Schulz, five rounds


def test_rates_rise_to_the_largest_one_and_fall_to_the_last_one():
    """Adam moves by its rate as long as the gradient never turns: zero, in the middle of the cosine, at its end."""
    rule, w = training.optimizer(20, adam=0.5, final=0.25), {"b": jnp.ones(5)}
    _, moves = jax.lax.scan(lambda state, _: rule.update(w, state, w)[::-1], rule.init(w), length=21)
    np.testing.assert_allclose(-moves["b"][np.array([0, 11, 20]), 0], [0, 0.3125, 0.125], rtol=0.01)


def test_weight_decay_bounds_the_matrices_under_a_gradient_that_never_turns():
    weights = {"w": jnp.ones((2, 12, 9)), "b": jnp.ones(5)}

    def largest(weight_decay):
        rule = training.optimizer(None, muon=0.1, weight_decay=weight_decay)

        def step(carry, _):
            w, state = carry
            updates, state = rule.update(jax.tree.map(jnp.ones_like, w), state, w)
            return (jax.tree.map(jnp.add, w, updates), state), None

        (w, _), _ = jax.lax.scan(step, (weights, rule.init(weights)), length=1000)
        return jnp.linalg.norm(w["w"], ord=2, axis=(1, 2)).max()

    assert largest(1.0) < 1.5 < 20 < largest(0.0)


def test_clear_errors():
    with pytest.raises(ValueError, match="steps: expected an integer of at least 1"):
        training.optimizer(0)
    with pytest.raises(ValueError, match="params: expected one dtype"):
        training.stack([jnp.ones(3), jnp.ones(3, jnp.bfloat16)])
    training.optimizer(1)  # no warmup, but a run

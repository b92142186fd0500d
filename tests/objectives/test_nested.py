"""A loss of nested parts is the sum of the loss of each."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from equijax import nn
from equijax.objectives import matryoshka, variance_hinge

Z = jnp.asarray(np.random.default_rng(0).normal(size=(6, 8)), jnp.float32)


def test_a_loss_of_codes_is_summed_over_sizes():
    total, terms = jax.jit(matryoshka(variance_hinge, (2, 8), (1.0, 0.5)))(Z)
    wanted = {str(m): variance_hinge(Z[:, :m]) for m in (2, 8)}
    assert sorted(terms) == ["2", "8"]
    np.testing.assert_allclose(terms["2"], wanted["2"], rtol=1e-6)
    np.testing.assert_allclose(total, wanted["2"] + 0.5 * wanted["8"], rtol=1e-6)
    places = nn.nest("2x0e+2x1o", (1, 1))  # of a loss that returns its terms, too
    pair = matryoshka(lambda z: (jnp.sum(z), {"sum": jnp.sum(z)}), (places, np.arange(8)))
    np.testing.assert_allclose(pair(Z)[0], Z[:, places].sum() + Z.sum(), rtol=1e-5)


def test_a_tied_head_and_the_loss_of_its_parts_are_one():
    head, y = nn.MatryoshkaHead(3, (2, 4, 8)), jnp.arange(6) % 3
    logits, params = jax.jit(head.init_with_output)(jax.random.key(0), Z)
    w, b = params["params"]["kernel"], params["params"]["bias"]
    entropy = lambda logits: optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()  # noqa: E731
    by_parts, _ = jax.jit(matryoshka(lambda z: entropy(z @ w[: z.shape[-1]] + b), (2, 4, 8)))(Z)
    np.testing.assert_allclose(sum(jax.jit(jax.vmap(entropy))(logits)), by_parts, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: matryoshka(jnp.sum, ()), "sizes: expected different ones, one at least"),
        (lambda: matryoshka(jnp.sum, (2, 2)), "sizes: expected different ones"),
        (lambda: matryoshka(jnp.sum, (2, 4), (1.0,)), "weights: expected 2, one for each size, got 1"),
        (lambda: matryoshka(jnp.sum, (2, 9))(Z), "z: expected at least 9 numbers, got 8"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()

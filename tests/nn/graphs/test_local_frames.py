"""Tensors in frames: how they turn, and that messages carry them from the sender's to the receiver's frame."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, nn, numerics

RNG = np.random.default_rng(0)


def test_tensors_turn_index_by_index(x64):
    R = jax.jit(groups.O(3).sample, static_argnames="dtype")(jax.random.key(0), dtype=np.float64)
    u, v, t, s = RNG.normal(size=3), RNG.normal(size=3), RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3, 3))
    x = jnp.asarray(np.concatenate([u, v, t.ravel(), s.ravel()]))
    want = [R @ u, R @ v, (R @ t @ R.T).ravel(), np.einsum("ai,bj,ck,ijk", R, R, R, s).ravel()]
    np.testing.assert_allclose(nn.turn(x, R, (2, 1, 1)), np.concatenate(want), atol=1e-14)
    with pytest.raises(ValueError, match=r"x: expected 15 numbers for \(2, 1\) tensors, got shape \(42,\)"):
        nn.turn(x, R, (2, 1))


def test_messages_carry_from_the_sender_to_the_receiver(x64):
    axes = groups.O(3).sample(jax.random.key(0), (4,), dtype=np.float64)
    x = jnp.asarray(RNG.normal(size=(4, 3)))
    found = nn.carried(x, axes, nn.AllPairs(4), (1,))
    np.testing.assert_allclose(found[1, 2], axes[1] @ axes[3].T @ x[3], atol=1e-14)  # j = 3 is the third that is not 1


def test_rows_are_orthonormal_or_zero(x64):
    v = RNG.normal(size=(3, 3))
    rows = jax.jit(numerics.orthonormal_rows)
    axes, share = map(np.asarray, rows(v))
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-15)
    np.testing.assert_allclose(np.abs(np.linalg.qr(v.T)[0]), np.abs(axes.T), atol=1e-14)
    assert np.all(np.diag(axes @ v.T) > 0)
    lengths = np.abs(np.diag(np.linalg.qr(v.T)[1])) / np.linalg.norm(v, axis=1)
    np.testing.assert_allclose(share, lengths.min(), rtol=1e-12)
    close = np.stack([v[0], v[0] + 1e-9 * v[1], v[2]])
    axes, share = map(np.asarray, rows(close))
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-14)
    axes, share = rows(np.stack([v[0], -2 * v[0], v[2]]))
    np.testing.assert_array_equal(axes[1], 0)
    assert share == 0
    gradient = jax.jit(jax.grad(lambda v: jnp.sum(rows(v)[0] ** 3)))(jnp.zeros((3, 3)))
    np.testing.assert_array_equal(gradient, 0)

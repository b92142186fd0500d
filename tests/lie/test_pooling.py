"""Projection, normalization, the edge of the window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, lie, reps

RNG = np.random.default_rng(0)
F = jnp.asarray(RNG.normal(size=(2, 5, 4, 6, 3)))
ELEMENTS, WEIGHTS = groups.SL(2).nodes(5)


def test_projections(x64):
    w = np.asarray(WEIGHTS) / np.sum(WEIGHTS)
    f = np.asarray(F, float)
    mean = lie.project(jnp.asarray(f), (ELEMENTS, WEIGHTS))
    np.testing.assert_allclose(mean, np.einsum("bnhwc,n->bhwc", f, w), rtol=1e-6)
    largest = lie.project(jnp.asarray(f), (ELEMENTS, WEIGHTS), method="max")
    np.testing.assert_array_equal(largest, f.max(1))
    close = lie.project(jnp.asarray(f), (ELEMENTS, WEIGHTS), method="logsumexp", temperature=1e-3)
    np.testing.assert_allclose(close, largest, atol=1e-2)
    hot = lie.project(jnp.asarray(f), (ELEMENTS, WEIGHTS), method="logsumexp", temperature=1e3)
    np.testing.assert_allclose(hot, mean, atol=1e-2)
    without = lie.project(jnp.asarray(f), (ELEMENTS, WEIGHTS.at[0].set(0)), method="max")
    np.testing.assert_array_equal(without, f[:, 1:].max(1))


def test_projection_to_vectors_turns_with_the_nodes():
    nodes = groups.SO(2).nodes(4)
    turn = nodes[0][1]
    f = F[:, :4, ..., :2]
    field = lie.project(f, nodes, rep=reps.Vector())
    moved = lie.project(jnp.roll(f, 1, axis=1), nodes, rep=reps.Vector())  # F(A₁⁻¹ A_j)
    np.testing.assert_allclose(moved, field @ turn.T, atol=1e-6)


def test_normalized_features_have_the_weighted_moments():
    y = lie.normalize(3 * F + 2, (ELEMENTS, WEIGHTS))
    w = WEIGHTS / jnp.sum(WEIGHTS)
    mean = lambda y: jnp.einsum("bnhwc,n->bc", y, w) / 24  # noqa: E731
    np.testing.assert_allclose(mean(y), 0, atol=1e-6)
    np.testing.assert_allclose(mean(y**2), 1, atol=1e-4)
    constant = jax.grad(lambda f: jnp.sum(lie.normalize(f, (ELEMENTS, WEIGHTS)) ** 3))(jnp.ones_like(F))
    assert jnp.isfinite(constant).all()


def test_blocks_of_pixels():
    np.testing.assert_allclose(lie.downsample(F)[0, 0, 1, 2, 0], F[0, 0, 2:4, 4:6, 0].mean(), rtol=1e-6)
    with pytest.raises(ValueError, match="factor: expected a divisor"):
        lie.downsample(F, 4)


def test_interior_loses_the_zeros_beyond_the_window(x64):
    """A feature that is one everywhere: near the edge of the window its correlation is not constant, inside it is."""
    scales = jnp.exp(jnp.linspace(-1.5, 1.5, 61))
    nodes = (scales[:, None, None] * jnp.eye(2), jnp.full(61, 0.05))
    k = lambda g: lie.bump(lie.stretch(g.linear))[..., None, None]  # noqa: E731
    y = jax.jit(lambda f: lie.correlate(f, k, nodes, size=1))(jnp.ones((61, 1, 1, 1)))[:, 0, 0, 0] * scales**2
    inside = lie.interior(nodes, 1.0)[1] > 0
    assert 20 < jnp.sum(inside) < 40
    np.testing.assert_allclose(y[inside], y[30], rtol=1e-3)
    assert jnp.abs(y[~inside] / y[30] - 1).max() > 0.3


def test_nothing_left_is_an_error_and_never_nan():
    with pytest.raises(ValueError, match=r"reach: the nodes end at .* take less than 9.0"):
        lie.interior((ELEMENTS, WEIGHTS), 9.0)

    @jax.jit
    def pooled(f, weights):
        nodes = lie.interior((ELEMENTS, weights), 9.0)
        return [lie.project(f, nodes), lie.project(f, nodes, method="logsumexp"), lie.normalize(f, nodes)]

    assert all(bool(jnp.isfinite(y).all()) for y in pooled(F, WEIGHTS))


BAD = [
    (lambda: lie.project(F, (ELEMENTS, WEIGHTS), method="median"), "method: expected one of"),
    (lambda: lie.project(F, (ELEMENTS, WEIGHTS), method="max", rep=reps.Vector()), "'mean' with a rep"),
    (
        lambda: lie.project(F, (ELEMENTS, WEIGHTS), method="logsumexp", temperature=0.0),
        "temperature: expected a positive",
    ),
    (lambda: lie.downsample(F, 0), "factor: expected an integer of at least 1"),
    (lambda: lie.project(F[:, :4], (ELEMENTS, WEIGHTS)), "expected 5 nodes along axis -4"),
    (lambda: lie.normalize(F[:, :4], (ELEMENTS, WEIGHTS)), "expected 5 nodes along axis -4"),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

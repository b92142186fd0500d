"""Projection, normalization, the edge of the window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, lie, reps
from equijax.lie import grid
from equijax.lie.pooling import PROJECTIONS

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


def blob(points):
    """A lopsided function of points (..., 2) that is zero to rounding beyond 14 pixels."""
    x, y = points[..., 0], points[..., 1]
    return (1 + 0.3 * x - 0.2 * x * y) * jnp.exp(-(x**2 + 2 * y**2 + x * y) / 8) + jnp.exp(-((x - 3) ** 2 + y**2) / 3)


def test_center_of_mass_moves_with_the_image(x64):
    """Pixels from the middle, x to the right and y up; under any affine map of a smooth image."""
    dot = jnp.zeros((2, 5, 8, 1)).at[:, 1, 6].set(1)
    np.testing.assert_allclose(lie.center_of_mass(dot), [[2.5, 1]] * 2, rtol=1e-12)
    volume = jnp.zeros((3, 3, 5, 2)).at[2, 1, 0].set(1)
    np.testing.assert_allclose(lie.center_of_mass(volume, 3), [-2, 0, 1], rtol=1e-12)
    B, t = jnp.array([[1.1, 0.3], [-0.2, 0.9]]), jnp.array([2.0, -1.0])
    x = jnp.asarray(grid.pixels((61, 61)).reshape(61, 61, 2))
    still, moved = (lie.center_of_mass(blob(p)[..., None]) for p in (x, (x - t) @ jnp.linalg.inv(B).T))
    np.testing.assert_allclose(moved, B @ still + t, atol=1e-8)
    empty = jax.value_and_grad(lambda image: jnp.sum(lie.center_of_mass(image)))(jnp.zeros((4, 4, 1)))
    assert all(jnp.all(part == 0) for part in empty)
    with pytest.raises(ValueError, match=r"image: expected shape \(\.\.\., 3 axes of space, channels\)"):
        lie.center_of_mass(dot[0], 3)


def test_pooling_about_a_center_moves_with_the_image(x64):
    """Exact for nodes that move with the input, but for sums over pixels: F(BA) of the moved feature is F(A)."""
    B, t = jnp.array([[1.1, 0.3], [-0.2, 0.9]]), jnp.array([2.0, -1.0])
    A, w = groups.GLPlus(2).nodes(4)
    A = A[:3] / jnp.abs(jnp.linalg.det(A[:3]))[:, None, None] ** 0.5 * jnp.array([0.8, 1.0, 1.3])[:, None, None]
    offsets = jnp.array([[0.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
    c = jnp.array([0.5, 1.0])
    x = 0.5 * jnp.asarray(grid.pixels((121, 121)).reshape(121, 121, 2))

    def pooled(A, x, c):
        f = jnp.stack([blob(x) * (j + 1) for j in range(3)])[..., None]
        return lie.pool_about(f, (A, w[:3]), c, offsets, width=1.5, spacing=0.5)

    still = pooled(A, x, c)
    moved = pooled(B @ A, (x - t) @ jnp.linalg.inv(B).T, B @ c + t)
    np.testing.assert_allclose(moved, still, atol=1e-7)
    assert still.shape == (3, 3, 1)
    assert jnp.std(still) > 0.1
    assert jnp.max(jnp.abs(pooled(B @ A, x, c) - still)) > 0.05


def test_pooling_about_a_center_is_a_mean():
    """Of a constant far from the edge, whatever the node; parts, batch and dtype as asked."""
    nodes = (jnp.stack([jnp.eye(2), jnp.array([[0.0, -1.2], [1.2, 0.0]])]), jnp.ones(2))
    f = jnp.ones((4, 2, 31, 31, 3), jnp.bfloat16)
    F = lie.pool_about(f, nodes, jnp.zeros((4, 2)), jnp.array([[0.0, 0.0], [2.0, 1.0]]), width=1.5)
    assert F.dtype == jnp.bfloat16
    assert F.shape == (4, 2, 2, 3)
    np.testing.assert_allclose(F.astype(float), 1, atol=4e-3)
    corner = lie.pool_about(f.at[..., :15, 16:, 0].set(5), nodes, jnp.zeros((4, 2)), jnp.array([[6.0, 6.0]]), width=1.5)
    np.testing.assert_allclose(corner[:, :, 0, 0].astype(float), [[5, 1]] * 4, atol=0.03)  # a quarter turn looks left
    bad = {
        "center: expected shape": {"center": jnp.zeros(2)},
        "offsets: expected shape": {"offsets": jnp.zeros(2)},
        "width": {"width": 0.0},
        "spacing": {"spacing": -1.0},
        "f: expected 2 nodes": {"f": f[:, :1]},
    }
    good = {"f": f, "nodes": nodes, "center": jnp.zeros((4, 2)), "offsets": jnp.zeros((1, 2)), "width": 1.0}
    for message, change in bad.items():
        with pytest.raises(ValueError, match=message):
            lie.pool_about(**(good | change))


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


def test_nothing_left_is_an_error_and_nan_under_jit():
    with pytest.raises(ValueError, match=r"reach: the nodes end at .* take less than 9.0"):
        lie.interior((ELEMENTS, WEIGHTS), 9.0)

    @jax.jit
    def pooled(f, weights):
        nodes = lie.interior((ELEMENTS, weights), 9.0)
        return [*(lie.project(f, nodes, method=method) for method in PROJECTIONS), lie.normalize(f, nodes)]

    assert all(bool(jnp.isnan(y).all()) for y in pooled(F, WEIGHTS))
    with pytest.raises(ValueError, match=r"nodes: expected weights with a positive sum, got 0.0"):
        lie.project(F, (ELEMENTS, jnp.zeros_like(WEIGHTS)))


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

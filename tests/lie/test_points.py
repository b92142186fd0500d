"""Correlation on scattered points: exact under affine maps, neighborhoods, padding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, lie, reps

RNG = np.random.default_rng(0)
AFF = groups.Affine(2)
W = RNG.normal(size=(9, 6))
POINTS, VALUES = RNG.normal(size=(6, 2)).astype(np.float32), RNG.normal(size=(6, 3)).astype(np.float32)
NODES = groups.GLPlus(2).nodes(2)


def kernel(g):
    z = jnp.concatenate([g.translation, lie.coordinates(g.linear)], axis=-1)
    return jnp.sin(z @ W.astype(z.dtype)).reshape(*z.shape[:-1], 3, 2)


def window(g):
    return lie.bump(jnp.sum(g.translation**2, axis=-1) / 4)


@pytest.mark.gpu
@pytest.mark.parametrize("weighted_mean", [False, True])
def test_is_exact_when_nodes_move_with_the_input(weighted_mean):
    """Tier one, with any number of nodes: elements of Aff(2) act on themselves, g̃ → h g̃, and det h ≠ 1."""
    f, (elements, weights) = lie.lift_points(POINTS, VALUES, NODES)

    def layer(f, elements):
        return lie.correlate_points(f, kernel, (elements, weights), window=window if weighted_mean else None)

    symmetry = ej.Symmetry(AFF, (None, reps.Element(AFF)), None)
    ej.check(layer, symmetry, (f, elements)).assert_exact()


def test_neighborhoods_lose_nothing_inside_of_the_window():
    f, nodes = lie.lift_points(3 * POINTS, VALUES, NODES)
    nearest = jax.jit(functools.partial(lie.nearest, radius=2.0), static_argnums=1)
    index, overflow = nearest(nodes[0], 11)
    correlate = jax.jit(lambda index: lie.correlate_points(f, kernel, nodes, index, window=window))
    everything = jnp.broadcast_to(jnp.arange(12), (12, 12))
    assert not overflow
    np.testing.assert_allclose(correlate(index), correlate(everything), atol=1e-5)
    few, overflow = nearest(nodes[0], 2)
    assert overflow
    assert jnp.abs(correlate(few) - correlate(everything)).max() > 1e-2


def test_a_neighborhood_that_is_just_full_has_lost_nothing():
    line = groups.SE(1).identity((3,))._replace(translation=jnp.array([[0.0], [1.5], [5.0]]))
    overflows = [bool(lie.nearest(line, most, radius=2.0)[1]) for most in (1, 2)]  # of one neighborhood, and of none
    assert overflows == [True, False]


def test_points_without_volume_do_not_count():
    padded = [np.concatenate([x, np.full((2, x.shape[1]), 7, np.float32)]) for x in (POINTS, VALUES)]
    volumes = jnp.asarray([1.0] * 6 + [0.0] * 2)

    @jax.jit
    def layer(points, values, volumes):
        f, nodes = lie.lift_points(points, values, NODES, volumes)
        return [lie.correlate_points(f, kernel, nodes, window=w) for w in (None, lambda g: 1 + window(g))]

    for found, expected in zip(layer(*padded, volumes), layer(POINTS, VALUES, jnp.ones(6)), strict=True):
        np.testing.assert_allclose(found[:12], expected, atol=1e-5)


def test_weights_of_lifted_points_are_those_of_the_left_haar_measure():
    """dx dμ(A) / ‖det A‖, in the order of the elements: the nodes of the first point, then those of the next."""
    nodes = (jnp.stack([jnp.diag(jnp.array([2.0, 3.0])), jnp.eye(2)]), jnp.array([0.6, 0.4]))
    _, (elements, weights) = lie.lift_points(POINTS[:2], VALUES[:2], nodes, jnp.array([1.0, 10.0]))
    np.testing.assert_allclose(weights, [0.1, 0.4, 1.0, 4.0], rtol=1e-6)
    np.testing.assert_array_equal(elements.translation, POINTS[np.array([0, 0, 1, 1])])


def test_a_lonely_element_gives_zero_and_not_nan():
    f, nodes = lie.lift_points(POINTS[:1], VALUES[:1], NODES)
    nothing = lambda g: jnp.zeros(g.translation.shape[:-1])  # noqa: E731
    np.testing.assert_array_equal(lie.correlate_points(f, kernel, nodes, window=nothing), jnp.zeros((2, 2)))


def test_gradients_are_finite_where_all_neighbors_lie_at_the_end_of_the_window():
    one = (groups.AffineElement(jnp.zeros((1, 2)), jnp.eye(2)[None]), jnp.ones(1))
    linear = lambda g: 1 + g.translation[..., :1, None]  # noqa: E731

    def y(t):
        outputs = groups.AffineElement(jnp.stack([t, 0 * t])[None], jnp.eye(2)[None])
        return lie.correlate_points(jnp.ones((1, 1)), linear, one, outputs=outputs, window=window)[0, 0]

    slopes = jax.jit(jax.vmap(jax.grad(y)))(jnp.linspace(1.9, 2.1, 99))
    assert jnp.isfinite(slopes).all()
    np.testing.assert_allclose(slopes[:30], -1, rtol=1e-4)  # the only neighbor has weight one


def test_bad_input_is_named():
    f, nodes = lie.lift_points(POINTS, VALUES, NODES)
    with pytest.raises(ValueError, match=r"positions: expected shape \(points, 3\)"):
        lie.lift_points(POINTS, VALUES, groups.SO(3).nodes(4))
    with pytest.raises(ValueError, match=r"f: expected shape \(12, channels\)"):
        lie.correlate_points(f[:3], kernel, nodes)
    with pytest.raises(ValueError, match=r"kernel: expected matrices \(..., 2, features\)"):
        lie.correlate_points(f[:, :2], kernel, nodes)
    with pytest.raises(ValueError, match=r"values: expected shape \(6, channels\)"):
        lie.lift_points(POINTS, VALUES[:3], NODES)
    with pytest.raises(ValueError, match=r"volumes: expected shape \(6,\)"):
        lie.lift_points(POINTS, VALUES, NODES, jnp.ones(3))
    for without in (nodes[0], (nodes[0], None)):
        with pytest.raises(TypeError, match=r"nodes: expected a pair .* got no weights"):
            lie.correlate_points(f, kernel, without)
    with pytest.raises(ValueError, match="nodes: expected 12 weights"):
        lie.correlate_points(f, kernel, (nodes[0], nodes[1][:3]))
    with pytest.raises(ValueError, match="nodes: a matrix is singular"):
        lie.correlate_points(f, kernel, (nodes[0]._replace(linear=0 * nodes[0].linear), nodes[1]))
    with pytest.raises(ValueError, match=r"outputs: expected matrices of shape \(nodes, 2, 2\)"):
        lie.correlate_points(f, kernel, nodes, outputs=groups.SE(3).identity((1,)))
    with pytest.raises(TypeError, match="nodes: expected an AffineElement"):
        lie.correlate_points(f, kernel, NODES)
    with pytest.raises(ValueError, match=r"neighbors: expected shape \(12, most\)"):
        lie.correlate_points(f, kernel, nodes, jnp.zeros((5, 3), int))
    with pytest.raises(ValueError, match="most: expected at most the 12 elements"):
        lie.nearest(nodes[0], 13)

"""Frames made of other frames: `stopped`, `guarded`, `heaviest` and `product`."""

import jax
import jax.numpy as jnp

from equijax import groups
from equijax.frames.base import Frame, checked_mask
from equijax.numerics import tolerance
from equijax.reps import Permutation, Position


def stopped(frame: Frame) -> Frame:
    """The frame, as a constant: derivatives do not see how it depends on the points.

    Gradients with respect to parameters stay the same if the frame is computed from inputs, not from what a network
    makes of them. Derivatives with respect to the points are still equivariant, but they are not the gradient of the
    average: as forces they have a net torque.

    Examples:
        >>> from equijax import frames, groups
        >>> frame = frames.stopped(frames.centroid)
        >>> jax.grad(lambda x: frame(groups.Translation(2), x, None)[0].sum())(jnp.eye(2)).tolist()
        [[0.0, 0.0], [0.0, 0.0]]
    """

    def wrapped(group, points, mask=None):
        elements, weights, info = frame(group, points, mask)
        return jax.lax.stop_gradient(elements), jax.lax.stop_gradient(weights), info

    return wrapped


def guarded(frame: Frame, otherwise: Frame | None = None) -> Frame:
    """The frame, and another one where it is degenerate; without another one, NaN there, so that it cannot be missed.

    The result is as exact as the two frames are, and jumps between them. Both are computed; the one with fewer elements
    is filled up with elements of weight 0.

    Examples:
        >>> from equijax import frames, groups
        >>> square = jnp.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])  # without principal axes
        >>> _, weights, info = frames.guarded(frames.pca)(groups.SO(2), square, None)
        >>> print(weights, info.degenerate)
        [nan nan] True
        >>> robust = frames.guarded(frames.pca, otherwise=frames.weighted_pairs)
    """

    def wrapped(group, points, mask=None):
        elements, weights, info = frame(group, points, mask)
        if otherwise is None:
            return elements, jnp.where(info.degenerate, jnp.nan, weights), info
        others, other_weights, other_info = otherwise(group, points, mask)
        count = max(len(weights), len(other_weights))
        ours, theirs = _fill(elements, weights, count), _fill(others, other_weights, count)
        chosen, info = jax.tree.map(lambda a, b: jnp.where(info.degenerate, b, a), (ours, info), (theirs, other_info))
        return *chosen, info

    return wrapped


def heaviest(frame: Frame) -> Frame:
    """The element with the largest weight alone; the gap includes the relative difference to the second largest.

    Examples:
        >>> from equijax import frames, groups
        >>> scores = jnp.log(jnp.array([1.0, 1.0, 2.0]))
        >>> element, weight, info = frames.heaviest(frames.scored)(groups.Cyclic(3), scores, None)
        >>> print(element.shape, weight)
        (1, 2, 2) [1.]
    """

    def wrapped(group, points, mask=None):
        elements, weights, info = frame(group, points, mask)
        index = jnp.argmax(weights)
        others = jnp.where(jnp.arange(len(weights)) == index, 0, weights)
        gap = jnp.minimum(info.gap, 1 - jnp.max(others) / weights[index])
        degenerate = info.degenerate | ~(gap >= tolerance(gap.dtype, 1e-4, 1e-8))
        element = jax.tree.map(lambda x: x[index][None], elements)
        return element, jnp.ones_like(weights[:1]), info._replace(gap=gap, degenerate=degenerate)

    return wrapped


def product(*frames: Frame) -> Frame:
    """The frame of a `groups.Product`, from one frame for each factor.

    Each frame sees the points in the poses of the frames before it, and must not depend on what the factors after it
    do: `product(pca, sorting)` for Product(E(3), Permutation(n)), as principal axes do not depend on the order of the
    points. Functions that commute with permutations on their own do not need it: averaging over E(3) keeps that.

    Examples:
        >>> from equijax import frames, groups
        >>> group = groups.Product(groups.SO(2), groups.Permutation(3))
        >>> points = jnp.array([[0.0, 2.0], [1.0, 0.0], [0.5, 0.5]])
        >>> (rotations, orders), weights, info = frames.product(frames.pca, frames.sorting)(group, points, None)
        >>> rotations.shape, orders.shape
        ((2, 2, 2), (2, 3))
    """

    def wrapped(group, points, mask=None):
        if not isinstance(group, groups.Product) or len(group.groups) != len(frames):
            raise ValueError(f"group: expected a groups.Product of {len(frames)} factors, got {group}")
        return _nested(frames, group.groups, points, checked_mask(mask, len(points)))

    return wrapped


def _nested(frames, factors, points, mask):
    """Tuples of elements, one for each factor, as many as the products of the numbers of elements."""
    elements, weights, info = frames[0](factors[0], points, mask)
    if len(frames) == 1:
        return (elements,), weights, info

    def below(g):
        moved, valid = _move(factors[0], factors[0].inverse(g), points, mask)
        return _nested(frames[1:], factors[1:], moved, valid)

    rest, inner, inside = jax.vmap(below)(elements)  # K elements of this frame, M of those below: inner is (K, M)
    first = jax.tree.map(lambda x: jnp.repeat(x, inner.shape[1], axis=0), elements)  # (K M, ...)
    rest = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rest)  # (K, M, ...) -> (K M, ...)
    gap, degenerate = jnp.minimum(info.gap, jnp.min(inside.gap)), info.degenerate | jnp.any(inside.degenerate)
    weights = (weights[:, None] * inner).reshape(-1)
    return (first, *rest), weights, info._replace(gap=gap, degenerate=degenerate)


def _move(group, g, points, mask):
    if isinstance(group, groups.Permutation):
        return Permutation(-2).act(g, points), Permutation(-1).act(g, mask)
    return Position().act(g, points), mask


def _fill(elements, weights, count):
    """Filled up to that many elements, those of weight 0."""
    missing = count - len(weights)
    elements = jax.tree.map(lambda x: jnp.concatenate([x, jnp.repeat(x[:1], missing, axis=0)]), elements)
    return elements, jnp.pad(weights, (0, missing))

"""Frames of one element from chosen points, made orthonormal one after the other: `pivoted` and `qr`."""

import functools

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.frames.base import Info, Rotations, from_rotations, rank, zero_length
from equijax.groups import Element, Group
from equijax.numerics import completion, matmul, sqrt, unit_across


def pivoted(group: Group, points: ArrayLike, mask: ArrayLike | None = None) -> tuple[Element, Float[Array, " 1"], Info]:
    """Axes along the farthest point, then along the one farthest from that axis, and so on; for unordered points.

    One element. It jumps where two points are equally far: the gap is the smallest relative difference of the farthest
    and the second farthest. Where a symmetry of the points maps the one to the other, the choice between them changes
    nothing if the function takes the points as a set (for SO(d), if that symmetry is a rotation); `degenerate` is true
    nevertheless.

    Args:
        group: SO(d), O(d), SE(d), E(d), Similarity(d), or the like about an axis, with d > 1.
        points: Shape (n, d).
        mask: Which points are valid, shape (n,).

    Returns:
        An element along an axis of length one, its weight 1, and `Info`.

    Examples:
        >>> from equijax import groups
        >>> rotation, weight, info = pivoted(groups.SO(2), jnp.array([[0.0, 2.0], [1.0, 0.0]]))
        >>> print(rotation[0])  # the first column points to the farthest point
        [[ 0. -1.]
         [ 1.  0.]]
    """
    return from_rotations("pivoted", group, points, mask, functools.partial(_gram_schmidt, choose=_farthest), least=2)


def qr(
    group: Group, points: ArrayLike, mask: ArrayLike | None = None, *, tolerance: float = 1e-2
) -> tuple[Element, Float[Array, " 1"], Info]:
    """Axes along the first point, then the first that is off that axis, and so on; for ordered points.

    One element: Q of the QR decomposition of d of the points with a positive diagonal of R. It depends on the order of
    the points, so it is not for functions of sets. For points on a line (a plane, for O(3)) invariant results are
    exact, and vectors need `span_projection`.

    It jumps where the distance of a point from the span of those before it passes the tolerance. The gap is the
    relative distance from such an input; it is 0 where points lie off the span, but none by more than the tolerance.

    Args:
        group: SO(d), O(d), SE(d), E(d), Similarity(d), or the like about an axis, with d > 1.
        points: Shape (n, d); also d vectors of an equivariant network, d − 1 for SO(d).
        mask: Which points are valid, shape (n,).
        tolerance: A point counts if its distance from the span of the earlier ones, over the root mean square radius,
            is larger than this.

    Returns:
        An element along an axis of length one, its weight 1, and `Info`.

    Examples:
        >>> from equijax import groups
        >>> rotation, weight, info = qr(groups.SO(2), jnp.array([[0.0, 2.0], [1.0, 0.0]]))
        >>> print(rotation[0])  # the first column points to the first point
        [[ 0. -1.]
         [ 1.  0.]]
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance: expected a positive number, got {tolerance}")
    choose = functools.partial(_first_off_axes, tolerance=tolerance)
    return from_rotations("qr", group, points, mask, functools.partial(_gram_schmidt, choose=choose), least=2)


def _gram_schmidt(points, valid, proper, choose):
    """Axes (m, d) along what is left of one chosen point after the other, across the axes before it."""
    d = points.shape[-1]
    rest, axes, gap = points, jnp.zeros((0, d), points.dtype), jnp.ones((), points.dtype)
    for _ in range(d - proper):
        square = jnp.where(valid, jnp.sum(jnp.square(rest), axis=-1), 0)
        lengths = sqrt(square)
        index, margin = choose(points, valid, lengths)
        axes = jnp.concatenate([axes, unit_across(rest[index], axes, zero_length(points.dtype))[None]])
        gap = jnp.minimum(gap, margin)
        rest = points - matmul(matmul(points, axes.T), axes)
    if proper:
        axes = jnp.concatenate([axes, completion(axes)[None]])
    spanned = rank(points)
    return Rotations(axes.T[None], jnp.ones(1, points.dtype), gap, spanned, spanned < d - proper)


def _farthest(points, valid, lengths):
    """The index of the point farthest from the axes, and how much farther it is than the second, relative to it."""
    index = jnp.argmax(lengths)
    apart = jnp.sum(jnp.square(points - points[index]), axis=-1) > zero_length(points.dtype) ** 2
    second = jnp.max(jnp.where(apart, lengths, 0))
    longest = lengths[index]
    decided = longest > zero_length(points.dtype)
    return index, jnp.where(decided, (longest - second) / jnp.where(decided, longest, 1), 1)


def _first_off_axes(points, valid, lengths, tolerance):
    """The index of the first point off the axes by more than the tolerance, else of the farthest, and the gap."""
    off = lengths > tolerance
    found, longest = jnp.any(off), jnp.max(lengths, initial=0)
    index = jnp.where(found, jnp.argmax(off), jnp.argmax(lengths))
    before = valid & (jnp.arange(len(lengths)) <= index)
    gap = jnp.min(jnp.where(before, jnp.abs(lengths / tolerance - 1), 1), initial=1)
    return index, jnp.where(found | (longest <= zero_length(points.dtype)), gap, 0)

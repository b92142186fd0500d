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

    One element. Of points that are equally far to rounding it takes the one farthest from the center, and of those the
    first. The last two points off the axes always are equally far where the group translates, as what is left of all
    points adds up to zero: three points of SE(3), and four of E(3), have axes by this rule.

    It jumps where two points are equally far: the gap is the smallest relative difference of the farthest and the
    second farthest, or of the distances from the center of the last two points. Where it is zero, the result depends
    on the order of the points, except where a symmetry maps the one to the other and the function takes the points as
    a set (for SO(d), if that symmetry is a rotation); `degenerate` is true in either case. Two points about their
    center are such a pair. Where the points span too few dimensions, as any two of SE(3), invariant results are exact
    and vectors need `span_projection`.

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
        index, margin = choose(points, valid, rest, lengths)
        axes = jnp.concatenate([axes, unit_across(rest[index], axes, zero_length(points.dtype))[None]])
        gap = jnp.minimum(gap, margin)
        rest = points - matmul(matmul(points, axes.T), axes)
    if proper:
        axes = jnp.concatenate([axes, completion(axes)[None]])
    spanned = rank(points)
    return Rotations(axes.T[None], jnp.ones(1, points.dtype), gap, spanned, spanned < d - proper)


def _farthest(points, valid, rest, lengths):
    """The index of the point farthest from the axes, and how much farther it is than the second, relative to it.

    Of points equally far, the one farthest from the center, then the first. The last two off the axes, if opposite
    across them, differ in their distance from the center only.
    """
    tiny = zero_length(points.dtype)
    radii = jnp.where(valid, sqrt(jnp.sum(jnp.square(points), axis=-1)), 0)
    tied = lengths >= (1 - tiny) * jnp.max(lengths)
    highest = jnp.max(jnp.where(tied, radii, 0))
    index = jnp.argmax(tied & (radii >= (1 - tiny) * highest))  # the first

    off = lengths > tiny
    opposite = (jnp.sum(off) == 2) & (jnp.max(jnp.abs(jnp.sum(rest, axis=0))) <= tiny)
    measure = jnp.where(opposite, jnp.where(off, radii, 0), lengths)
    apart = jnp.sum(jnp.square(points - points[index]), axis=-1) > tiny**2
    second, longest = jnp.max(jnp.where(apart, measure, 0)), measure[index]
    decided = lengths[index] > tiny
    return index, jnp.where(decided, (longest - second) / jnp.where(decided, longest, 1), 1)


def _first_off_axes(points, valid, rest, lengths, tolerance):
    """The index of the first point off the axes by more than the tolerance, else of the farthest, and the gap."""
    off = lengths > tolerance
    found, longest = jnp.any(off), jnp.max(lengths, initial=0)
    index = jnp.where(found, jnp.argmax(off), jnp.argmax(lengths))
    before = valid & (jnp.arange(len(lengths)) <= index)
    gap = jnp.min(jnp.where(before, jnp.abs(lengths / tolerance - 1), 1), initial=1)
    return index, jnp.where(found | (longest <= zero_length(points.dtype)), gap, 0)

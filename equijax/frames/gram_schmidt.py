"""Frames of one element from chosen points, made orthonormal one after the other."""

import functools
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from equijax.frames.pose import Info, Rotations, from_rotations, rank
from equijax.groups import Group
from equijax.numerics import completion, matmul, sqrt, unit_across


def pivoted(group: Group, points: Any, mask: Any = None) -> tuple[Any, Float[Array, " 1"], Info]:
    """Axes along the farthest point, then along the one farthest from that axis, and so on; for unordered points.

    One element. It jumps where two points are equally far: the gap is the smallest relative difference of the first
    and the second. A tie that a symmetry of the points explains changes nothing if the function takes the points as a
    set (for SO(d), if that symmetry is a rotation); it is flagged nevertheless.

    Args:
        group: SO(d), O(d), SE(d), E(d), Similarity(d), or the like about an axis, with d > 1.
        points: Shape (n, d).
        mask: Which points are valid, shape (n,).

    Returns:
        An element along an axis of length one, its weight 1, and `Info`.
    """
    return from_rotations("pivoted", group, points, mask, functools.partial(_gram_schmidt, choose=_farthest), least=2)


def qr(group: Group, points: Any, mask: Any = None, *, tolerance: float = 1e-2) -> tuple[Any, Float[Array, " 1"], Info]:
    """Axes along the first point, then the first that is off that axis, and so on; for ordered points.

    One element, from the QR decomposition of d of the points with a positive diagonal. It jumps where a point comes
    closer to the span of those before it than the tolerance, and the gap is the relative distance from there: 0 where
    no point is farther off, and not all lie in that span. It depends on the order of the points: not for functions of
    sets. For points on a line (a plane, for O(3)), invariant results are exact, vectors need `span_projection`.

    Args:
        group: SO(d), O(d), SE(d), E(d), Similarity(d), or the like about an axis, with d > 1.
        points: Shape (n, d); also d vectors of an equivariant network, d − 1 for SO(d).
        mask: Which points are valid, shape (n,).
        tolerance: Distance from the span of the earlier points, over the root mean square radius, for a point to count.

    Returns:
        An element along an axis of length one, its weight 1, and `Info`.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance: expected a positive number, got {tolerance}")
    choose = functools.partial(_first, tolerance=tolerance)
    return from_rotations("qr", group, points, mask, functools.partial(_gram_schmidt, choose=choose), least=2)


def shortest(dtype: Any) -> float:
    """What counts as zero among points of root mean square radius 1."""
    return 32 * float(jnp.finfo(dtype).eps)


def _gram_schmidt(points, valid, proper, choose):
    d = points.shape[-1]
    rest, axes, gap = points, jnp.zeros((0, d), points.dtype), jnp.ones((), points.dtype)
    for _ in range(d - proper):
        square = jnp.where(valid, jnp.sum(jnp.square(rest), axis=-1), 0)
        lengths = sqrt(square)
        index, margin = choose(points, valid, lengths)
        axes = jnp.concatenate([axes, unit_across(rest[index], axes, shortest(points.dtype))[None]])
        gap = jnp.minimum(gap, margin)
        rest = points - matmul(matmul(points, axes.T), axes)
    if proper:
        axes = jnp.concatenate([axes, completion(axes)[None]])
    spanned = rank(points)
    return Rotations(axes.T[None], jnp.ones(1, points.dtype), gap, spanned, spanned < d - proper)


def _farthest(points, valid, lengths):
    index = jnp.argmax(lengths)
    apart = jnp.sum(jnp.square(points - points[index]), axis=-1) > shortest(points.dtype) ** 2
    second = jnp.max(jnp.where(apart, lengths, 0))
    longest = lengths[index]
    decided = longest > shortest(points.dtype)
    return index, jnp.where(decided, (longest - second) / jnp.where(decided, longest, 1), 1)


def _first(points, valid, lengths, tolerance):
    off = lengths > tolerance
    found, longest = jnp.any(off), jnp.max(lengths, initial=0)
    index = jnp.where(found, jnp.argmax(off), jnp.argmax(lengths))
    before = valid & (jnp.arange(len(lengths)) <= index)
    gap = jnp.min(jnp.where(before, jnp.abs(lengths / tolerance - 1), 1), initial=1)
    return index, jnp.where(found | (longest <= shortest(points.dtype)), gap, 0)

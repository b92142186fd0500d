"""What all frames share: points about their center, rotations made into elements, and how well they are defined."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from equijax._validate import floating
from equijax.groups import SO, AffineElement, Axial, Group, O, Scaled, Semidirect, Translation
from equijax.numerics import matmul, norm, tolerance


class Info(NamedTuple):
    """How well a frame is defined at its input.

    Attributes:
        gap: Relative distance, from 0 to 1, to the nearest input at which the frame jumps; 1 if there is none.
        rank: Dimension of the span of the points, about their center where the group translates.
        degenerate: Whether the average may fail to be equivariant, or is about to: the gap is below 1e-4 (1e-8 in
            float64), the rank too low for the outputs that move, there is no valid point, or a row is not finite.
        valid: Number of valid points.
        nonfinite_row: The first row with NaN or infinity, −1 if there is none.
    """

    gap: Float[Array, ""]
    rank: Int[Array, ""]
    degenerate: Bool[Array, ""]
    valid: Int[Array, ""]
    nonfinite_row: Int[Array, ""]


class Rotations(NamedTuple):
    """Weighted orthogonal matrices, the axes as columns, and what `Info` holds of them."""

    matrices: Float[Array, "K d d"]
    weights: Float[Array, " K"]
    gap: Float[Array, ""]
    rank: Int[Array, ""]
    degenerate: Bool[Array, ""]


Frame = Callable[[Group, Any, Any], tuple[Any, Float[Array, " K"], Info]]


def from_rotations(
    name: str, group: Group, points: Any, mask: Any, rotations: Callable[..., Rotations], least: int = 1
) -> tuple[Any, Float[Array, " K"], Info]:
    """The frame of a group of rigid motions or similarities, from a frame of rotations.

    Args:
        name: Of the frame, for errors.
        group: SO(n), O(n), either about the last axis, any of them scaled, and with translations.
        points: Shape (n, d).
        mask: Which points are valid, shape (n,); None for all.
        rotations: Called with the points about the center (about the origin where the group does not translate),
            divided by their root mean square radius, the mask, and whether the determinant must be 1. Rows that are
            not valid are zero. It may not depend on the scale.
        least: The smallest dimension for which there are such rotations.

    Returns:
        The elements along a leading axis K, their weights, which sum to one, and `Info`.
    """
    translates, linear, full, orthogonal = parsed(name, group)
    if orthogonal.n < least:
        raise ValueError(f"group: {name} is for {least} dimensions and more, got {group}; see pca")
    cloud, valid, center, info = about_center(points, mask, linear.size, translates)
    moving, enough = _unit(cloud[:, : orthogonal.n], valid)
    matrices, weights, gap, rank, degenerate = rotations(moving, enough, isinstance(orthogonal, SO))
    degenerate = degenerate | ~(gap >= tolerance(gap.dtype, 1e-4, 1e-8)) | info.degenerate
    if isinstance(full, Axial):
        matrices = full.embed(matrices)
    if isinstance(linear, Scaled):
        size = radius(cloud, valid)
        degenerate = degenerate | (size == 0)
        matrices = matrices * jnp.where(size > 0, size, 1)
    info = info._replace(gap=gap, rank=rank, degenerate=degenerate)
    if not translates:
        return matrices, weights, info
    return AffineElement(jnp.broadcast_to(center, (len(weights), *center.shape)), matrices), weights, info


def parsed(name: str, group: Group) -> tuple[bool, Any, Any, Any]:
    """Whether a group translates; its linear part; that without scalings; that in the plane across its axis, if any.

    Raises:
        ValueError: If it is not made of these.
    """
    translates = isinstance(group, Semidirect)
    linear = group.linear if isinstance(group, Semidirect) else group
    full = linear.group if isinstance(linear, Scaled) else linear
    orthogonal = full.group if isinstance(full, Axial) else full
    if not isinstance(orthogonal, SO | O) or getattr(full, "axis", -1) != -1:
        raise ValueError(
            f"group: {name} is for SO, O, SE, E, Similarity and those about the last axis, got {group}; equijax.frames "
            "has frames of other groups, and finite groups have equijax.group_average"
        )
    return translates, linear, full, orthogonal


def centroid(group: Group, points: Any, mask: Any = None) -> tuple[Any, Float[Array, " 1"], Info]:
    """The mean of the points, a frame of the translations."""
    if not isinstance(group, Translation):
        raise ValueError(f"group: centroid is a frame of translations, got {group}; see pca")
    _, _, center, info = about_center(points, mask, group.n, True)
    return center[None], jnp.ones(1, center.dtype), info


def about_center(points: Any, mask: Any, size: int | None, center: bool) -> tuple[Any, Any, Any, Info]:
    """Points minus the mean of the valid ones (if `center`), with zeros where they are not valid, in at least float32.

    Points that coincide to rounding give zeros, not their rounding.

    Returns:
        Points (n, d), mask (n,), the center (d,), and an `Info` without gap and rank.

    Raises:
        TypeError: If the points are not real floating-point numbers.
        ValueError: If a shape is wrong.
    """
    points = floating("points", points)
    if points.ndim != 2 or points.shape[-1] != size:
        hint = "; use jax.vmap for a batch" if points.ndim > 2 else ""
        raise ValueError(f"points: expected shape (n, {size}), got {points.shape}{hint}")
    valid = checked_mask(mask, len(points))
    points = jnp.where(valid[:, None], points.astype(jnp.promote_types(points.dtype, jnp.float32)), 0)
    count = jnp.sum(valid, dtype=jnp.int32)
    row = _first(~jnp.all(jnp.isfinite(points), axis=-1))
    mean, largest = jnp.zeros_like(points, shape=points.shape[1:]), jnp.max(jnp.abs(points), initial=0)
    for _ in range(2 if center else 0):  # the second time removes the rounding of the first
        step = jnp.sum(points, axis=0) / jnp.maximum(count, 1)
        points, mean = jnp.where(valid[:, None], points - step, 0), mean + step
    if center:
        coincide = jnp.max(jnp.abs(points), initial=0) <= 8 * jnp.finfo(points.dtype).eps * largest
        points = jnp.where(coincide, 0, points)
    info = Info(jnp.ones((), points.dtype), jnp.minimum(count, 1), (count == 0) | (row >= 0), count, row)
    return points, valid, mean, info


def checked_mask(mask: Any, n: int) -> Bool[Array, " n"]:
    """The mask as booleans; all true for None."""
    if mask is None:
        return jnp.ones(n, bool)
    if jnp.shape(mask) != (n,):
        raise ValueError(f"mask: expected shape ({n},), one entry a point, got {jnp.shape(mask)}")
    return jnp.asarray(mask).astype(bool)


def radius(points: Float[Array, "n d"], valid: Bool[Array, " n"]) -> Float[Array, ""]:
    """Root mean square distance from the origin of the valid points; without overflow, with gradient 0 at 0."""
    return norm(points, axis=None) / jnp.sqrt(jnp.maximum(jnp.sum(valid), 1))


def of_radius_one(points: Float[Array, "n d"], valid: Bool[Array, " n"]) -> Float[Array, "n d"]:
    """Points divided by their root mean square radius, which counts as a constant; zeros stay zeros."""
    size = jax.lax.stop_gradient(radius(points, valid))
    return points / jnp.where(size > 0, size, 1)


def null(values: Float[Array, " d"]) -> Bool[Array, " d"]:
    """Which of the ascending eigenvalues of a covariance are zero to rounding."""
    return values <= 32 * jnp.finfo(values.dtype).eps * values[-1]


def rank(points: Float[Array, "n d"]) -> Int[Array, ""]:
    """Dimension of the span of the points, to rounding."""
    return jnp.sum(~null(jnp.linalg.eigvalsh(jax.lax.stop_gradient(matmul(points.T, points)))), dtype=jnp.int32)


def _unit(points, valid):
    """Points of radius one, and rows that are not valid for at least d − 1 in all."""
    missing = max(0, max(1, points.shape[1] - 1) - len(points))
    return jnp.pad(of_radius_one(points, valid), ((0, missing), (0, 0))), jnp.pad(valid, (0, missing))


def _first(bad):
    """Index of the first true entry, −1 if there is none."""
    n = len(bad)
    index = jnp.min(jnp.where(bad, jnp.arange(n, dtype=jnp.int32), n), initial=n).astype(jnp.int32)
    return jnp.where(index < n, index, -1)

"""What a frame is, and what frames share: groups taken apart, points about their center, elements from rotations."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Bool, Float, Int

from equijax._validate import floating
from equijax.groups import SO, AffineElement, Axial, Element, Group, O, Scaled, Semidirect, Translation
from equijax.numerics import matmul, norm, tolerance


class Info(NamedTuple):
    """How well a frame is defined at its input.

    Attributes:
        gap: How far the input is from the nearest one at which the frame jumps, from 0 to 1, relative to the size of
            the points; each frame says what it measures. 1 if there is no such input.
        rank: Dimension of the span of the points, about their center where the group translates.
        degenerate: True where the average may fail to be equivariant, or an input nearby may make it fail: the gap is
            below 1e-4 (1e-8 in float64), the points span too few dimensions for outputs that move, no point is valid,
            or a row is not finite.
        valid: Number of valid points.
        nonfinite_row: The first row with NaN or infinity, −1 if there is none.

    Examples:
        >>> from equijax import frames, groups
        >>> square = jnp.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])  # as long as it is wide: no principal axes
        >>> _, _, info = frames.pca(groups.SO(2), square)
        >>> print(info.gap, info.rank, info.degenerate)
        0.0 2 True
    """

    gap: Float[Array, ""]
    rank: Int[Array, ""]
    degenerate: Bool[Array, ""]
    valid: Int[Array, ""]
    nonfinite_row: Int[Array, ""]


@runtime_checkable
class Frame(Protocol):
    """Group elements, computed from points, that move with the points: `frame(group, points, mask)`.

    At g x the elements are g times those at x, in any order, with the same weights. Any function with this signature
    and this property is a frame. It sees one sample; batches by `jax.vmap`.
    """

    def __call__(
        self, group: Group, points: Float[Array, "n d"], mask: Bool[Array, " n"] | None, /
    ) -> tuple[Element, Float[Array, " K"], Info]:
        """The frame at one input.

        Args:
            group: The group that moves the points.
            points: One a row. Some frames take something else that moves: momenta, keys, scores.
            mask: Which points are valid, None for all; the others must not matter.

        Returns:
            Elements along a leading axis K, their weights, which sum to one, and `Info`.
        """


class Rotations(NamedTuple):
    """Weighted orthogonal matrices, and those fields of `Info` that come with them."""

    matrices: Float[Array, "K d d"]
    """The axes are the columns."""
    weights: Float[Array, " K"]
    gap: Float[Array, ""]
    rank: Int[Array, ""]
    degenerate: Bool[Array, ""]


class Motions(NamedTuple):
    """What a group of rigid motions or similarities consists of."""

    dimension: int
    """Of the points."""
    orthogonal: SO | O
    """The rotations and reflections; for a group about an axis those of the plane across it."""
    axial: Axial | None
    """The same about the last axis, for a group about an axis."""
    scales: bool
    translates: bool

    @property
    def proper(self) -> bool:
        """Whether there are no reflections."""
        return isinstance(self.orthogonal, SO)


def motions(name: str, group: Group) -> Motions:
    """A group of rigid motions or similarities, taken apart.

    Args:
        name: Of the frame, for errors.
        group: SO(d), O(d), either about the last axis, any of them scaled, and with translations.

    Raises:
        ValueError: If the group is none of these.
    """
    translates = isinstance(group, Semidirect)
    linear = group.linear if isinstance(group, Semidirect) else group
    unscaled = linear.group if isinstance(linear, Scaled) else linear
    orthogonal = unscaled.group if isinstance(unscaled, Axial) else unscaled
    axial = unscaled if isinstance(unscaled, Axial) else None
    if not isinstance(orthogonal, SO | O) or (axial is not None and axial.axis != -1):
        raise ValueError(
            f"group: {name} is for SO, O, SE, E, Similarity and those about the last axis, got {group}; equijax.frames "
            "has frames of other groups, and finite groups have equijax.group_average"
        )
    dimension = orthogonal.n if axial is None else orthogonal.n + 1
    return Motions(dimension, orthogonal, axial, isinstance(linear, Scaled), translates)


def from_rotations(
    name: str,
    group: Group,
    points: ArrayLike,
    mask: ArrayLike | None,
    rotations: Callable[[Float[Array, "n d"], Bool[Array, " n"], bool], Rotations],
    least: int = 1,
) -> tuple[Element, Float[Array, " K"], Info]:
    """The frame of a group of rigid motions or similarities, from a frame of rotations.

    Args:
        name: Of the frame, for errors.
        group: As for `motions`.
        points: Shape (n, d).
        mask: Which points are valid, shape (n,); None for all.
        rotations: Called with the points about the center (about the origin where the group does not translate),
            divided by their root mean square radius, the mask, and whether the determinant must be 1. Rows that are
            not valid are zero. Its result must not depend on the scale.
        least: The smallest dimension for which there are such rotations.

    Returns:
        The elements along a leading axis K, their weights, which sum to one, and `Info`.
    """
    parts = motions(name, group)
    d = parts.orthogonal.n
    if d < least:
        raise ValueError(f"group: {name} is for {least} dimensions and more, got {group}; see pca")
    cloud, valid, center, info = about_center(points, mask, parts.dimension, parts.translates)

    moving, known = _of_size_one(cloud[:, :d], valid)  # across the axis, where there is one
    matrices, weights, gap, rank, degenerate = rotations(moving, known, parts.proper)
    degenerate = degenerate | ~(gap >= tolerance(gap.dtype, 1e-4, 1e-8)) | info.degenerate
    if parts.axial is not None:
        matrices = parts.axial.embed(matrices)  # (K, d + 1, d + 1)
    if parts.scales:
        size = radius(cloud, valid)
        degenerate = degenerate | (size == 0)
        matrices = matrices * jnp.where(size > 0, size, 1)

    info = info._replace(gap=gap, rank=rank, degenerate=degenerate)
    if not parts.translates:
        return matrices, weights, info
    return AffineElement(jnp.broadcast_to(center, (len(weights), *center.shape)), matrices), weights, info


def centroid(
    group: Group, points: ArrayLike, mask: ArrayLike | None = None
) -> tuple[Float[Array, "1 d"], Float[Array, " 1"], Info]:
    """The mean of the points, a frame of the translations.

    Args:
        group: Translation(d).
        points: Shape (n, d).
        mask: Which points are valid, shape (n,).

    Returns:
        The mean along an axis of length one, its weight 1, and `Info`.

    Examples:
        >>> from equijax import groups
        >>> means, weights, info = centroid(groups.Translation(2), jnp.array([[0.0, 2], [4, 2]]))
        >>> print(means, weights)
        [[2. 2.]] [1.]
    """
    if not isinstance(group, Translation):
        raise ValueError(f"group: centroid is a frame of translations, got {group}; see pca")
    _, _, center, info = about_center(points, mask, group.n, True)
    return center[None], jnp.ones(1, center.dtype), info


def about_center(
    points: ArrayLike, mask: ArrayLike | None, dimension: int, translates: bool
) -> tuple[Float[Array, "n d"], Bool[Array, " n"], Float[Array, " d"], Info]:
    """Points about the mean of the valid ones, or about the origin unless the group `translates`.

    In float32 or better; zeros where points are not valid. Points that coincide to rounding give zeros, not the
    rounding errors of their mean.

    Returns:
        Points (n, d), the mask (n,), the center (d,), and an `Info` whose gap and rank are still to be filled in.

    Raises:
        TypeError: If the points are not real floating-point numbers.
        ValueError: If a shape is wrong.
    """
    points = floating("points", points)
    if points.ndim != 2 or points.shape[-1] != dimension:
        hint = "; use jax.vmap for a batch" if points.ndim > 2 else ""
        raise ValueError(f"points: expected shape (n, {dimension}), got {points.shape}{hint}")
    valid = checked_mask(mask, len(points))
    points = jnp.where(valid[:, None], points.astype(jnp.promote_types(points.dtype, jnp.float32)), 0)
    count = jnp.sum(valid, dtype=jnp.int32)
    row = _first_true(~jnp.all(jnp.isfinite(points), axis=-1))
    mean, largest = jnp.zeros_like(points, shape=points.shape[1:]), jnp.max(jnp.abs(points), initial=0)
    for _ in range(2 if translates else 0):  # the second time removes the rounding of the first
        step = jnp.sum(points, axis=0) / jnp.maximum(count, 1)
        points, mean = jnp.where(valid[:, None], points - step, 0), mean + step
    if translates:
        coincide = jnp.max(jnp.abs(points), initial=0) <= 8 * jnp.finfo(points.dtype).eps * largest
        points = jnp.where(coincide, 0, points)
    info = Info(jnp.ones((), points.dtype), jnp.minimum(count, 1), (count == 0) | (row >= 0), count, row)
    return points, valid, mean, info


def checked_mask(mask: ArrayLike | None, n: int) -> Bool[Array, " n"]:
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


def zero_length(dtype: DTypeLike) -> float:
    """The length that counts as zero among points of root mean square radius 1."""
    return 32 * float(jnp.finfo(dtype).eps)


def _of_size_one(points, valid):
    """Points of radius one and their mask, padded with rows that are not valid to at least d − 1 rows."""
    missing = max(0, max(1, points.shape[1] - 1) - len(points))
    return jnp.pad(of_radius_one(points, valid), ((0, missing), (0, 0))), jnp.pad(valid, (0, missing))


def _first_true(flags):
    """Index of the first true entry, −1 if there is none."""
    n = len(flags)
    index = jnp.min(jnp.where(flags, jnp.arange(n, dtype=jnp.int32), n), initial=n).astype(jnp.int32)
    return jnp.where(index < n, index, -1)

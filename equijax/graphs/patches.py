"""Patches of scattered points: spread-out centers, and the points around each, on the device and of fixed shape."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from equijax import _validate

TILE = 1 << 22  # distances that are in memory at once


class FarthestPoints(NamedTuple):
    """Points that are spread out, those that lie farther from the others first."""

    indices: Int[Array, " count"]
    mask: Bool[Array, " count"]
    """False where there were no more points; the index is that of the first one there."""


class Patches(NamedTuple):
    """The points around each of some centers, nearest first; of equally near ones that of the lowest index."""

    indices: Int[Array, "centers k"]
    mask: Bool[Array, "centers k"]
    """False where there were no more points; the index is that of the nearest one there."""
    distances: Float[Array, "centers k"]
    """From the center, without derivatives; 0 where the mask is False."""
    found: Int[Array, " centers"]
    """How many points there are in reach, also where they are more than k."""


def farthest_points(points: ArrayLike, count: int, mask: ArrayLike | None = None) -> FarthestPoints:
    """Farthest point sampling: each point is as far as can be from all those before it.

    The first is the one farthest from the mean, so that the same points are chosen however the set is moved or ordered;
    of equally far ones, that of the lowest index. No point is chosen twice, but points may coincide.

    Args:
        points: Shape (n, d). In memory are n distances at a time.
        count: How many, n at most.
        mask: Which points are valid, shape (n,); by default all. Points that are not finite are not valid.

    Raises:
        TypeError: If the points are not real floating-point numbers.
        ValueError: If a shape is wrong, or `count` is more than n.

    References:
        Eldar et al. 1997, "The farthest point strategy for progressive image sampling".

    Examples:
        >>> line = jnp.array([[0.0], [1.0], [5.0], [9.0]])
        >>> farthest_points(line, 3).indices.tolist()  # the mean is 3.75
        [3, 0, 2]
    """
    x, valid = _points(points, mask)
    count = _at_most(x, "count", count)
    taken, missing = jnp.array(-1, x.dtype), jnp.array(-2, x.dtype)
    # squared distance from the nearest point that was chosen; that from the mean chooses the first one
    center = jnp.sum(x, axis=0) / jnp.maximum(jnp.sum(valid), 1)
    first = jnp.argmax(jnp.where(valid, _squares(x, center), missing)).astype(jnp.int32)

    def choose(carry, _):
        away, index = carry
        real = away[index] >= 0
        away = jnp.where(away >= 0, jnp.minimum(away, _squares(x, x[index])), away).at[index].min(taken)
        return (away, jnp.argmax(away).astype(jnp.int32)), (jnp.where(real, index, first), real)

    start = jnp.where(valid, jnp.inf, missing)
    _, (indices, real) = jax.lax.scan(choose, (start, first), length=count)
    return FarthestPoints(indices, real)


def nearest_points(
    points: ArrayLike, centers: ArrayLike, k: int, mask: ArrayLike | None = None, *, radius: ArrayLike | None = None
) -> Patches:
    """The k points nearest to each center, itself included if it is one of them; those in a ball if given a radius.

    All distances are computed, from differences, for so many centers at a time that they are some millions: no array is
    of all centers by all points.

    Args:
        points: Shape (n, d).
        centers: Shape (m, d), points or other places.
        k: How many for each center, n at most. Where a ball has more, the farther ones are left out: see `found`.
        mask: Which points are valid, shape (n,); by default all. Points that are not finite are not valid.
        radius: Points are at most so far from the center; one number, or one for each center, shape (m,).

    Raises:
        TypeError: If an array is not of real floating-point numbers.
        ValueError: If a shape is wrong, `k` is more than n, or a radius is not positive.

    Examples:
        >>> line = jnp.array([[0.0], [1.0], [5.0], [9.0]])
        >>> near = nearest_points(line, line[1:3], 3, radius=4.0)
        >>> near.indices.tolist(), near.mask.tolist(), near.found.tolist()
        ([[1, 0, 2], [2, 1, 3]], [[True, True, True], [True, True, True]], [3, 3])
    """
    x, valid = _points(points, mask)
    places = jax.lax.stop_gradient(_validate.floating("centers", centers)).astype(x.dtype)
    if places.ndim != 2 or places.shape[1] != x.shape[1]:
        raise ValueError(f"centers: expected shape (m, {x.shape[1]}), as the points, got {places.shape}")
    k = _at_most(x, "k", k)
    reach = jnp.full(len(places), jnp.inf, x.dtype)
    if radius is not None:
        if np.shape(radius) not in ((), (len(places),)):
            raise ValueError(f"radius: expected one number, or shape ({len(places)},), got {np.shape(radius)}")
        if not isinstance(radius, jax.core.Tracer):
            _validate.positive("radius", float(np.min(radius)))
        reach = jnp.broadcast_to(jnp.asarray(radius, x.dtype), (len(places),))

    def of(center_and_reach):
        center, reach = center_and_reach
        square = jnp.where(valid, _squares(x, center), jnp.inf)
        inside = valid & (square <= reach**2)
        nearness, indices = jax.lax.top_k(jnp.where(inside, -square, -jnp.inf), k)
        real = nearness > -jnp.inf
        distances = jnp.sqrt(jnp.where(real, -nearness, 0))
        indices = jnp.where(real, indices, jnp.argmin(square)).astype(jnp.int32)
        return Patches(indices, real, distances, jnp.sum(inside, dtype=jnp.int32))

    return jax.lax.map(of, (places, reach), batch_size=max(1, TILE // len(x)))


def _points(points, mask):
    """Points without derivatives, in float32 or better and zero where they are not valid, and which are."""
    x = jax.lax.stop_gradient(_validate.floating("points", points))
    if x.ndim != 2 or len(x) == 0:
        hint = "; use jax.vmap for a batch" if x.ndim > 2 else ""
        raise ValueError(f"points: expected shape (n, d), one a row and one at least, got {x.shape}{hint}")
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    valid = jnp.all(jnp.isfinite(x), axis=-1)
    if mask is not None:
        if np.shape(mask) != (len(x),):
            raise ValueError(f"mask: expected shape ({len(x)},), one entry a point, got {np.shape(mask)}")
        valid = valid & jnp.asarray(mask, bool)
    return jnp.where(valid[:, None], x, 0), valid


def _at_most(points, name, count):
    if _validate.integer(name, count, 1) > len(points):
        raise ValueError(f"{name}: expected at most {len(points)}, the number of points, got {count}")
    return count


def _squares(points, center):
    """Squared distances (n,) of points (n, d) from a place (d,), from differences: exact for points that coincide."""
    return jnp.sum(jnp.square(points - center), axis=-1)

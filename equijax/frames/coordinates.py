"""Invariant coordinates that keep all distances, from points or from their distances."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import floating, integer
from equijax.frames.base import Info, about_center, checked_mask, null, radius
from equijax.frames.principal import SIGNS, margin, pca
from equijax.groups import SE, E
from equijax.numerics import eigh, matmul, tolerance


def invariant_coordinates(
    points: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    signs: str = "skewness",
    chiral: bool = False,
    normalize: bool = False,
) -> tuple[Float[Array, "n d"], Info]:
    """Coordinates along the principal axes, that of the largest spread first: any function of them is invariant.

    They do not change under rotations, reflections and translations of the points where `Info` is not degenerate, and
    they keep all distances, ‖h_i − h_j‖ = ‖x_i − x_j‖.

    Args:
        points: Shape (n, d).
        mask: Which points are valid, shape (n,); the others get zeros.
        signs: How the signs of the axes are chosen, "skewness" or "largest"; see `pca`.
        chiral: Tell mirror images apart: the axes are right-handed.
        normalize: Divide by the root mean square radius, which makes them invariant to scalings too.

    Returns:
        Coordinates (n, d), and `Info`.

    Raises:
        TypeError: If the points are not real floating-point numbers.
        ValueError: If a shape is wrong, or `signs` unknown.

    References:
        Zhang et al. 2024, "TinvNN", whose own rule for the signs differs.

    Examples:
        >>> x = jnp.array([[0.0, 0], [3, 0], [0, 1]])
        >>> turned = x @ jnp.array([[0.0, 1], [-1, 0]]) + 5
        >>> h, info = invariant_coordinates(x)
        >>> bool(jnp.allclose(h, invariant_coordinates(turned)[0], atol=1e-5))
        True
    """
    _check_signs(signs)
    points = floating("points", points)
    if points.ndim != 2:
        hint = "; use jax.vmap for a batch" if points.ndim > 2 else ""
        raise ValueError(f"points: expected shape (n, d), got {points.shape}{hint}")
    d = points.shape[-1]
    (center, axes), _, info = pca(SE(d) if chiral else E(d), points, mask, signs=signs)
    undecided = ~(info.gap >= tolerance(info.gap.dtype, 1e-4, 1e-8))
    info = info._replace(
        degenerate=undecided | (info.valid == 0) | (info.nonfinite_row >= 0)
    )  # an axis across the points gives zeros
    valid = checked_mask(mask, len(points))
    centered = jnp.where(valid[:, None], points - center[0], 0)
    return _scaled(matmul(centered, axes[0][:, ::-1]), valid, normalize).astype(points.dtype), info


def coordinates_from_distances(
    squared: ArrayLike,
    dimension: int,
    mask: ArrayLike | None = None,
    *,
    signs: str = "skewness",
    normalize: bool = False,
) -> tuple[Float[Array, "n d"], Info]:
    """Coordinates whose distances are given, by classical multidimensional scaling: B = −½ J D² J = H Hᵀ.

    For Euclidean distances those of `invariant_coordinates`. Others, such as along a surface or a graph, are matched as
    well as `dimension` coordinates can: negative eigenvalues of B are left out.

    Args:
        squared: Squared distances, shape (n, n).
        dimension: Number of coordinates.
        mask: Which points are valid, shape (n,); the others get zeros.
        signs: "skewness" or "largest".
        normalize: Divide by the root mean square radius.

    Returns:
        Coordinates (n, dimension), that of the largest spread first, and `Info`.

    Raises:
        TypeError: If the distances are not real floating-point numbers.
        ValueError: If a shape is wrong, or `signs` unknown.

    Examples:
        >>> distances = jnp.array([[0.0, 1, 3], [1, 0, 2], [3, 2, 0]])  # of three points on a line
        >>> h, info = coordinates_from_distances(distances**2, dimension=1)
        >>> bool(jnp.allclose(abs(h - h.T), distances, atol=1e-5))
        True
    """
    _check_signs(signs)
    squared, d = floating("squared", squared), integer("dimension", dimension, 1)
    if squared.ndim != 2 or squared.shape[0] != squared.shape[1]:
        raise ValueError(f"squared: expected shape (n, n), got {squared.shape}")
    n = len(squared)
    valid = checked_mask(mask, n)

    # B = −½ J D² J, first by rows, then by columns, over its largest entry
    rows, *_, info = about_center(jnp.where(valid, squared, 0), valid, n, True)
    inner = -jnp.where(valid, rows - jnp.sum(rows, axis=1, keepdims=True) / jnp.maximum(info.valid, 1), 0) / 2
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(inner), initial=0))
    size = jnp.where(size > 0, size, 1)
    inner = jnp.pad((inner + inner.T) / 2 / size, (0, max(0, d + 1 - n)))

    # the eigenvectors of the largest eigenvalues, times their roots: (n, d)
    values, vectors = eigh(inner)
    empty = null(values)
    gap = jnp.diff(values)[-d:] / jnp.where(empty[-1], 1, values[-1])
    top, axes, used = values[: -d - 1 : -1], vectors[:n, : -d - 1 : -1], ~empty[: -d - 1 : -1]
    coordinates = axes * jnp.where(used, jnp.sqrt(jnp.where(used, top, 1)), 0)

    # their signs, and how clearly axes and signs are defined
    decided = jax.lax.stop_gradient(margin(coordinates, signs))
    # no gap between two zeros; that to the largest eigenvalue left out counts unless that one is zero
    together = empty[-d:].at[0].set(empty[-d - 1])
    gap = jnp.minimum(jnp.min(jnp.where(together, 1, gap)), jnp.min(jnp.where(used, jnp.abs(decided), 1)))
    degenerate = info.degenerate | ~(gap >= tolerance(gap.dtype, 1e-4, 1e-8))
    coordinates = coordinates * jnp.where(decided >= 0, 1, -1) * jnp.sqrt(size)
    info = info._replace(gap=gap, rank=jnp.sum(used, dtype=jnp.int32), degenerate=degenerate)
    return _scaled(coordinates, valid, normalize).astype(squared.dtype), info


def _scaled(coordinates, valid, normalize):
    size = radius(coordinates, valid)
    return coordinates / jnp.where(size > 0, size, 1) if normalize else coordinates


def _check_signs(signs):
    if signs not in SIGNS[1:]:
        raise ValueError(f"signs: expected one of {', '.join(SIGNS[1:])}, got {signs!r}")

"""Vectors in the span of the points: `span_head` makes them, `span_projection` projects on it.

Vectors that a function equivariant under reflections makes of points in a plane must lie in that plane, and the like.
"""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import floating, last_axis
from equijax.frames.base import about_center, checked_mask, motions, null, of_radius_one
from equijax.groups import Group
from equijax.numerics import eigh, matmul


def span_head(
    coefficients: ArrayLike, points: ArrayLike, mask: ArrayLike | None = None, *, cross: ArrayLike | None = None
) -> Float[Array, "*rows d"]:
    """Vectors  v_i = Σ_j A_ij y_j + Σ_jk B_ijk y_j × y_k  from coefficients that a network makes of canonical points.

    The last step of a function that is averaged over `weighted_pairs`: the average is then equivariant and continuous
    at every input, for A and B are averaged as invariants, and the vectors are made of the points themselves.

    Args:
        coefficients: A, shape (..., n), one row a vector.
        points: Canonical points, as the function gets them, shape (n, d).
        mask: Which points are valid, shape (n,).
        cross: B, shape (..., n, n), for d = 3 and groups without reflections.

    Returns:
        Vectors, shape (..., d).

    Raises:
        TypeError: If an array is not of real floating-point numbers.
        ValueError: If a shape is wrong.

    Examples:
        >>> points = jnp.array([[1.0, 0, 0], [0, 1, 0]])
        >>> span_head(jnp.array([[2.0, 1.0]]), points).tolist()
        [[2.0, 1.0, 0.0]]
    """
    coefficients, points = floating("coefficients", coefficients), floating("points", points)
    last_axis("coefficients", coefficients, len(points))
    points = jnp.where(checked_mask(mask, len(points))[:, None], points, 0)
    vectors = matmul(coefficients, points)
    if cross is None:
        return vectors
    if points.shape[-1] != 3 or jnp.shape(cross) != (*coefficients.shape, len(points)):
        raise ValueError(
            f"cross: expected shape {(*coefficients.shape, len(points))} and points (n, 3), got {jnp.shape(cross)} and "
            f"{points.shape}"
        )
    pairs = jnp.cross(points[:, None], points)  # (n, n, 3)
    return vectors + jnp.einsum("...jk,jkd->...d", cross, pairs, precision="highest")


def span_projection(
    group: Group, points: ArrayLike, vectors: ArrayLike, mask: ArrayLike | None = None
) -> Float[Array, "*rows d"]:
    """Vectors projected on the span of the points, where these span too little for the frame to be unique.

    Restores exact equivariance of vectors from `weighted_pairs`, `pivoted` or `qr` for points that span at most d − 2
    dimensions (SO(d)), or fewer than d (O(d)): the true result lies in the span there. It jumps at such inputs.

    Args:
        group: As for the frame.
        points: The points of the frame, shape (n, d).
        vectors: Averaged vectors, shape (..., d).
        mask: Which points are valid, shape (n,).

    Returns:
        Vectors, in the shape and dtype of `vectors`.

    Examples:
        >>> from equijax import groups
        >>> on_a_line = jnp.array([[1.0, 0, 0], [-1, 0, 0]])
        >>> span_projection(groups.SO(3), on_a_line, jnp.array([1.0, 2.0, 3.0])).tolist()
        [1.0, 0.0, 0.0]
    """
    parts = motions("span_projection", group)
    vectors = floating("vectors", vectors)
    last_axis("vectors", vectors, parts.dimension)
    cloud, valid, *_ = about_center(points, mask, parts.dimension, parts.translates)
    d = parts.orthogonal.n

    # the principal axes that are not zero span what the points do
    moving = of_radius_one(cloud[:, :d], valid)
    values, axes = eigh(matmul(moving.T, moving))
    empty = null(values)
    enough = jnp.sum(~empty) >= d - parts.proper
    axes = jnp.where(empty, 0, axes)
    projection = jnp.where(enough, jnp.eye(d, dtype=axes.dtype), matmul(axes, axes.T))
    if parts.axial is not None:
        projection = parts.axial.embed(projection)
    return matmul(vectors, projection.astype(jnp.promote_types(axes.dtype, vectors.dtype))).astype(vectors.dtype)

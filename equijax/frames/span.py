"""Vectors in the span of the points, where outputs that move must lie for points on a line or in a plane."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from equijax._validate import floating, last_axis
from equijax.frames.pose import about_center, checked_mask, null, of_radius_one, parsed
from equijax.groups import SO, Axial, Group
from equijax.numerics import eigh, matmul


def span_head(coefficients: Any, points: Any, mask: Any = None, *, cross: Any = None) -> Float[Array, "*rows d"]:
    """Vectors  v_i = Σ_j A_ij y_j + Σ_jk B_ijk y_j × y_k  from coefficients that a network makes of canonical points.

    A function that ends in it is equivariant and continuous with `weighted_pairs` at every input: the average of A and
    B is invariant, and the vectors are made of the points themselves.

    Args:
        coefficients: A, shape (..., n), one row a vector.
        points: Canonical points, as the function gets them, shape (n, d).
        mask: Which points are valid, shape (n,).
        cross: B, shape (..., n, n), for d = 3 and groups without reflections.

    Returns:
        Vectors, shape (..., d).
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
    products = jnp.cross(points[:, None], points)
    return vectors + jnp.einsum("...jk,jkd->...d", cross, products, precision="highest")


def span_projection(group: Group, points: Any, vectors: Any, mask: Any = None) -> Float[Array, "*rows d"]:
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
    """
    translates, linear, full, orthogonal = parsed("span_projection", group)
    vectors = floating("vectors", vectors)
    last_axis("vectors", vectors, linear.size)
    cloud, valid, *_ = about_center(points, mask, linear.size, translates)
    d = orthogonal.n
    moving = of_radius_one(cloud[:, :d], valid)
    values, axes = eigh(matmul(moving.T, moving))
    empty = null(values)
    enough = jnp.sum(~empty) >= d - isinstance(orthogonal, SO)
    axes = jnp.where(empty, 0, axes)
    projection = jnp.where(enough, jnp.eye(d, dtype=axes.dtype), matmul(axes, axes.T))
    if isinstance(full, Axial):
        projection = full.embed(projection)
    return matmul(vectors, projection.astype(jnp.promote_types(axes.dtype, vectors.dtype))).astype(vectors.dtype)

"""Gram and Schmidt, one step or all, to rounding, and the last axis of a frame."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equijax.numerics.linear_algebra import det
from equijax.numerics.safe import sqrt, unit


def unit_across(v: Float[Array, "*batch d"], axes: Float[Array, "*axes m d"], tiny: float) -> Float[Array, "*batch d"]:
    """What is left of v across orthonormal axes, made of length one and orthogonal to them to rounding.

    Where no more than `tiny` is left of it, some unit vector across the axes, without gradient with respect to v.

    Args:
        v: Vectors, shape (..., d).
        axes: Orthonormal rows, shape (..., m, d) with m < d, whose leading axes broadcast to those of v.
        tiny: The length that counts as zero.
    """
    rest = _across(v, axes)
    square = jnp.sum(rest**2, axis=-1, keepdims=True)
    short = square <= tiny**2
    used = jnp.sum(jax.lax.stop_gradient(axes) ** 2, axis=-2)  # of each coordinate; the least used is farthest off
    spare = jax.nn.one_hot(jnp.argmin(used, axis=-1), v.shape[-1], dtype=v.dtype)
    spare = jax.lax.stop_gradient(_across(spare, axes))
    unit = jnp.where(short, spare, rest / jnp.sqrt(jnp.where(short, 1, square)))
    unit = _across(unit, axes)  # twice is enough
    return unit / jnp.sqrt(jnp.sum(unit**2, axis=-1, keepdims=True))


def orthonormal_rows(
    vectors: Float[Array, "*batch k d"],
) -> tuple[Float[Array, "*batch k d"], Float[Array, "*batch"]]:
    """Vectors made orthonormal one after the other, and the least share of a vector that the ones before it leave.

    A row is zero, in place of an arbitrary direction, where no more than rounding is left of its vector: then the rows
    turn with the vectors whatever the rank of those is. The share is continuous, and the result jumps where it is 0.

    Args:
        vectors: Shape (..., k, d) with k ≤ d.

    Examples:
        >>> axes, share = orthonormal_rows(jnp.array([[2.0, 0.0, 0.0], [3.0, 4.0, 0.0]]))
        >>> print(axes.tolist(), round(float(share), 3))
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]] 0.8
        >>> print(orthonormal_rows(jnp.array([[2.0, 0.0], [-1.0, 0.0]]))[0].tolist())
        [[1.0, 0.0], [0.0, 0.0]]
    """
    axes, least = vectors[..., :0, :], jnp.ones(vectors.shape[:-2], vectors.dtype)
    for k in range(vectors.shape[-2]):
        v, _ = unit(vectors[..., k, :])
        rest = _across(_across(v, axes), axes)  # twice is enough
        square = jnp.sum(rest**2, axis=-1, keepdims=True)
        short = square <= (64 * jnp.finfo(v.dtype).eps) ** 2
        axis = jnp.where(short, 0, rest / jnp.sqrt(jnp.where(short, 1, square)))
        axes = jnp.concatenate([axes, axis[..., None, :]], axis=-2)
        least = jnp.minimum(least, jnp.where(short, 0, sqrt(square))[..., 0])
    return axes, least


def completion(axes: Float[Array, "*batch m d"]) -> Float[Array, "*batch d"]:
    """The unit vector across m = d − 1 orthonormal ones that makes the determinant 1: the cross product for d = 3.

    Examples:
        >>> print(completion(jnp.eye(3)[:2]))
        [0. 0. 1.]
    """
    d = axes.shape[-1]
    if d == 3:
        return jnp.cross(axes[..., 0, :], axes[..., 1, :])
    minors = [(-1) ** (d - 1 + k) * det(jnp.delete(axes, k, axis=-1)) for k in range(d)]  # (..., m, m) each
    return jnp.stack(minors, axis=-1)


def _across(v, axes):
    """v − Σ_k (v·a_k) a_k, without a matrix product: sums of a few terms are exact to rounding everywhere."""
    along = jnp.sum(v[..., None, :] * axes, axis=-1, keepdims=True)  # (..., m, 1)
    return v - jnp.sum(along * axes, axis=-2)

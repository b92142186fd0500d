"""Layers of Gram matrices: functions of inner products alone, which no orthogonal map of features changes."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import floating
from equijax.numerics import matmul, sqrt


def gram(x: ArrayLike) -> Float[Array, "*batch n n"]:
    """x xᵀ / d of features (…, n, d), one sample a row: invariant under O(d) on features, and enough to tell them up to
    it.

    Examples:
        >>> gram(jnp.array([[1.0, 1.0], [1.0, -1.0]])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    x = floating("x", x)
    return matmul(x, jnp.swapaxes(x, -1, -2)) / x.shape[-1]


def arc_cosine(g: ArrayLike) -> Float[Array, "*batch n n"]:
    """The Gram matrix after a layer of infinitely many random ReLUs: E[relu(wᵀx) relu(wᵀy)] · 2, with w ~ N(0, I).

        K_ij = √(g_ii g_jj) (sin θ + (π − θ) cos θ) / π ,   cos θ = g_ij / √(g_ii g_jj) .

    The diagonal stays what it is. Layers of it make a deep kernel; a network whose features are trained instead moves
    the Gram matrix between layers, which is all that the next one sees.

    Raises:
        TypeError: If `g` does not hold real floating-point numbers.
        ValueError: If it is not square.

    References:
        Cho and Saul 2009, "Kernel methods for deep learning", eq. 6; Yang et al. 2023, arXiv:2108.13097.

    Examples:
        >>> print(arc_cosine(jnp.array([[1.0, 0.0], [0.0, 4.0]])).round(2))
        [[1.   0.64]
         [0.64 4.  ]]
    """
    matrix = _square(g)
    lengths = sqrt(jnp.maximum(jnp.diagonal(matrix, axis1=-2, axis2=-1), 0))
    product = lengths[..., :, None] * lengths[..., None, :]
    cosine = jnp.clip(matrix / jnp.where(product > 0, product, 1), -1, 1)
    angle = jnp.arccos(jnp.where(jnp.abs(cosine) < 1, cosine, 0))  # the branch not taken keeps its derivative finite
    inside = (sqrt(jnp.maximum(1 - cosine**2, 0)) + (jnp.pi - angle) * cosine) / jnp.pi
    return product * jnp.where(jnp.abs(cosine) < 1, inside, jnp.maximum(cosine, 0))


def squared_exponential(g: ArrayLike) -> Float[Array, "*batch n n"]:
    """exp(−(g_ii + g_jj − 2 g_ij) / 2): the Gaussian kernel of the features that have the Gram matrix g.

    Examples:
        >>> print(squared_exponential(jnp.array([[1.0, 0.0], [0.0, 1.0]]))[0, 1].round(2))
        0.37
    """
    matrix = _square(g)
    own = jnp.diagonal(matrix, axis1=-2, axis2=-1)
    return jnp.exp(matrix - (own[..., :, None] + own[..., None, :]) / 2)


def _square(g: ArrayLike) -> Float[Array, "*batch n n"]:
    matrix = floating("g", g)
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(f"g: expected a Gram matrix of shape (..., n, n), got {matrix.shape}")
    return matrix

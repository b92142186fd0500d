"""Functions that kernels are made of: coordinates that cover the group, windows, splines, small networks."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax._validate import floating, integer, positive
from equijax.groups.constants import traceless_basis
from equijax.groups.decompositions import log_polar
from equijax.groups.quadrature import kronecker
from equijax.numerics import matmul


def coordinates(a: Float[Array, "*batch n n"], reach: float = 1.0) -> Float[Array, "*batch coordinates"]:
    """Coordinates of a matrix A = e^X R for a kernel: those of X / `reach`, and the entries of R − I.

    Unlike the logarithm they exist for every invertible matrix and jump nowhere, not at turns by π either. X has the
    coordinates tr X / √n, then those in `SL(n)`; n(n + 1)/2 + n² numbers in all.

    Args:
        a: Invertible matrices.
        reach: Size of X that is mapped to one.

    Examples:
        >>> print(coordinates(jnp.diag(jnp.array([jnp.e, jnp.e]))).round(4) + 0.0)  # X = I, R = I
        [1.4142 0.     0.     0.     0.     0.     0.    ]
    """
    positive("reach", reach)
    n = a.shape[-1]
    x, r = log_polar(a)
    basis = np.concatenate([np.eye(n)[None] / math.sqrt(n), traceless_basis(n)]).astype(x.dtype)
    stretch = jnp.einsum("...jk,ijk->...i", x, basis, precision="highest") / reach
    return jnp.concatenate([stretch, (r - jnp.eye(n, dtype=r.dtype)).reshape(*r.shape[:-2], n * n)], axis=-1)


def stretch(a: Float[Array, "*batch n n"]) -> Float[Array, "*batch"]:
    """‖X‖² of A = e^X R: the square of the distance to the orthogonal matrices, and of e^X from the identity.

    Examples:
        >>> print(stretch(jnp.diag(jnp.array([jnp.e, 1.0]))).round(4))
        1.0
    """
    return jnp.sum(log_polar(a)[0] ** 2, axis=(-2, -1))


def bump(square: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """exp(1 − 1/(1 − r²)) for r² < 1, else 0: one at r = 0, and all derivatives vanish at r = 1.

    Examples:
        >>> print(bump(jnp.array([0.0, 0.5, 1.0])))
        [1.         0.36787945 0.        ]
    """
    inside = square < 1
    return jnp.where(square >= 1, 0, jnp.exp(1 - 1 / jnp.where(inside, 1 - square, square)))


def gaussian(square: Float[Array, "*batch"], width: float = 0.4) -> Float[Array, "*batch"]:
    """exp(−r² / 2 width²).

    Examples:
        >>> print(gaussian(jnp.array([0.0, 2.0]), width=1.0))
        [1.         0.36787945]
    """
    positive("width", width)
    return jnp.exp(-square / (2 * width**2))


def b_spline(x: Float[Array, "*batch"], degree: int = 3) -> Float[Array, "*batch"]:
    """The centered cardinal B-spline: piecewise polynomial, 0 for ‖x‖ ≥ (degree + 1)/2, with integral one.

        B(x) = Σ_k (−1)^k (d+1 choose k) (x + (d+1)/2 − k)₊^d / d!

    It has degree − 1 continuous derivatives, and its shifts by integers sum to one.

    References:
        Bekkers 2020, arXiv:1909.12057, eq. 8.

    Examples:
        >>> print(b_spline(jnp.array([0.0, 0.5, 1.0]), degree=1))
        [1.  0.5 0. ]
    """
    x = floating("x", x)
    d = integer("degree", degree, 1)
    left = (d + 1) / 2 - jnp.abs(x)  # even, so the side with the fewer terms will do
    terms = (
        (-1) ** k * math.comb(d + 1, k) / math.factorial(d) * jnp.maximum(left - k, 0) ** d for k in range(d // 2 + 2)
    )
    return sum(terms, start=jnp.zeros_like(x))


def spline_basis(x: Float[Array, "*batch d"], functions: int, degree: int = 3) -> Float[Array, "*batch functions"]:
    """Products over the axes of B-splines about quasi-random centers in the cube [−1, 1]^d, one a function.

    The splines are so wide, functions^(−1/d) times the cube in each direction, that they overlap everywhere.

    Examples:
        >>> spline_basis(jnp.zeros((5, 2)), functions=7).shape
        (5, 7)
    """
    x = floating("x", x)
    d = x.shape[-1]
    centers = 2 * kronecker(integer("functions", functions, 1), d) - 1
    width = max(0.5, 2 * functions ** (-1 / d))
    return jnp.prod(b_spline((x[..., None, :] - centers.astype(x.dtype)) / width, degree), axis=-1)


def sine_features(
    x: Float[Array, "*batch d"], w: Float[Array, "d m"], b: Float[Array, " m"], omega: float = 10.0
) -> Float[Array, "*batch m"]:
    """sin(ω₀ (x W + b)), a layer of a sinusoidal network.

    References:
        Sitzmann et al. 2020, arXiv:2006.09661, eq. 5.

    Examples:
        >>> print(sine_features(jnp.zeros((1, 2)), jnp.ones((2, 3)), jnp.zeros(3)))
        [[0. 0. 0.]]
    """
    return jnp.sin(omega * (matmul(x, w.astype(x.dtype)) + b.astype(x.dtype)))


def gaussian_features(x: Float[Array, "*batch d"], functions: int) -> Float[Array, "*batch functions"]:
    """Gaussians about quasi-random centers in the cube [−1, 1]^d, as wide as the centers are apart.

    Examples:
        >>> gaussian_features(jnp.zeros((5, 2)), functions=7).shape
        (5, 7)
    """
    x = floating("x", x)
    d = x.shape[-1]
    centers = 2 * kronecker(integer("functions", functions, 1), d) - 1
    square = jnp.sum((x[..., None, :] - centers.astype(x.dtype)) ** 2, axis=-1)
    return gaussian(square, max(0.5, 2 * functions ** (-1 / d)))

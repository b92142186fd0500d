"""How spherical features turn: Wigner matrices of rotations and reflections."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.spherical import quadrature
from equijax.spherical.harmonics import harmonics


def wigner_blocks(R: ArrayLike, lmax: int) -> list[Float[Array, "*batch rows columns"]]:
    """The matrices D_l(R), l = 0..lmax, with Y_l(R r) = D_l(R) Y_l(r), for R in O(3).

        D_l(R) = ∫ Y_l(R p) Y_l(p)ᵀ dp ,

    by a rule that is exact. A polynomial in the entries of R: no angles, no singular rotations, right derivatives
    everywhere, the identity included. An inversion gives (-1)^l.

    Args:
        R: Orthogonal matrices, shape (..., 3, 3).
        lmax: Largest degree.

    Returns:
        lmax + 1 arrays of shape (..., 2l + 1, 2l + 1), in the dtype of `R`. Half precisions are computed in float32.

    Raises:
        TypeError: If `R` is not of floating point.
        ValueError: If `R` is not of shape (..., 3, 3), or `lmax` is negative.

    Examples:
        >>> from equijax import spherical
        >>> blocks = spherical.wigner_blocks(-jnp.eye(3), 2)  # the inversion: (-1)^l
        >>> [block.shape for block in blocks], [round(float(block[0, 0])) for block in blocks]
        ([(1, 1), (3, 3), (5, 5)], [1, -1, 1])
    """
    R = _validate.floating("R", R)
    if R.shape[-2:] != (3, 3):
        raise ValueError(f"R: expected matrices of shape (..., 3, 3), got {R.shape}")
    return _blocks(R, _validate.integer("lmax", lmax))


def wigner_matrix(R: ArrayLike, lmax: int) -> Float[Array, "*batch coefficients coefficients"]:
    """The blocks of `wigner_blocks` as one block-diagonal matrix D(R), shape (..., (lmax + 1)², (lmax + 1)²).

    Features on the coefficient axis turn as x → D(R) x. Same arguments and errors as `wigner_blocks`.

    Examples:
        >>> from equijax import spherical
        >>> quarter = jnp.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # x to y
        >>> spherical.wigner_matrix(quarter, 1)[1:, 1].round(3).tolist()  # so does degree 1, in the order x, y, z
        [0.0, 1.0, 0.0]
    """
    return _block_diagonal(wigner_blocks(R, lmax))


@functools.partial(jax.jit, static_argnums=1)
def _blocks(R, lmax):
    points, dual = _rule(lmax)
    dtype = R.dtype
    R = R.astype(jnp.promote_types(dtype, jnp.float32))
    moved = jnp.einsum("...ij,pj->...pi", R, points.astype(R.dtype), precision="highest")
    values = harmonics(moved, lmax, normalize=False)
    blocks = [slice(l * l, (l + 1) ** 2) for l in range(lmax + 1)]
    dual = dual.astype(R.dtype)
    return [
        jnp.einsum("...pi,pj->...ij", values[..., b], dual[:, b], precision="highest").astype(dtype) for b in blocks
    ]


@jax.jit
def _block_diagonal(blocks):
    rows, n = [], len(blocks)
    for l, block in enumerate(blocks):
        rows.append(jnp.pad(block, [(0, 0)] * (block.ndim - 1) + [(l * l, n * n - (l + 1) ** 2)]))
    return jnp.concatenate(rows, axis=-2)


@functools.cache
def _rule(lmax: int) -> tuple[np.ndarray, np.ndarray]:
    """Points p and w_p Y(p) of a rule exact for Y_l Y_l, which is even and of degree 2l: half a sphere is enough."""
    points, weights = quadrature.sphere(2 * lmax, half=True)
    return points, weights[:, None] * quadrature.harmonics_table(lmax, 2 * lmax, half=True)

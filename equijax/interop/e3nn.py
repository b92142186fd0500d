"""Features to and from the arrays of e3nn-jax.

The coefficients are the same numbers in the same order (y is the polar axis); only the layout differs: e3nn stores
channels × (2l + 1) degree by degree on one axis. Harmonics and products differ in normalization: see
`docs/conventions.md`.
"""

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical

if TYPE_CHECKING:
    import e3nn_jax


def to_irreps_array(x: ArrayLike, *, pseudo: bool = False) -> "e3nn_jax.IrrepsArray":
    """Features (..., (lmax + 1)², channels) as an `e3nn_jax.IrrepsArray` of shape (..., channels (lmax + 1)²).

    Args:
        x: Spherical features, (..., (lmax + 1)², channels).
        pseudo: The features are pseudo-tensors, of parity -(-1)^l instead of (-1)^l.

    Returns:
        An array of irreps "Cx0e + Cx1o + Cx2e + ..." for C channels, in the dtype of `x`.

    Raises:
        TypeError: If `x` is not of floating point.
        ValueError: If the coefficient axis is not a square.

    Examples:
        >>> to_irreps_array(jnp.ones((5, 9, 4))).irreps
        4x0e+4x1o+4x2e
    """
    import e3nn_jax

    x = _validate.floating("x", x)
    lmax = spherical.lmax_of(x, "x")
    # degree by degree, channels first: (..., channels, 2l + 1), then flat: (..., channels (2l + 1))
    chunks = [jnp.swapaxes(x[..., l * l : (l + 1) ** 2, :], -1, -2) for l in range(lmax + 1)]
    flat = [chunk.reshape(*x.shape[:-2], -1) for chunk in chunks]
    irreps = e3nn_jax.Irreps([(x.shape[-1], (l, _parity(l, pseudo))) for l in range(lmax + 1)])
    return e3nn_jax.IrrepsArray(irreps, jnp.concatenate(flat, axis=-1))


def from_irreps_array(array: Any, *, pseudo: bool = False) -> Float[Array, "*batch coefficients channels"]:
    """The features (..., (lmax + 1)², channels) of an `e3nn_jax.IrrepsArray`; the inverse of `to_irreps_array`.

    Args:
        array: An array that has every degree 0..lmax with the same multiplicity, in any order.
        pseudo: Expect pseudo-tensors, of parity -(-1)^l instead of (-1)^l.

    Returns:
        Features (..., (lmax + 1)², channels), in the dtype of `array`.

    Raises:
        TypeError: If `array` is not an IrrepsArray.
        ValueError: If a degree is missing, multiplicities differ, or a parity is not the expected one.

    Examples:
        >>> x = jnp.ones((5, 9, 4))
        >>> bool(jnp.all(from_irreps_array(to_irreps_array(x)) == x))
        True
    """
    import e3nn_jax

    if not isinstance(array, e3nn_jax.IrrepsArray):
        raise TypeError(f"array: expected an e3nn_jax.IrrepsArray, got {type(array).__name__}")
    given = array.irreps
    array = array.regroup()  # one block a degree and parity, in order, (..., channels, 2l + 1)
    channels = array.irreps[0].mul if len(array.irreps) else 0
    blocks = {(ir.l, ir.p): chunk for (_, ir), chunk in zip(array.irreps, array.chunks, strict=True)}
    degrees = [(l, _parity(l, pseudo)) for l in range(len(blocks))]
    if channels == 0 or {mul for mul, _ in array.irreps} != {channels} or set(blocks) != set(degrees):
        kind = "pseudo" if pseudo else "natural"
        example = e3nn_jax.Irreps([(max(channels, 1), degree) for degree in degrees or [(0, _parity(0, pseudo))]])
        raise ValueError(
            f"array: expected every degree 0..lmax once, with one multiplicity and {kind} parity, like {example}, "
            f"got {given}; convert natural and pseudo kinds apart, and pad missing degrees with zeros"
        )
    return jnp.concatenate([jnp.swapaxes(blocks[degree], -1, -2) for degree in degrees], axis=-2)


def _parity(l: int, pseudo: bool) -> int:
    return -((-1) ** l) if pseudo else (-1) ** l

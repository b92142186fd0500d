"""What products take: operands and degrees, checked once, at the entrance of each public function."""

from typing import Any

import jax.numpy as jnp
from jax.lax import PrecisionLike
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical


def operands(
    x: ArrayLike, y: ArrayLike, lmax: int | None, precision: PrecisionLike
) -> tuple[Float[Array, "..."], Float[Array, "..."], tuple[int, int, int]]:
    """Two factors as arrays and the degrees (l1, l2, lmax); all arguments are checked.

    Raises:
        TypeError: If a factor is not of real floating-point numbers.
        ValueError: If a coefficient axis is not a square, channels or leading axes do not fit, `lmax` is negative or
            out of reach, or there is no such precision.
    """
    x, y = _validate.floating("x", x), _validate.floating("y", y)
    l1, l2 = spherical.lmax_of(x, "x"), spherical.lmax_of(y, "y")
    lmax = degrees(l1, l2, lmax)
    fit("y", y, x, "x")
    _validate.precision(precision)
    return x, y, (l1, l2, lmax)


def degrees(l1: int, l2: int, lmax: int | None) -> int:
    """`lmax` of a product of degrees l1 and l2, max(l1, l2) by default.

    Raises:
        ValueError: If it is negative or out of reach.
    """
    lmax = max(l1, l2) if lmax is None else _validate.integer("lmax", lmax)
    if lmax > l1 + l2:
        raise ValueError(
            f"lmax: expected at most {l1 + l2}, the sum of the degrees {l1} and {l2} of the factors, got {lmax}; "
            "pad the result with zeros if a larger array is needed"
        )
    return lmax


def fit(name: str, x: Any, other: Any, other_name: str) -> None:
    """Raise a ValueError unless channels and leading axes of `x` can be broadcast with those of `other`."""
    if x.shape[-1] != other.shape[-1] and 1 not in (x.shape[-1], other.shape[-1]):
        raise ValueError(
            f"{name}: expected {other.shape[-1]} channels as in {other_name}, or 1, on the last axis, "
            f"got {x.shape[-1]} in shape {x.shape}"
        )
    leading_fit(name, x.shape[:-2], other.shape[:-2], other_name)


def leading_fit(name: str, shape: tuple[int, ...], other: tuple[int, ...], other_name: str) -> None:
    """Raise a ValueError unless two shapes of leading axes can be broadcast."""
    try:
        jnp.broadcast_shapes(shape, other)
    except ValueError:
        raise ValueError(f"{name}: expected leading axes that fit {other} of {other_name}, got {shape}") from None

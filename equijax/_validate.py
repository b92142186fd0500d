"""Checks of arguments at trace time, shared by the whole package."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def floating(name: str, x: object) -> Array:
    """`x` as an array of real floating-point numbers.

    Raises:
        TypeError: If `x` is a list or tuple, or holds integers, booleans or complex numbers.
    """
    _no_sequence(name, x)
    dtype = jnp.result_type(x)
    if not jnp.issubdtype(dtype, jnp.floating):
        kind = "its real and imaginary parts" if jnp.issubdtype(dtype, jnp.complexfloating) else "x.astype(jnp.float32)"
        raise TypeError(f"{name}: expected real floating-point numbers, got {np.dtype(dtype).name}; pass {kind}")
    return jnp.asarray(x)


def integer(name: str, n: object, minimum: int = 0) -> int:
    """`n` as a Python integer of at least `minimum`.

    Raises:
        TypeError: If `n` is not an integer.
        ValueError: If `n` is smaller than `minimum`.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"{name}: expected an integer, got {n!r} of type {type(n).__name__}")
    if n < minimum:
        raise ValueError(f"{name}: expected an integer of at least {minimum}, got {n}")
    return int(n)


def positive(name: str, x: int | float | np.number | np.ndarray | Array) -> None:
    """Raise a ValueError if the number `x` is not positive; a traced one, whose value is not known yet, passes."""
    if not isinstance(x, jax.core.Tracer) and not x > 0:
        raise ValueError(f"{name}: expected a positive number, got {x}")


@functools.cache
def precision(value: jax.lax.PrecisionLike) -> None:
    """Raise a ValueError unless `value` is a precision of matrix products that jax knows."""
    a = jax.ShapeDtypeStruct((1, 1), np.float32)
    try:
        jax.eval_shape(lambda a: jnp.matmul(a, a, precision=value), a)
    except (ValueError, TypeError) as error:
        raise ValueError(f"precision: expected 'highest' or another jax.lax.Precision, got {value!r}") from error


def last_axis(name: str, x: Any, n: int) -> None:
    """Raise a ValueError unless the last axis of `x` has length `n`."""
    _no_sequence(name, x)
    if jnp.ndim(x) < 1 or jnp.shape(x)[-1] != n:
        raise ValueError(f"{name}: expected shape (..., {n}), got {jnp.shape(x)}")


def _no_sequence(name, x):
    if isinstance(x, (list, tuple)):
        raise TypeError(f"{name}: expected an array, got a {type(x).__name__}; pass jnp.asarray({name})")

"""Samples, one a row: what measures of a batch take."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

from equijax._validate import floating
from equijax.numerics import AxisName, global_batch


def rows(axis_name: AxisName = None, *, same: bool = False, **arrays: ArrayLike) -> list[Float[Array, "samples _"]]:
    """Arrays of as many rows each, or of the `same` shape, by the names of the arguments; the rows of all devices.

    In float32 or better.
    """
    found = {name: in_single_or_better(name, a) for name, a in arrays.items()}
    for name, a in found.items():
        if a.ndim != 2 or not a.size:
            hint = f"; pass {name}[:, None]" if a.ndim == 1 else ""
            raise ValueError(f"{name}: expected shape (samples, columns), got {a.shape}{hint}")
    (first, a), *others = found.items()
    for name, b in others:
        if (a.shape != b.shape) if same else (len(a) != len(b)):
            wanted = f"shape {a.shape}" if same else f"{len(a)} rows"
            raise ValueError(f"{name}: expected {wanted}, as {first} has, got shape {b.shape}")
    return [global_batch(a, axis_name) for a in found.values()]


def in_single_or_better(name: str, a: ArrayLike) -> Float[Array, "..."]:
    """An array of real floating-point numbers, in float32 where it has less: sums over samples need the digits."""
    a = floating(name, a)
    return a.astype(jnp.promote_types(a.dtype, jnp.float32))


def constant(x: Float[Array, "samples columns"]) -> Bool[Array, " columns"]:
    """Which columns are the same in all samples: what they differ by is rounding."""
    size = jnp.max(jnp.abs(x), axis=0)
    return jnp.max(x, axis=0) - jnp.min(x, axis=0) <= 8 * jnp.finfo(x.dtype).eps * size

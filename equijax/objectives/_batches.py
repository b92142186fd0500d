"""What objectives ask of labels and masks."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equijax._validate import integers


def labels(name: str, x: Any, count: int) -> Int[Array, " rows"]:
    """`x` as integers from 0 to count − 1, one a row; traced ones, whose values are not known yet, pass.

    Raises:
        TypeError: If they are no integers.
        ValueError: If one is outside.
    """
    found = integers(name, x)
    if not isinstance(x, jax.core.Tracer):
        outside = [int(value) for value in np.unique(x) if not 0 <= value < count]
        if outside:
            raise ValueError(f"{name}: expected integers from 0 to {count - 1}, got {outside[0]}")
    return found


def masked_mean(values: Float[Array, "..."], mask: Bool[Array, "..."] | None) -> Float[Array, ""]:
    """The mean of what the mask shows, 0 where it hides everything."""
    if mask is None:
        return jnp.mean(values)
    return jnp.sum(jnp.where(mask, values, 0)) / jnp.maximum(jnp.sum(mask), 1)

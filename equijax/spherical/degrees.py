"""Features whose number of channels depends on the degree: a dict {l: (..., 2l + 1, channels of l)}."""

from collections.abc import Mapping
from typing import TypeAlias

from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate

ByDegree: TypeAlias = Mapping[int, ArrayLike]


def checked_degrees(name: str, x: ByDegree) -> dict[int, Float[Array, "..."]]:
    """The features in the order of their degrees, as arrays (..., 2l + 1, channels).

    Args:
        name: What messages call them.
        x: Features by degree, their leading axes alike.

    Raises:
        TypeError: If `x` is no dict by degree, or an array is not of real floating-point numbers.
        ValueError: If there are none, one has not 2l + 1 orders, or leading axes differ.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import spherical
        >>> x = spherical.checked_degrees("x", {1: jnp.ones((5, 3, 2)), 0: jnp.ones((5, 1, 8))})
        >>> {l: a.shape for l, a in x.items()}
        {0: (5, 1, 8), 1: (5, 3, 2)}
    """
    if not isinstance(x, Mapping) or not all(isinstance(l, int) for l in x):
        raise TypeError(f"{name}: expected features by degree, {{l: (..., 2l + 1, channels)}}, got {type(x).__name__}")
    if not x:
        raise ValueError(f"{name}: expected at least one degree, got none")
    found = {_validate.integer(f"{name}: its degree", l): _validate.floating(f"{name}[{l}]", x[l]) for l in sorted(x)}
    for l, a in found.items():
        if a.ndim < 2 or a.shape[-2] != 2 * l + 1:
            raise ValueError(f"{name}[{l}]: expected shape (..., {2 * l + 1}, channels), got {a.shape}")
    if len({a.shape[:-2] for a in found.values()}) > 1:
        shapes = {l: a.shape for l, a in found.items()}
        raise ValueError(f"{name}: expected the same leading axes at each degree, got {shapes}")
    return found

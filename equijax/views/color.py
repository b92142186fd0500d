"""Colors of pixels (..., 3): changes that are linear in the image, with one factor for all pixels or one for each."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float


def hue_turn(x: Float[Array, "*grid 3"], turns: ArrayLike) -> Float[Array, "*grid 3"]:
    """Colors turned about the gray axis (1, 1, 1): red to green to blue are thirds of a turn. Keeps their mean.

    Args:
        turns: Of a full turn, a number or one for each pixel.

    Examples:
        >>> print(hue_turn(jnp.array([1.0, 0, 0]), 1 / 3).round(5))
        [0. 1. 0.]
    """
    angle = 2 * jnp.pi * jnp.asarray(turns, x.dtype)[..., None]
    gray = jnp.mean(x, axis=-1, keepdims=True)
    across = (jnp.roll(x, 1, axis=-1) - jnp.roll(x, -1, axis=-1)) / 3**0.5  # the axis × the color
    return gray + jnp.cos(angle) * (x - gray) + jnp.sin(angle) * across


def saturate(x: Float[Array, "*grid 3"], factor: ArrayLike) -> Float[Array, "*grid 3"]:
    """Distances from gray, the mean of the three, times a factor; zero gives gray.

    Examples:
        >>> saturate(jnp.array([0.75, 0.0, 0.0]), 0.0).tolist()
        [0.25, 0.25, 0.25]
    """
    gray = jnp.mean(x, axis=-1, keepdims=True)
    return gray + jnp.asarray(factor, x.dtype)[..., None] * (x - gray)


def contrast(x: Float[Array, "*grid channels"], factor: ArrayLike) -> Float[Array, "*grid channels"]:
    """Distances from the mean of the whole image times a factor.

    Examples:
        >>> contrast(jnp.array([[[1.0], [3.0]]]), 0.5).ravel().tolist()
        [1.5, 2.5]
    """
    mean = jnp.mean(x)
    return mean + jnp.asarray(factor, x.dtype)[..., None] * (x - mean)


def from_hsv(hue: ArrayLike, saturation: ArrayLike, value: ArrayLike) -> Float[Array, "*batch 3"]:
    """Red, green and blue of a hue in turns, a saturation and a value in [0, 1].

    Examples:
        >>> print(from_hsv(1 / 3, 1.0, 0.5).round(5))
        [0.  0.5 0. ]
    """
    hue, saturation, value = (jnp.asarray(a)[..., None] for a in (hue, saturation, value))
    wheel = jnp.clip(jnp.abs(jnp.mod(6 * hue + jnp.array([0, 4, 2]), 6) - 3) - 1, 0, 1)
    return value * (1 - saturation * (1 - wheel))

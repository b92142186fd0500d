"""Features that stay when parts of the input are hidden."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import floating


def occlusion_invariance(
    encode: Callable[[Float[Array, "..."]], Float[Array, "..."]],
    x: ArrayLike,
    mask: ArrayLike,
    *,
    fill: ArrayLike = 0.0,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean square of encode(x) − encode(x with parts hidden), over all features of all tokens.

    Zero for a mask that hides nothing. One that hides everything asks for the features of `fill`, whatever x is: that
    is collapse, so draw masks that leave something. One sample a call; batches by `jax.vmap`.

    Args:
        encode: x -> features, of tokens or of the whole.
        x: Tokens (n, features), or an image (height, width, channels).
        mask: True where hidden, for all axes of x but the last; or for patches, whose counts divide those of the axes.
        fill: What stands where x is hidden.

    Returns:
        The loss, and its terms: "hidden", the fraction that is.

    Raises:
        ValueError: If the mask does not fit the axes of x.

    References:
        Wu et al. 2025, arXiv:2504.09228.

    Examples:
        >>> image, mask = jnp.ones((4, 4, 1)), jnp.array([[True, False], [False, False]])  # a patch of four
        >>> loss, terms = occlusion_invariance(lambda x: x, image, mask)
        >>> print(loss, terms["hidden"])
        0.25 0.25
    """
    x, mask = floating("x", x), jnp.asarray(mask)
    if mask.dtype != bool:
        raise TypeError(f"mask: expected booleans, True where hidden, got {mask.dtype}")
    axes = x.shape[:-1]
    if mask.ndim != len(axes) or any(m == 0 or n % m for n, m in zip(axes, mask.shape, strict=True)):
        raise ValueError(f"mask: expected shape {axes}, or one of patches that divides it, got {mask.shape}")
    hidden = mask
    for axis, (n, m) in enumerate(zip(axes, mask.shape, strict=True)):
        hidden = jnp.repeat(hidden, n // m, axis=axis)
    seen = encode(jnp.where(hidden[..., None], jnp.asarray(fill, x.dtype), x))
    loss = jnp.mean(jnp.square(encode(x) - seen))
    return loss, {"hidden": jnp.mean(hidden.astype(loss.dtype))}

"""Normalization that commutes with rotations."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from equijax import _validate, spherical
from equijax.spherical.parity import Input, Output, each, each_degree


class Normalization(nn.Module):
    """Every degree divided by its root mean square, with a learned scale for each degree and channel:

        y[l] = g_l x[l] / √(⟨x[l]²⟩ + ε) ,

    the mean over orders m and channels, and over the rows of `axes`. A pseudo part is normalized by itself. At x = 0
    the value is 0 and the slope 1/√ε.

    Attributes:
        axes: Leading axes over which the mean is taken too, such as (0,) for all nodes of a graph; none by default.
        epsilon: ε, in the unit of x².

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import nn
        >>> y, params = jax.jit(nn.Normalization().init_with_output)(jax.random.key(0), jnp.full((5, 4, 2), 3.0))
        >>> y[0, :, 0].round(3).tolist(), params["params"]["scale"].shape
        ([1.0, 1.0, 1.0, 1.0], (2, 2))
    """

    axes: tuple[int, ...] = ()
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: Input, mask: Bool[Array | np.ndarray, "..."] | None = None) -> Output:
        """x normalized, in its dtype.

        Args:
            x: (..., (lmax + 1)², channels), or the pair (natural, pseudo).
            mask: Of the leading axes: False where rows are padding, which counts nowhere and comes out as 0.
        """

        def one(x, suffix):
            g = self.param("scale" + suffix, nn.initializers.ones, (spherical.lmax_of(x, "x") + 1, x.shape[-1]))
            return rms_normalize(x, g, mask, axes=self.axes, epsilon=self.epsilon)

        return each("x", x, one)


def rms_normalize(
    x: ArrayLike,
    scale: Float[Array | np.ndarray, "degrees channels"],
    mask: Bool[Array | np.ndarray, "..."] | None = None,
    *,
    axes: tuple[int, ...] = (),
    epsilon: float = 1e-6,
) -> Float[Array, "*batch coefficients channels"]:
    """scale_l x[l] / √(⟨x[l]²⟩ + ε): `Normalization` for those who hold their own scales.

    Raises:
        ValueError: If `scale` has not one row a degree and one column a channel, `mask` is not of the shape of the
            leading axes, or `axes` are none of them.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import nn
        >>> nn.rms_normalize(jnp.full((4, 1), 3.0), jnp.array([[1.0], [2.0]]))[:, 0].round(3).tolist()
        [1.0, 2.0, 2.0, 2.0]
    """
    x = _validate.floating("x", x)
    rank, shape = x.ndim - 2, (spherical.lmax_of(x, "x") + 1, x.shape[-1])
    if scale.shape != shape:
        raise ValueError(f"scale: expected shape {shape} for x {x.shape}, got {scale.shape}")
    if any(not -x.ndim <= a < x.ndim or a % x.ndim >= rank for a in axes):
        raise ValueError(f"axes: expected leading axes of x {x.shape}, none of the last two, got {axes}")
    if mask is not None and mask.shape != x.shape[:-2]:
        raise ValueError(f"mask: expected shape {x.shape[:-2]}, the leading axes of x {x.shape}, got {mask.shape}")
    mask = jnp.ones(x.shape[:-2], bool)[..., None, None] if mask is None else mask[..., None, None]
    x = jnp.where(mask, x, 0)
    rows = jnp.maximum(jnp.sum(mask, axis=axes, keepdims=True), 1)

    def normalized(l, part):
        square = jnp.mean(mean_square(part), axis=-1, keepdims=True)
        square = jnp.sum(square, axis=axes, keepdims=True) / rows
        return part * (scale[l].astype(square.dtype) * jax.lax.rsqrt(square + epsilon)).astype(x.dtype)

    return each_degree(x, normalized)


def mean_square(part: Float[Array, "*batch orders channels"]) -> Float[Array, "*batch 1 channels"]:
    """Mean square over the orders m of a degree, which rotations leave as it is; float32 at least."""
    wide = part.astype(jnp.promote_types(part.dtype, jnp.float32))
    return jnp.mean(jnp.square(wide), axis=-2, keepdims=True)

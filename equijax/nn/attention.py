"""Attention between the tokens of a periodic grid (..., rows, columns, channels) that commutes with all shifts of them.

In windows and with subsampled keys, by anchoring: where windows or strides begin moves with the tokens. Between
channels, without either.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.nn.grids import Patches, anchor_phase
from equijax.nn.plain import Dense
from equijax.numerics import roll, sqrt


class WindowAttention(nn.Module):
    """Attention of each token to those of its window, with a bias for each relative place in it.

    Windows of w × w tokens begin at the phase of the largest energy, which moves with the tokens, and the result is
    rolled back: it commutes with all shifts of the tokens. Without the anchor only with multiples of w.

    Attributes:
        heads: They divide the channels.
        window: Rows and columns of a window.
        offset: How far windows begin before the anchor, for layers whose windows overlap those of others.
        anchored: Whether there is an anchor; without it windows begin at the corner.

    Raises:
        TypeError: If x is not of real floating-point numbers.
        ValueError: If the window is larger than the grid, or does not divide it, or heads do not divide the channels.

    References:
        Liu et al. 2021, "Swin transformer", arXiv:2103.14030, equation 4; Ding et al. 2023, arXiv:2306.07470, for the
        anchor. The roll back is ours: without it the result is moved by a shift that nobody knows.

    Examples:
        >>> from equijax import nn
        >>> x = jax.random.normal(jax.random.key(0), (8, 12, 16))
        >>> jax.jit(nn.WindowAttention(heads=4, window=4).init_with_output)(jax.random.key(1), x)[0].shape
        (8, 12, 16)
    """

    heads: int
    window: int
    offset: int = 0
    anchored: bool = True

    @nn.compact
    def __call__(self, x: ArrayLike, anchor: ArrayLike | None = None) -> Float[Array, "... rows columns channels"]:
        """The result, in the shape of x.

        Args:
            x: Tokens (..., rows, columns, channels).
            anchor: What the energies are taken of, on the same grid; x unless given. It must not be normalized token by
                token: then all energies are the same, and rounding decides. A block gives what it normalizes.
        """
        x = _tokens(x, self.heads)
        w = self.window
        *batch, rows, columns, channels = x.shape
        if max(rows, columns) % w or min(rows, columns) % w:
            raise ValueError(
                f"window: expected a divisor of the {rows} × {columns} tokens, got {w}"
                + ("; it is larger than the grid" if w > min(rows, columns) else "")
            )
        if self.anchored:
            phase = anchor_phase(x if anchor is None else _validate.floating("anchor", anchor), (w, w)) - self.offset
            x = roll(x, -phase)
        else:
            x = jnp.roll(x, (self.offset, self.offset), (-3, -2))
        # (..., rows / w, w, columns / w, w, channels) -> (..., rows / w, columns / w, w w, channels)
        x = jnp.moveaxis(x.reshape(*batch, rows // w, w, columns // w, w, channels), -4, -3)
        x = x.reshape(*x.shape[:-3], w * w, channels)
        q, k, v = (in_heads(part, self.heads) for part in jnp.split(Dense(3 * channels, name="qkv")(x), 3, axis=-1))
        # Attention inside of each window, with a bias for each offset of two tokens
        table = self.param("bias", nn.initializers.normal(0.02), (self.heads, (2 * w - 1) ** 2))
        y = attend(q, k, v, table[:, _relative(w)].astype(x.dtype)).reshape(x.shape)
        y = Dense(channels, name="out")(y).reshape(*batch, rows // w, columns // w, w, w, channels)
        y = jnp.moveaxis(y, -4, -3)  # back to (..., rows / w, w, columns / w, w, channels)
        y = y.reshape(*batch, rows, columns, channels)
        return roll(y, phase) if self.anchored else jnp.roll(y, (-self.offset, -self.offset), (-3, -2))


class SubsampledAttention(nn.Module):
    """Attention of all tokens to one key and value for each r × r of them, made by `Patches`, which are anchored.

    A sum over keys does not depend on their order, so it commutes with all shifts of the tokens.

    Attributes:
        heads: They divide the channels.
        stride: r, of rows and columns.
        anchored: Whether patches are anchored, or begin at the corner.

    Raises:
        TypeError: If x is not of real floating-point numbers.
        ValueError: If r does not divide the grid, or heads do not divide the channels.

    References:
        Chu et al. 2021, "Twins", arXiv:2104.13840, section 3.2; Ding et al. 2023, arXiv:2306.07470.

    Examples:
        >>> from equijax import nn
        >>> x = jax.random.normal(jax.random.key(0), (8, 12, 16))
        >>> jax.jit(nn.SubsampledAttention(heads=4, stride=4).init_with_output)(jax.random.key(1), x)[0].shape
        (8, 12, 16)
    """

    heads: int
    stride: int
    anchored: bool = True

    @nn.compact
    def __call__(self, x: ArrayLike, anchor: ArrayLike | None = None) -> Float[Array, "... rows columns channels"]:
        """The result, in the shape of x.

        Args:
            x: Tokens (..., rows, columns, channels).
            anchor: As for `WindowAttention`.
        """
        x = _tokens(x, self.heads)
        *batch, rows, columns, channels = x.shape
        if rows % self.stride or columns % self.stride:
            raise ValueError(f"stride: expected a divisor of the {rows} × {columns} tokens, got {self.stride}")
        strides, begun = (self.stride, self.stride), x
        if self.anchored:
            begun = roll(x, -anchor_phase(x if anchor is None else _validate.floating("anchor", anchor), strides))
        kept, _ = Patches(channels, strides, "fixed", name="keys")(begun)
        flat = lambda t: t.reshape(*batch, -1, channels)  # noqa: E731
        k, v = jnp.split(Dense(2 * channels, name="kv")(flat(kept)), 2, axis=-1)
        q = Dense(channels, name="q")(flat(x))
        y = attend(*(in_heads(part, self.heads) for part in (q, k, v)))
        return Dense(channels, name="out")(y.reshape(x.shape))


class CrossCovarianceAttention(nn.Module):
    """Attention of channels to channels, by what they have in common over all tokens:

        y = v softmax(k̂ᵀ q̂ / τ) ,   k̂ = k/‖k‖ and q̂ = q/‖q‖ over the tokens, head by head, with a τ for each.

    Sums over the tokens of products of two are right for band-limited ones, so it commutes with shifts by any part of a
    token; there is nothing to anchor.

    Attributes:
        heads: They divide the channels.

    Raises:
        TypeError: If x is not of real floating-point numbers.
        ValueError: If heads do not divide the channels.

    References:
        El-Nouby et al. 2021, "XCiT", arXiv:2106.09681, equation 3.

    Examples:
        >>> from equijax import nn
        >>> x = jax.random.normal(jax.random.key(0), (8, 12, 16))
        >>> jax.jit(nn.CrossCovarianceAttention(heads=4).init_with_output)(jax.random.key(1), x)[0].shape
        (8, 12, 16)
    """

    heads: int

    @nn.compact
    def __call__(self, x: ArrayLike) -> Float[Array, "... rows columns channels"]:
        """The result, in the shape of x."""
        x = _tokens(x, self.heads)
        *batch, _, _, channels = x.shape
        flat = Dense(3 * channels, name="qkv")(x.reshape(*batch, -1, channels))
        q, k, v = (in_heads(part, self.heads) for part in jnp.split(flat, 3, axis=-1))  # (..., tokens, heads, channels)
        sharpness = self.param("sharpness", nn.initializers.ones, (self.heads, 1, 1)).astype(x.dtype)
        q, k = (t / sqrt(jnp.sum(t * t, axis=-3, keepdims=True) + 1e-6) for t in (q, k))
        alike = jnp.einsum("...nhc,...nhd->...hcd", k, q, precision="highest")
        y = jnp.einsum("...nhc,...hcd->...nhd", v, jax.nn.softmax(sharpness * alike, axis=-2), precision="highest")
        return Dense(channels, name="out")(y.reshape(x.shape))


def attend(
    q: Float[Array, "*batch n heads c"],
    k: Float[Array, "*batch m heads c"],
    v: Float[Array, "*batch m heads c"],
    bias: Float[Array, "..."] | None = None,
) -> Float[Array, "*batch n heads c"]:
    """softmax(q kᵀ/√c + bias) v of (..., tokens, heads, c), with the heads side by side: (..., tokens, heads, c)."""
    logits = jnp.einsum("...nhc,...mhc->...hnm", q, k, precision="highest") / q.shape[-1] ** 0.5
    weights = jax.nn.softmax(logits if bias is None else logits + bias, axis=-1)
    return jnp.einsum("...hnm,...mhc->...nhc", weights, v, precision="highest")


def in_heads(x: Float[Array, "*batch channels"], heads: int) -> Float[Array, "*batch heads c"]:
    """The channels of each head."""
    return x.reshape(*x.shape[:-1], heads, -1)


def _relative(w):
    """Which bias a pair of places in a window has, (w w, w w): one for each difference of rows and columns."""
    places = np.stack(np.meshgrid(np.arange(w), np.arange(w), indexing="ij"), -1).reshape(-1, 2)
    difference = places[:, None] - places + w - 1
    return difference[..., 0] * (2 * w - 1) + difference[..., 1]


def _tokens(x: ArrayLike, heads: int) -> Array:
    """Tokens as an array; an error if they are no grid, or heads do not divide the channels."""
    x = _validate.floating("x", x)
    if x.ndim < 3 or x.shape[-1] % heads:
        raise ValueError(f"x: expected shape (..., rows, columns, channels), {heads} heads dividing it, got {x.shape}")
    return x

"""Layers of periodic grids (..., height, width, channels): strides with an anchor or without aliasing, convolution."""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from equijax import _validate
from equijax.nn.plain import Dense, uniform
from equijax.numerics import distinct, largest_phase, phase_energies, resample, roll

HOW = ("fixed", "anchored", "band-limited")


def anchor_phase(x: Float[Array, "..."], strides: Sequence[int]) -> Int[Array, "*batch axes"]:
    """The phase of x with the largest energy, argmax_a Σ_k ‖x[a + p k]‖²: it moves with x, up to multiples of the
    strides. Not of normalized values, whose energies are all the same.

    Args:
        x: Shape (..., height, width, channels), or with as many spatial axes as there are strides, which divide them.
        strides: One for each spatial axis.

    Returns:
        Integers below the strides, shape (..., axes).

    References:
        Ding et al. 2023, arXiv:2306.07470, algorithm 1.

    Examples:
        >>> x = jnp.zeros((4, 6, 1)).at[1, 5].set(1.0)
        >>> anchor_phase(x, (2, 3)).tolist()
        [1, 2]
    """
    return largest_phase(phase_energies(x, strides), len(strides))[0]


def on_pixels(
    tokens: Float[Array, "... rows columns features"], phase: Int[Array, "... 2"], strides: Sequence[int]
) -> Float[Array, "... height width features"]:
    """Each token at all pixels of its patch, where patches of strides (p, q) begin at the pixel `phase`.

    Tokens of `Patches` follow shifts by whole strides; on the pixels they follow all shifts.

    Examples:
        >>> on_pixels(jnp.array([[[1.0], [2.0]]]), jnp.array([0, 1]), (1, 2))[..., 0].tolist()
        [[2.0, 1.0, 1.0, 2.0]]
    """
    for axis, p in zip((-3, -2), strides, strict=True):
        tokens = jnp.repeat(tokens, p, axis=axis)
    return roll(tokens, phase)


class Patches(nn.Module):
    """A token for each patch of a periodic image: a linear map of p × q pixels, one every p rows and q columns.

    fixed
        Patches begin at the corner: tokens follow shifts by multiples of the stride.
    anchored
        Patches begin at the phase with the largest energy, which moves with the image: all shifts by whole pixels give
        the same tokens, moved by whole tokens.
    band-limited
        The linear map at all pixels, a polynomial of degree two, and what it has of frequencies that tokens can hold:
        tokens follow shifts by any part of a pixel.

    Attributes:
        features: Of a token.
        stride: Height and width of a patch.
        how: One of these.
        filtered: Whether energies are those of the filtered pixels, `numerics.distinct`, for images: of many equal
            numbers, they would tie.

    Raises:
        TypeError: If the image is not of real floating-point numbers.
        ValueError: If its height and width are not multiples of the stride, or `how` is none of these.

    Examples:
        >>> import jax
        >>> from equijax import nn
        >>> image = jax.random.normal(jax.random.key(0), (8, 12, 3))
        >>> (tokens, phase), _ = jax.jit(nn.Patches(16, (2, 4)).init_with_output)(jax.random.key(1), image)
        >>> tokens.shape, phase.shape
        ((4, 3, 16), (2,))
    """

    features: int
    stride: tuple[int, int]
    how: str = "anchored"
    filtered: bool = False

    @nn.compact
    def __call__(self, x: ArrayLike) -> tuple[Float[Array, "... rows columns features"], Int[Array, "... 2"]]:
        """Tokens of an image (..., height, width, channels), and the pixel that the patches begin at."""
        if self.how not in HOW:
            raise ValueError(f"how: expected one of {', '.join(HOW)}, got {self.how!r}")
        x = _validate.floating("x", x)
        p, q = self.stride
        *batch, height, width, channels = x.shape if x.ndim >= 3 else (0, 0, 0)
        if not height or height % p or width % q:
            raise ValueError(
                f"x: expected shape (..., height, width, channels), multiples of the stride {self.stride}, got "
                f"{x.shape}; crop or pad the image"
            )
        phase = jnp.zeros((*batch, 2), jnp.int32)
        if self.how == "band-limited":
            pixels = [jnp.roll(x, (-i, -j), (-3, -2)) for i in range(p) for j in range(q)]
            y = Dense(self.features, name="linear")(jnp.concatenate(pixels, axis=-1))
            return resample(Polynomial(name="polynomial")(y), (height // p, width // q)), phase
        if self.how == "anchored":
            phase = anchor_phase(distinct(x, 2) if self.filtered else x, self.stride)
            x = roll(x, -phase)
        # (..., rows, p, columns, q, channels) -> (..., rows, columns, p q channels)
        x = jnp.moveaxis(x.reshape(*batch, height // p, p, width // q, q, channels), -4, -3)
        return Dense(self.features, name="linear")(x.reshape(*x.shape[:-3], -1)), phase


class CircularConv(nn.Module):
    """A convolution of each channel by itself, periodic, 3 × 3: y = x + Σ_k w_k x(· − k), for tokens to know of places.

    It commutes with all shifts, where an embedding of places with none does.

    Examples:
        >>> import jax
        >>> from equijax import nn
        >>> x = jax.numpy.ones((4, 4, 2))
        >>> jax.jit(nn.CircularConv().init_with_output)(jax.random.key(0), x)[0].shape
        (4, 4, 2)

    References:
        Chu et al. 2021, "Conditional positional encodings", arXiv:2102.10882, with a periodic boundary.
    """

    @nn.compact
    def __call__(self, x: Float[Array, "... height width channels"]) -> Float[Array, "... height width channels"]:
        """The result, in the shape of x."""
        kernel = self.param("kernel", uniform(1 / 3), (3, 3, x.shape[-1])).astype(x.dtype)
        rolled = [kernel[i, j] * jnp.roll(x, (i - 1, j - 1), (-3, -2)) for i in range(3) for j in range(3)]
        return functools.reduce(jnp.add, rolled, x)


class Polynomial(nn.Module):
    """b x + c x² with numbers b and c for each channel, without aliasing: x² is taken on a grid of half as many points
    more along each axis, and its frequencies above those of x are left out. It commutes with all shifts, whole or not.

    References:
        Michaeli, Michaeli and Soudry 2023, "Alias-free convnets", arXiv:2303.08085, section 4.

    Examples:
        >>> import jax
        >>> from equijax import nn
        >>> y, _ = jax.jit(nn.Polynomial().init_with_output)(jax.random.key(0), jax.numpy.ones((4, 4, 2)))
        >>> print(y[0, 0])
        [0.75 0.75]
    """

    @nn.compact
    def __call__(self, x: Float[Array, "... height width channels"]) -> Float[Array, "... height width channels"]:
        """The result, in the shape of x, without the highest frequency of even lengths."""
        b = self.param("linear", nn.initializers.constant(0.5), (x.shape[-1],)).astype(x.dtype)
        c = self.param("square", nn.initializers.constant(0.25), (x.shape[-1],)).astype(x.dtype)
        lengths = x.shape[-3:-1]
        fine = jnp.square(resample(x, [-(-3 * n // 2) for n in lengths]))
        return b * resample(x, lengths) + c * resample(fine, lengths)

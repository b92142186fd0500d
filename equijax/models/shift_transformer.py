"""Transformers of images that commute with periodic shifts, or are invariant under them."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.nn.attention import CrossCovarianceAttention, SubsampledAttention, WindowAttention
from equijax.nn.grids import CircularConv, Patches, Polynomial, on_pixels
from equijax.nn.plain import Dense
from equijax.numerics import resample

KINDS = ("swin", "twins", "band-limited")


class ShiftTransformer(nn.Module):
    """A transformer of several stages, each with half the rows and columns of tokens of the one before it.

    swin
        Attention in windows, which every second block moves by half a window.
    twins
        Attention in windows and to subsampled keys, in turns.
    band-limited
        Attention between channels, polynomials without aliasing, norms of whole images.

    The first two are anchored: where patches, windows and strides begin moves with the image, so that all shifts by
    whole pixels give the same scores, and the same dense output, moved with the image. In the third no step has a
    place to begin at, and shifts by any part of a pixel give the same. Shifts are periodic; what is cropped, or filled
    with zeros, is another image.

    There is no embedding of absolute places: a periodic convolution stands in each block, and the scores are those of
    the mean over the tokens.

    Attributes:
        outputs: Scores of an image, or of each pixel.
        kind: One of these.
        features: Of the tokens, a stage each; heads divide them.
        depths: Blocks, a stage each.
        stride: Height and width of a patch, or one number for both.
        window: Rows and columns of a window, in tokens.
        subsampling: Of the keys of twins, a stage each.
        heads: Of all attention.
        anchored: False for the plain transformer, which has the same parameters.
        dense: Whether to give outputs (..., height, width, outputs) rather than their mean.

    References:
        Ding et al. 2023, "Reviving shift equivariance in vision transformers", arXiv:2306.07470, for the anchors; Liu
        et al. 2021, arXiv:2103.14030, and Chu et al. 2021, arXiv:2104.13840, of which the first two are small ones;
        Michaeli and Soudry 2025, "Alias-free ViT", arXiv:2510.22673, for the third.

    Examples:
        >>> from equijax import models
        >>> image, model = jax.random.normal(jax.random.key(0), (32, 32, 1)), models.ShiftTransformer(10)
        >>> params, apply = jax.jit(model.init)(jax.random.key(1), image), jax.jit(model.apply)
        >>> same = apply(params, image) - apply(params, jnp.roll(image, (3, -5), (0, 1)))
        >>> bool(jnp.abs(same).max() < 1e-5)
        True
    """

    outputs: int
    kind: str = "swin"
    features: tuple[int, ...] = (32, 64)
    depths: tuple[int, ...] = (2, 2)
    stride: int | tuple[int, int] = 4
    window: int = 4
    subsampling: tuple[int, ...] = (4, 2)
    heads: int = 4
    anchored: bool = True
    dense: bool = False

    @nn.compact
    def __call__(self, images: ArrayLike) -> Float[Array, "... outputs"]:
        """Scores (..., outputs) of images (..., height, width, channels); with `dense` (..., height, width, outputs).

        Raises:
            TypeError: If the images are not of real floating-point numbers.
            ValueError: If they do not fit strides and windows, saying at which stage, or a field does not fit others.
        """
        images = _validate.floating("images", images)
        strides = (self.stride, self.stride) if isinstance(self.stride, int) else self.stride
        self._check(images, strides)
        limited = self.kind == "band-limited"
        how = "band-limited" if limited else "anchored" if self.anchored else "fixed"
        t, phase = Patches(self.features[0], strides, how, filtered=True, name="patches")(images)
        # Stages: merge 2 × 2 tokens, then blocks; strides and phase of a token in pixels grow along
        for stage, depth in enumerate(self.depths):
            if stage:
                t, moved = Patches(self.features[stage], (2, 2), how, name=f"merge_{stage}")(t)
                phase, strides = phase + jnp.array(strides) * moved, (2 * strides[0], 2 * strides[1])
            for block in range(depth):
                t = _Block(self._attention(stage, block), limited, name=f"block_{stage}_{block}")(t)
        t = _Norm(limited, name="norm")(t)
        if not self.dense:
            return Dense(self.outputs, name="scores")(jnp.mean(t, axis=(-3, -2)))
        # Scores of tokens, laid back on the pixels that they came from
        scores = Dense(self.outputs, name="scores")(t)
        return resample(scores, images.shape[-3:-1]) if limited else on_pixels(scores, phase, strides)

    def _attention(self, stage, block):
        if self.kind == "band-limited":
            return CrossCovarianceAttention(self.heads, parent=None)
        if self.kind == "twins" and block % 2:
            return SubsampledAttention(self.heads, self.subsampling[stage], self.anchored, parent=None)
        offset = self.window // 2 if self.kind == "swin" and block % 2 else 0
        return WindowAttention(self.heads, self.window, offset, self.anchored, parent=None)

    def _check(self, images, strides):
        """Fields that fit each other, and images that fit them, stage by stage."""
        if self.kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}")
        for name, needed in (("depths", True), ("subsampling", self.kind == "twins")):
            if needed and len(getattr(self, name)) != len(self.features):
                raise ValueError(
                    f"{name}: expected one a stage, as features {self.features}, got {getattr(self, name)}"
                )
        if images.ndim < 3:
            raise ValueError(f"images: expected shape (..., height, width, channels), got {images.shape}")
        grid = images.shape[-3:-1]
        for stage in range(len(self.features)):
            by, unit = ((2, 2), "tokens") if stage else (strides, "pixels")
            if any(length % p for length, p in zip(grid, by, strict=True)):
                raise ValueError(
                    f"images: expected {images.shape[-3:-1]} to be divided by the strides of each stage; stage {stage} "
                    f"takes {by[0]} × {by[1]} {unit} of a grid of {grid[0]} × {grid[1]}; crop or pad the images"
                )
            grid = tuple(length // p for length, p in zip(grid, by, strict=True))
            steps = {} if self.kind == "band-limited" else {"window": self.window}
            steps |= {"subsampling": self.subsampling[stage]} if self.kind == "twins" else {}
            for name, step in steps.items():
                if any(length % step for length in grid):
                    larger = ", which it is larger than" if step > min(grid) else ""
                    raise ValueError(
                        f"{name}: expected a divisor of the {grid[0]} × {grid[1]} tokens of stage {stage}{larger}, got "
                        f"{step}; pad the images, or take another {name} or stride"
                    )


class _Block(nn.Module):
    """Places, attention and two dense layers, each added to the tokens."""

    attention: nn.Module
    limited: bool

    @nn.compact
    def __call__(self, t):
        t = CircularConv(name="places")(t)
        known = {} if self.limited else {"anchor": t}
        t = t + self.attention(_Norm(self.limited, name="norm_0")(t), **known)
        h = Dense(4 * t.shape[-1], name="wide")(_Norm(self.limited, name="norm_1")(t))
        h = Polynomial(name="polynomial")(h) if self.limited else jax.nn.gelu(h)
        return t + Dense(t.shape[-1], name="narrow")(h)


class _Norm(nn.Module):
    """Tokens of mean zero and variance one, each by itself, times a scale a channel and with a bias; or all tokens of
    an image divided by their root mean square, which shifts by parts of a token do not change.
    """

    whole: bool

    @nn.compact
    def __call__(self, t):
        scale = self.param("scale", nn.initializers.ones, (t.shape[-1],)).astype(t.dtype)
        bias = self.param("bias", nn.initializers.zeros, (t.shape[-1],)).astype(t.dtype)
        centered = t if self.whole else t - jnp.mean(t, axis=-1, keepdims=True)
        axes = (-3, -2, -1) if self.whole else -1
        variance = jnp.mean(jnp.square(centered), axis=axes, keepdims=True)
        return scale * centered * jax.lax.rsqrt(variance + 1e-6) + bias

"""Local augmentation: transformations of images whose parameters are random fields, another at each pixel."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax._validate import floating, one_of, random_key
from equijax.lie.grid import pixels
from equijax.numerics import EDGES, KERNELS, interpolate
from equijax.views.color import contrast, hue_turn, saturate
from equijax.views.fields import gaussian_field


class LocalParameters(NamedTuple):
    """What is done to each pixel, arrays of the height and width of an image; or one number for all pixels."""

    turn: ArrayLike = 0.0
    """θ in radians."""
    log_scale: ArrayLike = 0.0
    """s."""
    shear: ArrayLike = 0.0
    """h."""
    right: ArrayLike = 0.0
    """First coordinate of t, in widths of the image."""
    up: ArrayLike = 0.0
    """Second coordinate of t, in heights of the image."""
    brightness: ArrayLike = 0.0
    """What is added to the factor 1 of brightness; of contrast and saturation likewise."""
    contrast: ArrayLike = 0.0
    saturation: ArrayLike = 0.0
    hue: ArrayLike = 0.0
    """In turns."""


DEVIATION = LocalParameters(0.2, 0.1, 0.1, 0.035, 0.035, 0.2, 0.2, 0.2, 0.05)
RANGE = LocalParameters(0.25, 0.2, 0.1, 0.05, 0.05, 0.2, 0.2, 0.2, 0.05)


def random_field(
    key: PRNGKeyArray,
    image: Float[Array, "height width channels"],
    *,
    strength: ArrayLike = 1.0,
    exponent: int | float = 6.0,
    deviation: LocalParameters = DEVIATION,
    range: LocalParameters = RANGE,
    edge: str = "nearest",
    kernel: str = "linear",
) -> tuple[Float[Array, "height width channels"], LocalParameters]:
    """An image bent and colored by random fields, another amount at each place, and the fields.

    Each parameter is  strength · (range · u + deviation · φ)  with one u, uniform in ±1, for the image, and φ a
    `gaussian_field` of its own. Mild fields help representations, strong ones destroy the image: tune `strength` first.

    Args:
        image: One of a batch; `jax.vmap` over keys and images. Of others than three channels, hue and saturation stay.
        strength: 0 gives the image back.
        exponent: γ of the fields; from 4 to 8 they are smooth.
        deviation: Standard deviation of each parameter over the pixels.
        range: Half width of the distribution of the mean of each parameter.
        edge: What lies outside of the image: zeros ("constant"), the last pixel ("nearest"), the image again ("wrap"),
            or its mirror image, about the last pixel ("mirror") or its outer side ("reflect").
        kernel: How values between pixels are found, "linear", "cubic" or "spline" as of `reps.Image`.

    Returns:
        The image, in its dtype and not clipped; the parameters, to do the same again by `apply_local`, or to say where
        each pixel came from by `local_source`.

    Raises:
        ValueError: If a side has less than two pixels, or the edge or the kernel is unknown.

    References:
        Mansfield et al. 2023, arXiv:2311.03629 (augmentation by random fields); ranges and spectrum are ours.

    Examples:
        >>> image = jnp.ones((8, 8, 3)).at[2:5, 3:6, 0].set(0.0)
        >>> view, parameters = random_field(jax.random.key(0), image, strength=0.5)
        >>> view.shape, parameters.turn.shape
        ((8, 8, 3), (8, 8))
        >>> bool(jnp.allclose(view, apply_local(image, parameters)))
        True
    """
    _check(image, edge, kernel)
    key_mean, key_fields = jax.random.split(random_key("key", key))
    phi = gaussian_field(key_fields, (len(DEVIATION), *image.shape[:2]), exponent=exponent, dtype=image.dtype)
    u = jax.random.uniform(key_mean, (len(DEVIATION),), phi.dtype, -1, 1)
    fields = [
        jnp.asarray(strength, phi.dtype) * (half * mean + spread * field)
        for half, mean, spread, field in zip(range, u, deviation, phi, strict=True)
    ]
    parameters = LocalParameters(*fields)
    return apply_local(image, parameters, edge, kernel), parameters


def apply_local(
    image: Float[Array, "height width channels"],
    parameters: LocalParameters,
    edge: str = "nearest",
    kernel: str = "linear",
) -> Float[Array, "height width channels"]:
    """x'(p) = color_p(x(src(p))): values from `local_source`, between pixels by the `kernel`, then brightness, contrast
    about the mean of the image, saturation and hue.

    Raises:
        ValueError: If the edge or the kernel is unknown.

    Examples:
        >>> image = jnp.arange(16.0).reshape(4, 4, 1)
        >>> apply_local(image, LocalParameters(right=0.25))[..., 0].tolist()[0]  # from one pixel further right
        [1.0, 2.0, 3.0, 3.0]
    """
    _check(image, edge, kernel)
    height, width, _ = image.shape
    source = local_source(parameters, (height, width))
    places = [(height - 1) / 2 - source[..., 1], source[..., 0] + (width - 1) / 2]
    x = jnp.moveaxis(interpolate(jnp.moveaxis(image.astype(source.dtype), -1, 0), places, kernel, edge), 0, -1)
    x = x * (1 + jnp.asarray(parameters.brightness, x.dtype))[..., None]
    x = contrast(x, 1 + jnp.asarray(parameters.contrast, x.dtype))
    if image.shape[-1] == 3:
        x = hue_turn(saturate(x, 1 + jnp.asarray(parameters.saturation, x.dtype)), parameters.hue)
    return x.astype(image.dtype)


def local_source(parameters: LocalParameters, shape: tuple[int, int]) -> Float[Array, "height width 2"]:
    """src(p) = e^s Rot(θ) [[1, h], [0, 1]] p + t, where each pixel of the view comes from.

    Points in pixels from the center of the image, x to the right and y up, as in `reps.Image`. Interpolation of
    features at these points carries a map of the image to the view, for losses on dense features.

    Examples:
        >>> source = local_source(LocalParameters(turn=jnp.pi / 2), (2, 2))  # of the upper left pixel, (−½, ½)
        >>> print(source[0, 0].round(5))
        [-0.5 -0.5]
    """
    turn, log_scale, shear, right, up = (jnp.asarray(a, _at_least_single(a)) for a in parameters[:5])
    x, y = jnp.moveaxis(jnp.asarray(pixels(tuple(shape)).reshape(*shape, 2), turn.dtype), -1, 0)
    x = x + shear * y
    cos, sin, scale = jnp.cos(turn), jnp.sin(turn), jnp.exp(log_scale)
    moved = scale * (cos * x - sin * y) + right * shape[1], scale * (sin * x + cos * y) + up * shape[0]
    return jnp.stack(moved, axis=-1)


def _at_least_single(a):
    return jnp.promote_types(jnp.result_type(a, 0.0), jnp.float32)


def _check(image, edge, kernel):
    floating("image", image)
    one_of("edge", edge, EDGES)
    one_of("kernel", kernel, KERNELS)
    if np.ndim(image) != 3 or min(np.shape(image)[:2]) < 2:
        raise ValueError(
            f"image: expected shape (height, width, channels) with two pixels or more along each side, got "
            f"{np.shape(image)}; batches by jax.vmap"
        )

"""What changes the colors of an object, and what corrupts it: photometric and corrupting transformations."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from equijax.views import gaussian_field, hue_turn, saturate

PHOTOMETRIC = ("hue", "brightness", "grayscale", "posterize", "invert", "sharpen")
CORRUPTION = ("blur", "noise", "pixelate", "elastic", "erase", "contrast")


def distort(
    appearance: Callable[
        [Float[Array, "size size 2"]], tuple[Float[Array, "size size 3"], Float[Array, "size size 1"]]
    ],
    points: Float[Array | np.ndarray, "size size 2"],
    keys: dict[str, PRNGKeyArray],
) -> tuple[Float[Array, "size size 3"], Float[Array, "size size 1"], dict[str, Array]]:
    """Colors and opacity of an object under those transformations that have a key, and their parameters.

    Args:
        appearance: Points -> colors and opacity.
        points: Of the pixels, in [−1, 1]².
        keys: For names of `PHOTOMETRIC` and `CORRUPTION`; others are passed over.

    Examples:
        >>> import numpy as np
        >>> gray = lambda points: (jnp.full((*points.shape[:2], 3), 0.25), jnp.ones((*points.shape[:2], 1)))
        >>> rgb, alpha, parameters = distort(gray, np.zeros((8, 8, 2)), {"brightness": jax.random.key(0)})
        >>> bool(jnp.allclose(rgb, 0.25 * parameters["brightness"]))
        True
    """
    places, size = jnp.asarray(points), points.shape[0]
    parameters = {}
    if "elastic" in keys:  # moves the points themselves: no pixel is resampled
        parameters["elastic"], field = _sometimes(keys["elastic"]), jax.random.fold_in(keys["elastic"], 1)
        # 150 / 32 half sides times uniform noise under a Gaussian of 5 pixels, at 32 pixels
        deviation = 150 / 32 / 3**0.5 / (2 * np.pi**0.5 * 5)
        shift = deviation * gaussian_field(field, (2, size, size), length=5 * size / 32)
        places = places + parameters["elastic"] * jnp.moveaxis(shift, 0, -1)
    rgb, alpha = appearance(places)
    for name in (*PHOTOMETRIC, *CORRUPTION):
        if name in keys and name != "elastic":
            rgb, alpha, parameters[name] = _STEPS[name](keys[name], rgb, alpha)
            rgb = jnp.clip(rgb, 0, 1)
    return rgb, alpha, parameters


def _sometimes(key):
    """One for every second image, else zero."""
    return jax.random.bernoulli(key).astype(jnp.int32)


def _at_times(change):
    """A step that happens to every second image."""

    def step(key, rgb, alpha):
        done = _sometimes(key)
        new, seen = change(jax.random.fold_in(key, 1), rgb, alpha)
        return jnp.where(done, new, rgb), jnp.where(done, seen, alpha), done

    return step


def _hue(key, rgb, alpha):
    turns = jax.random.uniform(key, minval=-0.5, maxval=0.5)
    return hue_turn(rgb, turns), alpha, turns


def _brightness(key, rgb, alpha):
    factor = jax.random.uniform(key, maxval=2.0)
    return factor * rgb, alpha, factor


def _contrast(key, rgb, alpha):
    """About the mean gray of the object."""
    factor = jax.random.uniform(key, maxval=2.0)
    mean = jnp.sum(alpha * rgb) / (3 * jnp.sum(alpha) + 1e-6)
    return mean + factor * (rgb - mean), alpha, factor


def _blurred(rgb, alpha, weights):
    """Both under a separable filter; colors as they are mixed, weighted by their opacity."""
    seen = jnp.concatenate([alpha * rgb, alpha], axis=-1)
    seen = jnp.einsum("ij,kl,jlc->ikc", weights, weights, seen)
    return seen[..., :3] / jnp.maximum(seen[..., 3:], 1e-3), seen[..., 3:]


def _band(size, taps):
    """The matrix of a filter of 2 m + 1 taps, cut off and normalized at the edges."""
    far = np.abs(np.arange(size)[:, None] - np.arange(size))
    weights = jnp.where(far < len(taps), taps[np.minimum(far, len(taps) - 1)], 0)
    return weights / weights.sum(axis=1, keepdims=True)


def _sharpen(key, rgb, alpha):
    """Seven times as far from what a filter of 3 × 3 pixels leaves."""
    weights = _band(rgb.shape[0], jnp.array([1.0, 1.0]))
    around = jnp.einsum("ij,kl,jlc->ikc", weights, weights, rgb)  # the mean of nine
    smooth = (9 * around + 4 * rgb) / 13  # weights 1 around and 5 in the middle
    return smooth + 7 * (rgb - smooth), alpha


def _blur(key, rgb, alpha):
    sigma = jax.random.uniform(key, minval=0.1, maxval=1.5)
    rgb, alpha = _blurred(rgb, alpha, _band(rgb.shape[0], jnp.exp(-0.5 * (jnp.arange(4.0) / sigma) ** 2)))
    return rgb, alpha, sigma


def _pixelate(key, rgb, alpha):
    size = rgb.shape[0]
    coarse = round(0.3 * size)
    from_which = ((np.arange(size) * coarse // size + 0.5) * size / coarse).astype(int)
    return rgb[from_which][:, from_which], alpha[from_which][:, from_which]


def _erase(key, rgb, alpha):
    size = rgb.shape[0]
    side = round(14 / 32 * size)
    corner = jax.random.randint(key, (2,), 0, size - side + 1)
    inside = (jnp.arange(size) >= corner[:, None]) & (jnp.arange(size) < corner[:, None] + side)
    return rgb, jnp.where((inside[0][:, None] & inside[1])[..., None], 0, alpha)


_STEPS = {
    "hue": _hue,
    "brightness": _brightness,
    "grayscale": _at_times(lambda key, rgb, alpha: (saturate(rgb, 0.0), alpha)),
    "posterize": _at_times(lambda key, rgb, alpha: (jnp.where(rgb >= 0.5, 0.5, 0.0), alpha)),  # the highest of 8 bits
    "invert": _at_times(lambda key, rgb, alpha: (1 - rgb, alpha)),
    "sharpen": _at_times(_sharpen),
    "blur": _blur,
    "noise": _at_times(lambda key, rgb, alpha: (rgb + jax.random.normal(key, rgb.shape), alpha)),
    "pixelate": _at_times(_pixelate),
    "erase": _at_times(_erase),
    "contrast": _contrast,
}

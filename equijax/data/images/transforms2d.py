"""Objects of the plane under 18 transformations: images for questions of invariance, drawn from formulas."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from equijax._validate import integer
from equijax.data.images.distortions import CORRUPTION, PHOTOMETRIC, distort
from equijax.groups import AffineElement
from equijax.views import from_hsv, gaussian_field

GEOMETRIC = ("translate", "rotate", "scale", "vertical_flip", "horizontal_flip", "shear")
TRANSFORMS = (*GEOMETRIC, *PHOTOMETRIC, *CORRUPTION)
"""Geometric, photometric and corrupting, in the order in which they are done."""
CHUNK = 256  # images of a call of the compiled program


class Transforms2D(NamedTuple):
    """Images of transformed objects, and what was done to them."""

    images: Float[np.ndarray, "count size size 3"]
    """float32, from 0 to 1."""
    labels: Int[np.ndarray, " count"]
    """Which of the classes it is, by its place in their list."""
    parameters: dict[str, np.ndarray]
    """The numbers of each transformation that was asked for, (count, ...): angles in radians, shifts in half sides of
    the image, factors, whether it was done."""


class Prototype(NamedTuple):
    """An object: a star-shaped outline r(φ) = r₀ (1 + Σ a_n cos nφ + b_n sin nφ), two colors and a dot."""

    radius: Float[Array, ""]
    cosines: Float[Array, " 5"]
    sines: Float[Array, " 5"]
    colors: Float[Array, "3 3"]  # of the halves and of the dot
    stripe: Float[Array, " 3"]  # normal of the line between the halves, and its place along it
    dot: Float[Array, " 3"]  # place and radius


def transforms2d(
    count: int,
    transforms: Sequence[str] = TRANSFORMS,
    *,
    classes: int | Sequence[int] = 30,
    size: int = 32,
    seed: int = 0,
    stream: int = 0,
    draw: int = 0,
) -> Transforms2D:
    """Images of objects that are transformed at random and put on a textured background; a class is one object.

    An image is  a x + (1 − a) b : x and a are color and opacity of the object, b is a `views.gaussian_field` with γ = 3
    for each color. Geometric transformations act on the coordinates of the object's formula, exactly, without a pixel
    that is resampled; then its colors are changed, then it is corrupted, each in the order of `TRANSFORMS`.

    Geometric: translate (±0.3 of half a side), rotate (any angle), scale (0.4 to 1), vertical_flip, horizontal_flip,
    shear (±50° along both axes). Photometric: hue (±½ turn), brightness (factor 0 to 2), grayscale, posterize (1 bit),
    invert, sharpen (7). Corrupting: blur (7 pixels, σ 0.1 to 1.5), noise (σ 1), pixelate (to 30 %), elastic, erase (a
    square of 14/32 of a side), contrast (factor 0 to 2). Flips, grayscale, posterize, invert, sharpen, noise, pixelate,
    elastic and erase happen to every second image.

    Args:
        count: How many images.
        transforms: Names of those that vary; others stay at the identity.
        classes: How many, or which of the objects of this seed: other numbers are other objects.
        size: Pixels along a side.
        seed: Of the objects.
        stream: Of classes and backgrounds of the images: another one gives other images of the same objects.
        draw: Of the transformations alone: two draws show the same objects on the same backgrounds.

    Raises:
        ValueError: If a name is unknown or comes twice, or a number is too small.

    References:
        Speicher et al. 2024, arXiv:2407.04325 (Transforms-2D); objects and backgrounds are formulas here, not pictures.

    Examples:
        >>> found = transforms2d(6, ["rotate", "hue"], classes=3, size=16)
        >>> found.images.shape, sorted(found.parameters)
        ((6, 16, 16, 3), ['hue', 'rotate'])
    """
    integer("count", count, 1)
    integer("size", size, 8)
    numbers = np.arange(integer("classes", classes, 1)) if isinstance(classes, int) else np.asarray(classes)
    if numbers.ndim != 1 or not len(numbers) or not np.issubdtype(numbers.dtype, np.integer) or numbers.min() < 0:
        raise ValueError(f"classes: expected a number of classes or a list of their numbers, got {classes}")
    for name in transforms:
        if name not in TRANSFORMS:
            raise ValueError(f"transforms: expected some of {', '.join(TRANSFORMS)}, got {name!r}")
    if len(set(transforms)) < len(transforms):
        raise ValueError(f"transforms: expected each name once, got {', '.join(transforms)}")
    chosen = tuple(name for name in TRANSFORMS if name in transforms)  # the same program for any order
    labels = np.random.default_rng([seed, stream]).integers(len(numbers), size=count).astype(np.int32)
    key = jax.random.key(seed)
    chunks = []
    for start in range(0, count, CHUNK):
        rows = np.arange(start, start + min(CHUNK, count))
        of = numbers[labels[rows % count]]
        chunks.append(jax.tree.map(np.asarray, _images(chosen, size, key, of, rows, stream, draw)))
    images, parameters = jax.tree.map(lambda *parts: np.concatenate(parts)[:count], *chunks)
    return Transforms2D(images, labels, parameters)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _images(transforms, size, key, objects, rows, stream, draw):
    of_objects, of_backgrounds, of_draws = jax.random.split(key, 3)
    of_backgrounds = jax.random.fold_in(of_backgrounds, stream)
    of_draws = jax.random.fold_in(jax.random.fold_in(of_draws, stream), draw)

    def one(number, row):
        prototype = draw_prototype(jax.random.fold_in(of_objects, number))
        background = 0.5 + 0.2 * gaussian_field(jax.random.fold_in(of_backgrounds, row), (3, size, size), exponent=3.0)
        keys = {
            name: jax.random.fold_in(jax.random.fold_in(of_draws, row), TRANSFORMS.index(name)) for name in transforms
        }
        parameters = {name: _draw(name, keys[name]) for name in transforms if name in GEOMETRIC}
        rgb, alpha, others = distort(
            lambda points: appearance(prototype, points, geometric_element(parameters)), grid(size), keys
        )
        image = alpha * rgb + (1 - alpha) * jnp.moveaxis(background, 0, -1)
        return jnp.clip(image, 0, 1), parameters | others

    return jax.vmap(one)(objects, rows)


def draw_prototype(key: PRNGKeyArray) -> Prototype:
    """A random object.

    Examples:
        >>> draw_prototype(jax.random.key(0)).colors.shape
        (3, 3)
    """
    keys = jax.random.split(key, 5)
    wave = jax.random.normal(keys[0], (2, 5)) * 0.16 / jnp.arange(1, 6)
    hue = jax.random.uniform(keys[1]) + jnp.array([0.0, 0.35, 0.7]) + 0.1 * jax.random.normal(keys[2], (3,))
    value = jax.random.uniform(keys[3], (3,), minval=0.5, maxval=1.0)
    angle, where, offset, far = jax.random.uniform(keys[4], (4,), minval=-1.0)
    return Prototype(
        radius=jnp.array(0.7),
        cosines=wave[0],
        sines=wave[1],
        colors=from_hsv(hue, 0.8, value),
        stripe=jnp.stack([jnp.cos(jnp.pi * angle), jnp.sin(jnp.pi * angle), 0.15 * offset]),
        dot=jnp.stack([*((0.35 + 0.07 * far) * jnp.array([jnp.cos(jnp.pi * where), jnp.sin(jnp.pi * where)])), 0.17]),
    )


def grid(size: int) -> np.ndarray:
    """The pixels as points (size, size, 2) of the square [−1, 1]², x to the right and y up.

    Examples:
        >>> grid(2)[0, 0].tolist()
        [-0.5, 0.5]
    """
    x = (2 * np.arange(size) + 1) / size - 1
    return np.stack(np.meshgrid(x, -x), axis=-1)


def appearance(
    prototype: Prototype, points: Float[Array | np.ndarray, "*grid 2"], g: AffineElement
) -> tuple[Float[Array, "*grid 3"], Float[Array, "*grid 1"]]:
    """Color and opacity at points of the object that is moved by g: those of the object at g⁻¹ p, exactly.

    Args:
        prototype: The object.
        points: p.
        g: An element of `groups.Affine(2)`.

    Examples:
        >>> here = AffineElement(jnp.zeros(2), jnp.eye(2))
        >>> rgb, alpha = appearance(draw_prototype(jax.random.key(0)), jnp.array([[0.0, 0.0], [1.0, 1.0]]), here)
        >>> print(alpha[:, 0].round(3))  # inside and outside
        [1. 0.]
    """
    (a, b), (c, d) = g.linear
    moved = points - g.translation
    u, v = moved[..., 0], moved[..., 1]
    u, v = (d * u - b * v) / (a * d - b * c), (a * v - c * u) / (a * d - b * c)
    rho = jnp.sqrt(u**2 + v**2 + 1e-12)
    turn, wave, outline = (u / rho, v / rho), (jnp.ones_like(u), jnp.zeros_like(v)), 1.0
    for cosine, sine in zip(prototype.cosines, prototype.sines, strict=True):
        wave = (turn[0] * wave[0] - turn[1] * wave[1], turn[0] * wave[1] + turn[1] * wave[0])  # cos nφ, sin nφ
        outline = outline + cosine * wave[0] + sine * wave[1]
    radius = prototype.radius * jnp.maximum(outline, 0.3)
    alpha = jax.nn.sigmoid(40 * (radius - rho))
    normal, place = prototype.stripe[:2], prototype.stripe[2]
    side = jax.nn.sigmoid(40 * (normal[0] * u + normal[1] * v - place))[..., None]
    x, y, size = prototype.dot
    dot = jax.nn.sigmoid(40 * (size - jnp.sqrt((u - x) ** 2 + (v - y) ** 2 + 1e-12)))[..., None]
    first, second, third = prototype.colors
    rgb = side * first + (1 - side) * second
    return dot * third + (1 - dot) * rgb, alpha[..., None]


def geometric_element(parameters: Mapping[str, ArrayLike]) -> AffineElement:
    """The element translate · rotate · shear · flip · scale of `groups.Affine(2)`, of the parameters there are.

    Examples:
        >>> g = geometric_element({"rotate": jnp.pi / 2, "scale": 0.5})
        >>> print(g.linear.round(3) + 0.0)
        [[ 0.  -0.5]
         [ 0.5  0. ]]
    """
    dtype = jnp.result_type(float, *parameters.values()) if parameters else float
    linear = jnp.eye(2, dtype=dtype) * parameters.get("scale", 1.0)
    if "vertical_flip" in parameters:
        linear = jnp.array([1.0, -1.0], dtype)[:, None] ** parameters["vertical_flip"] * linear
    if "horizontal_flip" in parameters:
        linear = jnp.array([-1.0, 1.0], dtype)[:, None] ** parameters["horizontal_flip"] * linear
    if "shear" in parameters:
        along, across = jnp.tan(parameters["shear"])
        linear = jnp.array([[1 + along * across, along], [across, 1.0]]) @ linear  # of determinant 1
    if "rotate" in parameters:
        cos, sin = jnp.cos(parameters["rotate"]), jnp.sin(parameters["rotate"])
        linear = jnp.array([[cos, -sin], [sin, cos]]) @ linear
    return AffineElement(jnp.asarray(parameters.get("translate", jnp.zeros(2)), dtype), linear)


def _draw(name, key):
    uniform = functools.partial(jax.random.uniform, key)
    match name:
        case "translate":
            return uniform((2,), minval=-0.3, maxval=0.3)
        case "rotate":
            return uniform(maxval=2 * jnp.pi)
        case "scale":
            return uniform(minval=0.4)
        case "shear":
            return uniform((2,), minval=-1.0) * jnp.deg2rad(50)
        case _:  # a flip
            return jax.random.bernoulli(key).astype(jnp.int32)

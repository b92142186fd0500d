"""Small scenes of an object on a floor under a light, with their latents: rendered here, by tracing spheres.

`python -m equijax.data.images.mini3d --output FILE` renders the standard set into a file, once.
"""

import argparse
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.spatial.transform import Rotation

from equijax._validate import integer
from equijax.data import _cache
from equijax.data.images.tracing import Boxes, look
from equijax.views import from_hsv

CHUNK = 64  # images of a call of the compiled program


class Scenes(NamedTuple):
    """Views of objects, and what each view was made of."""

    images: UInt8[np.ndarray, "objects views size size 3"]
    latents: Float[np.ndarray, "objects views latents"]
    """float32, in the order of 3DIEBench: three angles about the fixed x, y and z axes, hue of the floor, polar angle
    and azimuth of the light, hue of the light; then, if objects are moved, the coordinates of the translation."""
    rotations: Float[np.ndarray, "objects views 3 3"]
    """float32; R = R_z R_y R_x of the angles, which turns the object."""
    classes: Int[np.ndarray, " objects"]
    instances: Int[np.ndarray, " objects"]
    """Of its class, counted from 0 over the training and the test objects together."""


class Mini3D(NamedTuple):
    """No object of the test is one of the training; the classes are the same."""

    train: Scenes
    test: Scenes


def mini3d(
    classes: int = 10,
    instances: int = 60,
    views: int = 20,
    *,
    held_out: int = 12,
    size: int = 32,
    translate: bool = False,
    unusual: bool = False,
    seed: int = 0,
    cache: str | Path | None = None,
) -> Mini3D:
    """Objects of four rounded boxes, turned and lit at random; a class is a template, its instances differ a little.

    The default is the standard set: 12,000 images of 32 × 32 pixels, 48 training and 12 test instances of each class.

    Angles are uniform in ±π/2, or, `unusual`, in [−π, −π/2] and [π/2, π]; the hues of floor and light are uniform; the
    light stands at a distance of 4, its polar angle uniform up to π/4; translations are uniform in ±½.

    Args:
        classes: How many.
        instances: Of each class.
        views: Of each instance.
        held_out: Instances of each class, the last ones, that are the test.
        size: Pixels along a side.
        translate: Whether objects are moved too.
        unusual: Whether to draw rotations that the usual set does not have.
        seed: Of all that is random; equal seeds give equal scenes.
        cache: File (.npz) to read what was rendered before with the same settings, or to write it to, atomically.

    Raises:
        ValueError: If there are too few of something, all instances are held out, or the file is damaged or of other
            settings.

    References:
        After 3DIEBench, Garrido, Najman and LeCun 2023, arXiv:2302.10283: its latents, and its split by object.

    Examples:
        >>> train, test = mini3d(classes=2, instances=2, views=2, held_out=1, size=8)
        >>> train.images.shape, test.latents.shape
        ((2, 2, 8, 8, 3), (2, 2, 7))
    """
    integer("classes", classes, 1)
    integer("instances", instances, 2)
    integer("views", views, 1)
    integer("size", size, 8)
    if integer("held_out", held_out) >= instances:
        raise ValueError(f"held_out: expected fewer than the {instances} instances of a class, got {held_out}")
    settings = f"{classes=} {instances=} {views=} {held_out=} {size=} {translate=} {unusual=} {seed=}"
    if cache is not None and Path(cache).is_dir():
        raise ValueError(f"cache: expected a file, got the folder {cache}; pass {Path(cache) / 'mini3d.npz'}")
    if cache is not None and Path(cache).is_file():
        return _cache.read(Path(cache), settings, "mini3d", Mini3D, Scenes)
    rng = np.random.default_rng(seed)
    objects = draw_objects(rng, classes, instances)
    latents = draw_latents(rng, classes * instances * views, translate, unusual)
    repeated = Boxes(*(np.repeat(a.reshape(-1, *a.shape[2:]), views, axis=0) for a in objects))
    images = render(repeated, latents, size).reshape(classes, instances, views, size, size, 3)
    drawn = latents.reshape(classes, instances, views, -1)
    turns = rotations(latents).reshape(classes, instances, views, 3, 3)
    label, number = np.indices((classes, instances), np.int32)
    parts = [slice(0, instances - held_out), slice(instances - held_out, None)]
    arrays = images, drawn, turns.astype(np.float32), label, number
    found = Mini3D(*(Scenes(*(a[:, part].reshape(-1, *a.shape[2:]) for a in arrays)) for part in parts))
    if cache is not None:
        _cache.write(Path(cache), settings, found)
    return found


def draw_objects(rng: np.random.Generator, classes: int, instances: int) -> Boxes:
    """Four boxes for each instance (classes, instances, 4, ...): those of a class but for small changes.

    Examples:
        >>> draw_objects(np.random.default_rng(0), 2, 3).centers.shape
        (2, 3, 4, 3)
    """
    normal, uniform = rng.normal, rng.uniform
    template = (classes, 1, 4)
    of_each = (classes, instances, 4)
    return Boxes(
        (uniform(-0.38, 0.38, (*template, 3)) + 0.05 * normal(size=(*of_each, 3))).astype(np.float32),
        (uniform(0.02, 0.30, (*template, 3)) * np.exp(0.2 * normal(size=(*of_each, 3)))).astype(np.float32),
        np.broadcast_to(uniform(0.03, 0.12, template), of_each).astype(np.float32),
        (uniform(0, 1, template) + 0.05 * normal(size=of_each)).astype(np.float32),
    )


def draw_latents(
    rng: np.random.Generator, count: int, translate: bool = False, unusual: bool = False
) -> Float[np.ndarray, "count latents"]:
    """Angles, hue of the floor, polar angle and azimuth of the light, its hue, and the translation if asked for.

    Examples:
        >>> draw_latents(np.random.default_rng(0), 5, translate=True).shape
        (5, 10)
    """
    angles = rng.uniform(-np.pi / 2, np.pi / 2, (count, 3))
    if unusual:
        angles = angles + np.where(angles < 0, -np.pi / 2, np.pi / 2)
    others = rng.uniform(0, 1, (count, 4)) * [1, np.pi / 4, 2 * np.pi, 1]
    moved = [rng.uniform(-0.5, 0.5, (count, 3))] if translate else []
    return np.concatenate([angles, others, *moved], axis=1).astype(np.float32)


def rotations(latents: Float[np.ndarray, "count latents"]) -> Float[np.ndarray, "count 3 3"]:
    """R = R_z(γ) R_y(β) R_x(α) of the angles (α, β, γ), the first three latents.

    Examples:
        >>> print(rotations(np.array([[0.0, 0.0, np.pi / 2]])).round(3)[0, 0])  # x turns to y
        [ 0. -1.  0.]
    """
    return Rotation.from_euler("xyz", latents[:, :3].astype(float)).as_matrix()


def render(objects: Boxes, latents: Float[np.ndarray, "count latents"], size: int) -> UInt8[np.ndarray, "count s s 3"]:
    """Images of objects (count, 4, ...) in the scenes of their latents, of 7 numbers or 10.

    Examples:
        >>> one = Boxes(*(a[0] for a in draw_objects(np.random.default_rng(0), 1, 3)))
        >>> render(one, draw_latents(np.random.default_rng(0), 3), 16).shape
        (3, 16, 16, 3)
    """
    count, turns, done = len(latents), rotations(latents).astype(np.float32), []
    latents = np.pad(latents, ((0, 0), (0, 10 - latents.shape[1])))
    for start in range(0, count, CHUNK):
        rows = np.arange(start, start + min(CHUNK, count)) % count
        done.append(np.asarray(_images(Boxes(*(a[rows] for a in objects)), latents[rows], turns[rows], size)))
    return np.concatenate(done)[:count]


@functools.partial(jax.jit, static_argnums=3)
def _images(objects, latents, turns, size):
    def one(boxes, latents, turn):
        polar, azimuth = latents[4], latents[5]
        light = 4 * jnp.stack([jnp.sin(polar) * jnp.cos(azimuth), jnp.sin(polar) * jnp.sin(azimuth), jnp.cos(polar)])
        colors = from_hsv(boxes.hues, 0.7, 0.9), from_hsv(latents[3], 0.6, 0.6), from_hsv(latents[6], 0.6, 1.0)
        image, _ = look(boxes, turn, latents[7:], light, colors, size)
        return jnp.round(255 * jnp.clip(image, 0, 1)).astype(jnp.uint8)

    return jax.vmap(one)(objects, latents, turns)


def main(arguments: Sequence[str] | None = None) -> None:
    """Render the standard set, or another one, into a file; what is there already is read and checked."""
    parser = argparse.ArgumentParser(prog="python -m equijax.data.images.mini3d", description=main.__doc__)
    parser.add_argument("--output", type=Path, required=True, help="file (.npz)")
    for name, default in {"classes": 10, "instances": 60, "views": 20, "held-out": 12, "size": 32, "seed": 0}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--translate", action="store_true", help="move the objects too")
    parser.add_argument("--unusual", action="store_true", help="rotations that the usual set does not have")
    options = vars(parser.parse_args(arguments))
    path = options.pop("output")
    found = mini3d(**options, cache=path)
    counts = ", ".join(f"{part.images.shape[0]} objects of {part.images.shape[1]} views" for part in found)
    print(f"{path}: {counts} (training, test)")


if __name__ == "__main__":
    main()

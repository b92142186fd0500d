"""One image of rounded boxes on a floor: spheres are traced from where a ray enters the boxes, shadows likewise."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

FLOOR = -1.0
CAMERA = 2.5  # distance from the origin, at a polar angle of 45°, above the x axis
OPENING = 0.55  # half the side of the image, at distance 1
STEPS = 14  # from the boxes' surfaces on; 40 from the camera on
SHADOW_STEPS = 10
SHARPNESS = 12.0  # of shadows
FAR = 1e6  # for rays that meet nothing


class Boxes(NamedTuple):
    """Rounded boxes along the axes of the object."""

    centers: Float[Array | np.ndarray, "*batch 4 3"]
    halves: Float[Array | np.ndarray, "*batch 4 3"]
    """Half sides of the boxes inside of the rounding."""
    radii: Float[Array | np.ndarray, "*batch 4"]
    """Of the rounding, which comes on top."""
    hues: Float[Array | np.ndarray, "*batch 4"]


def distances(boxes: Boxes, points: Float[Array, "*grid 3"]) -> Float[Array, "*grid boxes"]:
    """From points to each box, negative inside.

    Examples:
        >>> ball = Boxes(jnp.zeros((1, 3)), jnp.zeros((1, 3)), jnp.ones(1), jnp.zeros(1))
        >>> print(distances(ball, jnp.array([0.0, 3.0, 4.0])).round(4))
        [4.]
    """
    q = jnp.abs(points[..., None, :] - boxes.centers) - boxes.halves
    outside = jnp.sqrt(jnp.sum(jnp.maximum(q, 0) ** 2, axis=-1) + 1e-12)
    return outside + jnp.minimum(jnp.max(q, axis=-1), 0) - boxes.radii


def look(
    boxes: Boxes,
    turn: Float[Array, "3 3"],
    moved: Float[Array, " 3"],
    light: Float[Array, " 3"],
    colors: tuple[Float[Array, "4 3"], Float[Array, " 3"], Float[Array, " 3"]],
    size: int,
) -> tuple[Float[Array, "size size 3"], Bool[Array, "size size"]]:
    """An image, rows from top to bottom, and where in it the object is.

    Args:
        boxes: The object.
        turn: R; a point p of the object is at R p + t.
        moved: t.
        light: Where it is.
        colors: Of the boxes, the floor and the light.
        size: Pixels along a side.
    """
    of_boxes, of_floor, of_light = colors
    eye, rays = camera(size)
    # all in the frame of the object, where boxes lie along the axes: v turns to Rᵀ v, as rows to v R
    origin, directions, lamp = (eye - moved) @ turn, rays @ turn, (light - moved) @ turn
    along, hit = _march(boxes, origin, directions, STEPS)
    floor_along = (FLOOR - eye[2]) / jnp.minimum(rays[..., 2], -1e-6)
    on_floor = ~hit & (rays[..., 2] < -1e-6)
    along = jnp.where(hit, along, jnp.where(on_floor, floor_along, 0.0))
    points = origin + along[..., None] * directions
    nearest = jax.nn.one_hot(jnp.argmin(distances(boxes, points), axis=-1), len(boxes.radii))
    slope = _outward(boxes, points, nearest)
    up = jnp.array([0.0, 0.0, 1.0]) @ turn
    normals = jnp.where(hit[..., None], slope, up)
    to_light = lamp - points
    far = jnp.sqrt(jnp.sum(to_light**2, axis=-1))
    to_light = to_light / far[..., None]
    lambert = jnp.maximum(jnp.sum(normals * to_light, axis=-1), 0)
    lit = _open_sky(boxes, points + 0.02 * normals, to_light)
    surface = jnp.where(hit[..., None], nearest @ of_boxes, of_floor)
    image = surface * (0.35 + 0.65 * (lambert * lit)[..., None] * of_light)
    return jnp.where((hit | on_floor)[..., None], image, 0.1), hit


def camera(size: int) -> tuple[Float[Array, " 3"], Float[Array, "size size 3"]]:
    """Where the eye is, and the directions of unit length that it looks along, a pixel each.

    Examples:
        >>> eye, rays = camera(2)
        >>> bool(jnp.allclose(rays.mean((0, 1)) / jnp.linalg.norm(rays.mean((0, 1))), -eye / 2.5, atol=1e-6))
        True
    """
    back, right, up = 0.5**0.5 * jnp.array([1.0, 0, 1]), jnp.array([0.0, 1, 0]), 0.5**0.5 * jnp.array([-1.0, 0, 1])
    x = OPENING * ((2 * jnp.arange(size) + 1) / size - 1)
    rays = x[None, :, None] * right - x[:, None, None] * up - back
    return CAMERA * back, rays / jnp.sqrt(jnp.sum(rays**2, axis=-1, keepdims=True))


def _outward(boxes, points, nearest):
    """The gradient of the distance to the nearest box, outside of what it was before the rounding."""
    far = points - nearest @ boxes.centers
    q = jnp.maximum(jnp.abs(far) - nearest @ boxes.halves, 0) * jnp.sign(far)
    return q / jnp.sqrt(jnp.sum(q**2, axis=-1, keepdims=True) + 1e-12)


def _entries(boxes, origins, directions):
    """Where rays enter the boxes, with their rounding, and leave them, (*grid, boxes); the other way round: a miss."""
    steep = jnp.where(jnp.abs(directions) < 1e-6, 1e-6, directions)[..., None, :]
    start, half = boxes.centers - origins[..., None, :], boxes.halves + boxes.radii[:, None]
    first, last = (start - half * jnp.sign(steep)) / steep, (start + half * jnp.sign(steep)) / steep
    return jnp.max(first, axis=-1), jnp.min(last, axis=-1)


def _march(boxes, origin, directions, steps):
    """How far along rays the surface is, and whether they meet it."""
    first, last = _entries(boxes, jnp.broadcast_to(origin, directions.shape), directions)
    met = last > jnp.maximum(first, 0)
    start = jnp.min(jnp.where(met, first, FAR), axis=-1)
    end = jnp.max(jnp.where(met, last, -FAR), axis=-1)
    some = jnp.any(met, axis=-1)

    def step(_, along):
        return along + jnp.min(distances(boxes, origin + along[..., None] * directions), axis=-1)

    along = jax.lax.fori_loop(0, steps, step, jnp.where(some, jnp.maximum(start, 0), 0.0))
    near = jnp.min(distances(boxes, origin + along[..., None] * directions), axis=-1) < 0.01
    return along, some & near & (along < end + 0.01)


def _open_sky(boxes, points, directions):
    """How much of the light gets to points: 0 behind the object, between 0 and 1 where rays pass close to it."""
    first, last = _entries(boxes, points, directions)
    met = last > jnp.maximum(first - 0.1, 0)
    some = jnp.any(met, axis=-1)
    start = jnp.maximum(jnp.min(jnp.where(met, first, FAR), axis=-1), 0.02)

    def step(_, state):
        along, lit = state
        d = jnp.min(distances(boxes, points + along[..., None] * directions), axis=-1)
        lit = jnp.minimum(lit, SHARPNESS * d / jnp.maximum(along, 0.05))
        return along + jnp.clip(d, 0.02, 0.3), lit

    begin = jnp.where(some, start, 0.02), jnp.ones(some.shape, points.dtype)
    _, lit = jax.lax.fori_loop(0, SHADOW_STEPS, step, begin)
    return jnp.where(some, jnp.clip(lit, 0, 1), 1.0)

"""Images on a square grid of pixels."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from equijax._validate import floating
from equijax.groups import Element, Group, linear_part, static
from equijax.reps.base import Rep, linear_shape, translation_part


@static
class Image(Rep):
    """Scalar fields on pixels, shape (..., height, width, channels): (g f)(p) = f(g⁻¹ p).

    Points p are measured in pixels from the center of the image, x to the right and y up, so that a turn by 90° is
    `numpy.rot90`. Turns by multiples of 90° of a square image, flips, and shifts by whole pixels only move pixels
    about; everything else interpolates linearly. Zero outside of the image.

    Examples:
        >>> quarter = jnp.array([[0.0, -1.0], [1.0, 0.0]])
        >>> Image().act(quarter, jnp.array([[[1.0], [2.0]], [[3.0], [4.0]]]))[..., 0].tolist()
        [[2.0, 4.0], [1.0, 3.0]]
    """

    @property
    def approximate(self) -> bool:
        return True

    def act(self, g: Element, x: PyTree) -> Array:
        x, a, t = floating("x", x), linear_part(g), translation_part(g)
        if x.ndim < 3 or a.shape not in ((), (2, 2)):
            raise ValueError(f"x: expected shape (..., height, width, channels) and a map of the plane, got {x.shape}")
        a = a.astype(jnp.promote_types(a.dtype, jnp.float32))  # pixels are not counted in bfloat16
        height, width = x.shape[-3:-1]
        # points of the pixels, (2, height · width): x to the right, y up, the origin in the center
        center = np.array([width - 1, height - 1]) / 2
        points = (np.indices((height, width))[::-1] - center[:, None, None]) * np.array([1, -1])[:, None, None]
        moved = jnp.asarray(points.reshape(2, -1), a.dtype) - (0 if t is None else t[:, None])
        # where each value comes from, g⁻¹ p, as rows and columns (height, width)
        source = moved / a if a.ndim == 0 else jnp.linalg.solve(a, moved)
        columns, rows = (source * np.array([[1], [-1]]) + center[:, None].astype(a.dtype)).reshape(2, height, width)
        places = [jnp.where(jnp.abs(c - jnp.round(c)) < 1e-4, jnp.round(c), c) for c in (rows, columns)]
        # all planes, (planes, height, width), then back to (..., height, width, channels)
        planes = jnp.moveaxis(x, -1, -3).reshape(-1, height, width)
        warped = jax.vmap(lambda plane: jax.scipy.ndimage.map_coordinates(plane, places, order=1))(planes)
        return jnp.moveaxis(warped.reshape(*x.shape[:-3], -1, height, width), -3, -1).astype(x.dtype)

    def check(self, group: Group) -> None:
        if linear_shape(group) not in ((), (2, 2)):
            raise ValueError(f"group: {self} needs a group that acts on the plane, got {group}")

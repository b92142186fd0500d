"""Images on a square grid of pixels, volumes, and grids of any number of axes."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from equijax._validate import floating, integer, one_of
from equijax.groups import Element, Group, Translation, linear_part, static
from equijax.numerics import KERNELS, fractional_shift, interpolate
from equijax.reps.base import Rep, linear_shape, translation_part


@static
class Image(Rep):
    """Scalar fields on a grid, shape (..., height, width, channels) or with other spatial axes: (g f)(p) = f(g⁻¹ p).

    Points p are measured in pixels from the center of the grid. Of an image, with two axes, x points to the right and y
    up, so that a turn by 90° is `numpy.rot90`. With any other number of axes, such as `Image(3)` for volumes, the k-th
    coordinate grows along the k-th spatial axis.

    Signed permutations of the axes, such as turns by multiples of 90° and flips, and shifts by whole pixels only move
    pixels about, where the axes that change places have one length; everything else interpolates, and outside of the
    grid is zero. The `kernel` says how: "linear" has kinks at the pixels, so that nothing can be differentiated at the
    identity, which `measures.lie_derivative` refuses; "cubic", Catmull and Rom's, has not, nor has "spline", the cubic
    B-spline through the pixels, which is closer on smooth images. "fourier", for translations only, takes the grid as
    periodic and its values as those of a trigonometric polynomial; the highest frequency of an even length is
    multiplied by cos πt, with the derivative zero at t = 0.

    Raises:
        ValueError: If there is not at least one spatial axis, or the kernel is unknown.

    Examples:
        >>> quarter = jnp.array([[0.0, -1.0], [1.0, 0.0]])
        >>> Image().act(quarter, jnp.array([[[1.0], [2.0]], [[3.0], [4.0]]]))[..., 0].tolist()
        [[2.0, 4.0], [1.0, 3.0]]
        >>> cycle = jnp.eye(3)[jnp.array([2, 0, 1])]  # x → y → z → x
        >>> volume = jnp.arange(8.0).reshape(2, 2, 2, 1)
        >>> bool((Image(3).act(cycle, volume)[1, 0, 0] == volume[0, 0, 1]).all())
        True
    """

    axes: int = 2
    kernel: str = "linear"

    def __post_init__(self):
        integer("axes", self.axes, 1)
        one_of("kernel", self.kernel, (*KERNELS, "fourier"))

    @property
    def approximate(self) -> bool:
        return True

    def act(self, g: Element, x: PyTree) -> Array:
        x, a, t, n = floating("x", x), linear_part(g), translation_part(g), self.axes
        if x.ndim < n + 1 or a.shape not in ((), (n, n)):
            shape = {2: "height, width"}.get(n, ", ".join(f"n{k}" for k in range(n)))
            kind = {2: "the plane"}.get(n, f"{n} coordinates")
            raise ValueError(f"x: expected shape (..., {shape}, channels) and a map of {kind}, got {x.shape}")
        a = a.astype(jnp.promote_types(a.dtype, jnp.float32))  # pixels are not counted in bfloat16
        lengths = x.shape[-n - 1 : -1]
        # points of the pixels, (n, pixels), the origin in the center
        order, signs = ([1, 0], [1, -1]) if n == 2 else (list(range(n)), [1] * n)  # axis and sense of each coordinate
        if self.kernel == "fourier":
            if t is None or isinstance(g, tuple):
                raise ValueError(f"g: {self} moves images by translations only; take kernel='cubic'")
            return fractional_shift(x, (jnp.array(signs) * t)[np.argsort(order)], highest=True)
        center, sense = (np.array(lengths)[order, None] - 1) / 2, np.array(signs)[:, None]
        points = (np.indices(lengths).reshape(n, -1)[order] - center) * sense
        moved = jnp.asarray(points, a.dtype) - (0 if t is None else t[:, None])
        # where each value comes from, g⁻¹ p, as places along the axes, (n, *lengths)
        source = moved / a if a.ndim == 0 else jnp.linalg.solve(a, moved)
        found = (source * sense + center.astype(a.dtype))[np.argsort(order)].reshape(n, *lengths)
        places = [
            c + jax.lax.stop_gradient(jnp.where(jnp.abs(c - jnp.round(c)) < 1e-4, jnp.round(c) - c, 0)) for c in found
        ]
        # all grids, (grids, *lengths), then back to (..., *lengths, channels)
        grids = jnp.moveaxis(x, -1, -n - 1).reshape(-1, *lengths)
        grids = grids.astype(jnp.promote_types(x.dtype, jnp.float32))
        warped = interpolate(grids, places, self.kernel)
        return jnp.moveaxis(warped.reshape(*x.shape[: -n - 1], -1, *lengths), -n - 1, -1).astype(x.dtype)

    def check(self, group: Group) -> None:
        if linear_shape(group) not in ((), (self.axes, self.axes)):
            kind = {2: "the plane"}.get(self.axes, f"{self.axes} coordinates")
            raise ValueError(f"group: {self} needs a group that acts on {kind}, got {group}")
        if self.kernel == "fourier" and not isinstance(group, Translation):
            raise ValueError(f"group: {self} needs groups.Translation({self.axes}), got {group}; take kernel='cubic'")

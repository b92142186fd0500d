"""Grids at places between their points: kernels, and what lies beyond the edge."""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

KERNELS = ("linear", "cubic", "spline")
EDGES = ("constant", "mirror", "nearest", "reflect", "wrap")
Indices: TypeAlias = Int[Array, "..."] | Int[np.ndarray, "..."]
POLE = 3**0.5 - 2  # of the filter that makes splines interpolate


def interpolate(
    x: Float[Array, "*batch"], places: Sequence[Float[Array, "..."]], kernel: str = "linear", edge: str = "constant"
) -> Float[Array, "..."]:
    """A grid at places between its points.

    "linear" has kinks at the points. "cubic" is Catmull and Rom's kernel, continuous with its derivative: parabolas
    are exact. "spline" is the cubic B-spline through the values, with two continuous derivatives: cubic polynomials
    are exact, and smooth functions by one order better; each of its values depends on all of the grid, by powers of
    √3 − 2 of the distance.

    Args:
        x: Shape (..., n0, n1, ...), with as many spatial axes, the last ones, as there are `places`.
        places: Along each of these axes, counted in points; all of one shape.
        kernel: "linear", "cubic" or "spline".
        edge: What lies beyond the points: zeros ("constant"), the last value ("nearest"), the same again ("wrap"), or a
            mirror, which stands on the last point ("mirror") or half a point beyond ("reflect").

    Returns:
        Shape (..., *shape of the places).

    References:
        Keys 1981, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29, 1153, eq. 15;
        Unser 1999, "Splines: a perfect fit for signal and image processing", IEEE Signal Proc. Mag. 16, 22, box 2.

    Examples:
        >>> parabola = jnp.arange(6.0) ** 2
        >>> interpolate(parabola, [jnp.array([2.0, 2.5])], "cubic").tolist()
        [4.0, 6.25]
        >>> interpolate(parabola, [jnp.array([2.0, 2.5, -1.0])], edge="wrap").tolist()
        [4.0, 6.5, 25.0]
    """
    beyond = 0
    if kernel == "spline":
        x, beyond = _coefficients(x, len(places), edge)
    weights, offsets = _WEIGHTS[kernel]
    taps = []  # along each axis (index, weight) of each point that counts, the weight zero outside
    for place, length in zip(places, x.shape[x.ndim - len(places) :], strict=True):
        first = jnp.floor(jax.lax.stop_gradient(place))
        indices = [first.astype(int) + k for k in offsets]
        taps.append(
            [(*_folded(i, length, beyond, edge), w) for i, w in zip(indices, weights(place - first), strict=True)]
        )
    terms = []
    for corner in itertools.product(*taps):
        weight = functools.reduce(jnp.multiply, [jnp.where(inside, w, 0) for _, inside, w in corner])
        terms.append(x[(..., *(i for i, _, _ in corner))] * weight)
    return functools.reduce(jnp.add, terms)


def _folded(
    index: Indices, length: int, beyond: int, edge: str
) -> tuple[Indices, Bool[Array, "..."] | Bool[np.ndarray, "..."] | bool]:
    """Where among `length` points, of which `beyond` are on each side of the grid, a point is found; and whether."""
    n = length - 2 * beyond
    if edge == "wrap":
        return index % n + beyond, True
    if edge in ("mirror", "reflect"):  # there and back, min(i, last − i) within a period
        period = max(2 * n - 2 * (edge == "mirror"), 1)
        index = index % period
        return index.clip(0, period - (edge == "reflect") - index) + beyond, True
    index = index + beyond
    return index.clip(0, length - 1), (index >= 0) & (index < length) if edge == "constant" else True


def _coefficients(x: Float[Array, "*batch"], axes: int, edge: str) -> tuple[Float[Array, "..."], int]:
    """Those of the B-splines at the points of a grid, and at as many beyond its edge as they differ from zero at."""
    beyond = int(np.ceil(np.log(jnp.finfo(x.dtype).eps) / np.log(-POLE)))
    for axis in range(x.ndim - axes, x.ndim):
        filtering = jnp.asarray(_filter(x.shape[axis], beyond, edge), x.dtype)
        x = jnp.moveaxis(jnp.tensordot(filtering, x, (1, axis), precision="highest"), 0, axis)
    return x, beyond


@functools.cache
def _filter(n: int, beyond: int, edge: str) -> np.ndarray:
    """From n values to coefficients at points −beyond to n + beyond − 1: √3 z^|i − j|, the inverse of (1, 4, 1)/6."""
    apart = np.arange(-beyond, n + beyond)[:, None] - np.arange(-2 * beyond, n + 2 * beyond)
    found, inside = _folded(np.arange(-2 * beyond, n + 2 * beyond), n, 0, edge)
    values = (found[:, None] == np.arange(n)) & np.asarray(inside)[..., None]  # of points beyond too
    return 3**0.5 * POLE ** np.abs(apart) @ values


def _linear(f: Array) -> tuple[Array, ...]:
    return 1 - f, f


def _cubic(f: Array) -> tuple[Array, ...]:
    return (
        ((2 - f) * f - 1) * f / 2,
        ((3 * f - 5) * f * f + 2) / 2,
        ((4 - 3 * f) * f + 1) * f / 2,
        (f - 1) * f * f / 2,
    )


def _spline(f: Array) -> tuple[Array, ...]:
    g = 1 - f
    return g * g * g / 6, ((3 * f - 6) * f * f + 4) / 6, ((3 * g - 6) * g * g + 4) / 6, f * f * f / 6


_WEIGHTS: dict[str, tuple[Callable[[Array], tuple[Array, ...]], tuple[int, ...]]] = {
    "linear": (_linear, (0, 1)),
    "cubic": (_cubic, (-1, 0, 1, 2)),
    "spline": (_spline, (-1, 0, 1, 2)),
}

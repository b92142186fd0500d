"""Nodes in a neighborhood of the identity, for symmetries that are wanted only that far."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import PRNGKeyArray

from equijax._validate import integer
from equijax.groups import Group
from equijax.groups.elements import Nodes, float_dtype
from equijax.groups.quadrature import cube_points


def chart_nodes(
    group: Group,
    n: int,
    window: float | Sequence[float],
    key: PRNGKeyArray | None = None,
    *,
    dtype: DTypeLike | None = None,
    method: str = "quasi",
) -> Nodes:
    """Nodes that fill a box about the identity in the coordinates of `group.coords`, with weights of the Haar measure.

    A box of rotations up to 30°, say, stands for a symmetry that is wanted only near the identity: a 6 is no 9. What
    lies beyond is cut off as it is at the edge of a window of scalings.

    Args:
        group: A connected group with coordinates, such as `groups.Affine(2).linear`.
        n: Number of nodes.
        window: Half the length of the box along each coordinate, one number or one a coordinate. Angles beyond π go
            around more than once.
        key: Moves the nodes at random.
        dtype: Of elements and weights.
        method: See `groups.quadrature.cube_points`.

    Raises:
        ValueError: If the group is not connected, or the window is not positive or has not one number a coordinate.

    Examples:
        >>> from equijax import groups
        >>> elements, weights = chart_nodes(groups.SO(2), 8, jnp.pi / 6)  # turns by up to 30°
        >>> print(elements.shape, round(float(weights.sum()) / (jnp.pi / 3), 5))
        (8, 2, 2) 1.0
    """
    if not all(part.dim for part in group.parts().values()):
        raise ValueError(f"group: expected a connected group, which coordinates cover, got {group}")
    half = np.broadcast_to(np.asarray(window, float), (group.dim,)) if np.ndim(window) == 0 else np.asarray(window)
    if half.shape != (group.dim,) or not ((half > 0) & np.isfinite(half)).all():
        raise ValueError(f"window: expected {group.dim} finite positive numbers for {group}, got {window}")
    dtype = float_dtype(dtype)
    points, weights = cube_points(method, integer("n", n, 1), group.dim, key, dtype)
    a = (2 * points - 1) * half.astype(points.dtype)
    volume = float(np.prod(2 * half))
    elements, density = _at(group, a)
    return jax.tree.map(lambda x: x.astype(dtype), (elements, weights * volume * density))


@functools.partial(jax.jit, static_argnums=0)
def _at(group, a):  # one program, where every operation on its own would be compiled too
    return group.from_coords(a), jnp.exp(group.log_haar_coords(a))

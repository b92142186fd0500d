"""The frame of cyclic sequences, `least_rotation`: where the one that comes first in the dictionary begins."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from equijax.frames.base import Info
from equijax.groups import Group, Shift
from equijax.numerics import tolerance


def least_rotation(group: Group, points: ArrayLike, mask: ArrayLike | None = None) -> tuple[Array, Array, Info]:
    """The shift to where the lexicographically least of all rotations of a sequence begins: its canonical form.

    g(x) = argmin_s (x[s], x[s + 1], …) in the order of a dictionary. With `frame_average` any f of sequences becomes a
    function of necklaces, sequences without a begin: cyclic groups acting on labels of loops, rings or polygons, which
    is C_n as `groups.Shift(n)`. Of order n² in memory for n entries. A periodic sequence has several such shifts, and
    the first one is taken: no harm for invariant results, and for others `Info.degenerate` says so.

    Args:
        group: groups.Shift(n) with step 1.
        points: The sequence (n, …), integers or real numbers; what comes after the first axis is compared in its order.
        mask: None.

    Returns:
        One element, its weight, and `Info`. The gap is the first difference between the least rotation and the next
        one, over the range of the numbers: 1 for n = 1, 0 where two are the same.

    Raises:
        ValueError: If the group is another one, the sequence has another length, or there is a mask.

    References:
        Zhou et al. 2024, arXiv:2402.17206, for structures of RNA whose loops have no begin.

    Examples:
        >>> from equijax import Symmetry, canonicalize, frames, groups, reps
        >>> symmetry = Symmetry(groups.Shift(5), inputs=reps.Shift(0), outputs=None)
        >>> first = lambda loops: loops  # any f
        >>> form = canonicalize(first, symmetry, frames.least_rotation)
        >>> [form(jnp.roll(jnp.array([3.0, 1, 2, 1, 4]), s)).tolist() for s in (0, 2)]
        [[1.0, 2.0, 1.0, 4.0, 3.0], [1.0, 2.0, 1.0, 4.0, 3.0]]
    """
    if not isinstance(group, Shift) or len(group.sizes) != 1 or group.step != 1:
        raise ValueError(f"group: least_rotation is a frame of groups.Shift(n) with step 1, got {group}")
    points = jnp.asarray(points)
    n = group.sizes[0]
    if points.ndim < 1 or len(points) != n or mask is not None:
        raise ValueError(f"points: expected a sequence of {n} entries and no mask, got shape {points.shape}")
    rows = points.reshape(n, -1)
    starts = jnp.arange(n)
    rotations = rows[(starts[:, None] + starts) % n].reshape(n, -1)  # one that begins at each entry
    order = jnp.lexsort(rotations.T[::-1])  # the last key counts most
    least, second = rotations[order[0]], rotations[order[min(1, n - 1)]]
    dtype = jnp.promote_types(points.dtype, jnp.float32)
    apart = jnp.abs(second.astype(dtype) - least.astype(dtype))
    spread = jnp.max(rows.astype(dtype)) - jnp.min(rows.astype(dtype))
    # where they differ first
    gap = apart[jnp.argmax(apart > 0)] / jnp.where(spread > 0, spread, 1)
    gap = jnp.ones_like(gap) if n == 1 else gap
    bad = ~jnp.all(jnp.isfinite(rows), axis=-1)
    row = jnp.where(jnp.any(bad), jnp.argmax(bad), -1).astype(jnp.int32)
    degenerate = ~(gap >= tolerance(dtype, 1e-4, 1e-8)) | (row >= 0)
    count = jnp.asarray(n, jnp.int32)
    return (
        order[:1, None].astype(starts.dtype),
        jnp.ones(1, dtype),
        Info(gap, jnp.ones_like(count), degenerate, count, row),
    )

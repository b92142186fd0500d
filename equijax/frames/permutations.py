"""The frame of permutations, `sorting`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from equijax._validate import floating, integer
from equijax.frames.base import Info, about_center
from equijax.groups import Group, Permutation
from equijax.groups.quadrature import kronecker
from equijax.numerics import matmul


def sorting(
    group: Group,
    points: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    directions: int | None = None,
    noise: ArrayLike | None = None,
) -> tuple[Int[Array, "K n"], Float[Array, " K"], Info]:
    """The permutation that sorts rows of keys, by the first column and at ties by those after it.

    One permutation. It is exact unless two rows of keys are equal while other data of the two differ: where rows are
    equal, `degenerate` is true. It jumps where keys cross. With `directions`, that many permutations, which sort X a_k
    for fixed unit vectors a_k: still exact, and with jumps that shrink as one over their number. Points that are not
    valid come last.

    Args:
        group: Permutation(n).
        points: Keys, shape (n, q).
        mask: Which rows are valid, shape (n,).
        directions: Number of directions to sort along, instead of by columns.
        noise: Random numbers of shape (K, n) that decide between equal rows: K permutations, right in expectation.

    Returns:
        Permutations (K, n), weights (K,), and `Info`, whose gap is the smallest difference in the first column, or
        along a direction, over the largest.

    References:
        Dym, Lawrence and Siegel 2024, arXiv:2402.16077, section 3.

    Raises:
        TypeError: If the keys are not real floating-point numbers.
        ValueError: If the group is another one, a shape is wrong, or both `directions` and `noise` are given.

    Examples:
        >>> from equijax import groups
        >>> order, weights, info = sorting(groups.Permutation(3), jnp.array([[2.0], [0.0], [1.0]]))
        >>> print(order, weights, info.degenerate)
        [[1 2 0]] [1.] False
    """
    if not isinstance(group, Permutation):
        raise ValueError(f"group: sorting is a frame of permutations, got {group}; see frames.product and frames.pca")
    points = floating("points", points)
    if points.ndim != 2 or len(points) != group.n:
        raise ValueError(f"points: expected keys of shape ({group.n}, q), got {points.shape}")
    if directions is not None and noise is not None:
        raise ValueError("noise: decides between equal rows of columns, not along directions; pass one of the two")
    keys, valid, _, info = about_center(points, mask, points.shape[1], False)
    if directions is None:
        breakers = jnp.zeros((1, group.n)) if noise is None else floating("noise", noise)
        if breakers.ndim != 2 or breakers.shape[1] != group.n:
            raise ValueError(f"noise: expected shape (K, {group.n}), got {breakers.shape}")
        columns = [*reversed(list(keys.T)), ~valid]  # the last is the most important
        order = jax.vmap(lambda breaker: jnp.lexsort([breaker, *columns]))(breakers)  # (K, n)
        sorted_keys, first = keys[order], keys[order][..., 0]
    else:
        along = matmul(_directions(integer("directions", directions, 1), keys.shape[1]).astype(keys.dtype), keys.T)
        order = jnp.argsort(jnp.where(valid, along, jnp.inf), axis=-1)
        first = jnp.take_along_axis(along, order, axis=-1)
        sorted_keys = first[..., None]
    # ties, and the smallest step between neighbors, (K, n − 1) of each
    both = valid[order][:, 1:]  # valid rows come first
    tied = jnp.any(both & jnp.all(sorted_keys[:, 1:] == sorted_keys[:, :-1], axis=-1))
    steps = jnp.where(both, jnp.diff(first, axis=-1), jnp.inf)
    span = jnp.max(jnp.where(both, first[:, 1:] - first[:, :1], 0), initial=0)
    gap = jnp.min(jnp.where(both, steps / jnp.where(span > 0, span, 1), 1), initial=1)
    info = info._replace(gap=gap, degenerate=info.degenerate | tied | jnp.isnan(gap))
    return order, jnp.full(len(order), 1 / len(order), keys.dtype), info


@functools.cache
def _directions(count: int, q: int) -> np.ndarray:
    """Quasi-random unit vectors, (count, q)."""
    normal = scipy.special.ndtri(kronecker(count, q))
    return normal / np.linalg.norm(normal, axis=-1, keepdims=True)

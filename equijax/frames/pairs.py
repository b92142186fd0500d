"""The weighted frame of pairs of points, `weighted_pairs`: continuous at every input."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import integer
from equijax.frames.base import Info, Rotations, from_rotations, of_radius_one, radius, rank, zero_length
from equijax.groups import Element, Group
from equijax.numerics import completion, matmul, unit_across


def weighted_pairs(
    group: Group, points: ArrayLike, mask: ArrayLike | None = None, *, anchors: int = 0, power: int = 2
) -> tuple[Element, Float[Array, " K"], Info]:
    """Frames [e_i, f_ij, e_i × f_ij] of all pairs of points, weighted so that averages are continuous everywhere.

        e_i = x_i / ‖x_i‖ ,   w_i ∝ ‖x_i‖ᵖ ;   f_ij = y_ij / ‖y_ij‖ ,   w_ij ∝ ‖y_ij‖ᵖ ,   y_ij = x_j − (x_j·e_i) e_i .

    The weight of a pair is w_i w_ij, with Σ_i w_i = 1 and Σ_j w_ij = 1 for each i; ‖x_i × x_j‖ᵖ in its place would not
    be continuous at points on a line. For O(3) each comes with both signs of the last axis c, its weight divided in
    proportion to Σ_k max(± x_k·c, 0)ᵖ. K = n(n − 1) for SO(3), n(n − 1)⋯(n − d + 2) for SO(d), twice that for O(d).
    Points that are not valid have weight 0.

    Invariant results are exact and continuous at every input, also where principal axes are not defined, with
    continuous gradients except at points on a line. Vectors are exact too, unless the points span fewer than d − 1
    dimensions (then `degenerate`), and continuous for SO(d) where they span d − 1, for O(d) where they span d; see
    `span_head` and `span_projection`.

    Args:
        group: SO(d), O(d), SE(d), E(d), Similarity(d), or the like about an axis, with d > 1.
        points: Shape (n, d).
        mask: Which points are valid, shape (n,).
        anchors: For many points: take pairs not of the points but of that many sums of them, Σ_i ψ_m(‖x_i‖) x_i with
            ψ_m(r) = exp(−(2 r / m)²) and r over the root mean square radius. 0 takes the points themselves. The sums
            vanish for sets with an inversion center; `gap` is their size.
        power: The even p.

    Returns:
        Elements along an axis K, weights (K,), and `Info`.

    References:
        Dym, Lawrence and Siegel 2024, arXiv:2402.16077, section 4; Pozdnyakov and Ceriotti 2023, arXiv:2305.19302.

    Examples:
        >>> from equijax import groups
        >>> points = jnp.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
        >>> rotations, weights, info = weighted_pairs(groups.SO(3), points)
        >>> rotations.shape, int(jnp.sum(weights > 0))  # a point at the origin has no direction
        ((12, 3, 3), 6)
    """
    integer("anchors", anchors)
    if integer("power", power, 2) % 2:
        raise ValueError(f"power: expected an even number, got {power}")
    pairs = functools.partial(_pairs, anchors=anchors, power=power)
    return from_rotations("weighted_pairs", group, points, mask, pairs, least=2)


def _pairs(points, valid, proper, anchors, power):
    """All tuples of d − 1 points, or of anchors, their axes and weights; the last axis is across those."""
    d = points.shape[-1]
    gap, sources, known = jnp.ones((), points.dtype), points, valid
    if anchors:
        sources = _anchors(points, valid, max(anchors, d - 1))
        known = jnp.ones(len(sources), bool)
        gap = jnp.minimum(jax.lax.stop_gradient(radius(sources, known)), 1)
        sources = of_radius_one(sources, known)
    weights, axes = _levels(sources, jnp.ones(len(sources), bool), known, jnp.zeros((0, d), points.dtype), power)
    tuples = np.array(list(itertools.permutations(range(len(sources)), d - 1))).T  # repeated points have weight 0
    weights, axes = weights[tuple(tuples)], axes[tuple(tuples)]  # (tuples,) and (tuples, d − 1, d)
    last = completion(axes)
    if proper:
        matrices = jnp.concatenate([axes, last[:, None]], axis=1)
    else:
        weights, last = _both_signs(weights, last, points, power)
        matrices = jnp.concatenate([jnp.concatenate([axes, axes]), last[:, None]], axis=1)
    return Rotations(jnp.swapaxes(matrices, 1, 2), weights, gap, rank(points), rank(sources) < d - 1)


def _levels(rest, free, valid, axes, power):
    """Weights (n, ..., n) and axes (n, ..., n, d − 1, d) of all tuples of points, for what is left across `axes`."""
    d, tiny = rest.shape[-1], zero_length(rest.dtype)
    square = jnp.sum(jnp.square(rest), axis=-1)
    strength = _power(jnp.where(free & (square > tiny**2), square, 0), power // 2)
    equal = jnp.where(jnp.any(free & valid), free & valid, free).astype(rest.dtype)  # all are at zero
    strength = jnp.where(jnp.sum(strength) > 0, strength, equal)
    weights = strength / jnp.sum(strength)
    directions = unit_across(rest, axes, tiny)

    def deeper(index, direction):
        found = jnp.concatenate([axes, direction[None]])
        if len(found) == d - 1:
            return jnp.ones((), rest.dtype), found
        left = rest - matmul(rest, direction)[:, None] * direction
        return _levels(left, free.at[index].set(False), valid, found, power)

    below, found = jax.vmap(deeper)(jnp.arange(len(rest)), directions)
    return weights.reshape(-1, *[1] * (below.ndim - 1)) * below, found


def _both_signs(weights, last, points, power):
    """Weights (2 K,) and last axes (2 K, d): either sign, weighted by the points on its side."""
    height = matmul(points, last.T)
    height = jnp.where(jnp.abs(height) > zero_length(points.dtype), height, 0)
    powers = _power(jnp.abs(height), power)
    up, down = (jnp.sum(jnp.where(side > 0, powers, 0), axis=0) for side in (height, -height))
    flat = up + down == 0
    share = jnp.where(flat, 0.5, up / jnp.where(flat, 1, up + down))
    return jnp.concatenate([weights * share, weights * (1 - share)]), jnp.concatenate([last, -last])


def _power(x, power):
    """x to a power, up to a factor for each column that keeps the largest from overflow."""
    largest = jax.lax.stop_gradient(jnp.max(x, axis=0))
    return (x / jnp.where(largest > 0, largest, 1)) ** power


def _anchors(points, valid, count):
    """Σ_i exp(−(2 ‖x_i‖ / m)²) x_i / n  for m = 1, ..., count, shape (count, d)."""
    square = jnp.sum(jnp.square(points), axis=-1)[:, None]
    width = (jnp.arange(1, count + 1, dtype=points.dtype) / 2) ** 2
    return matmul((valid[:, None] * jnp.exp(-square / width)).T, points) / jnp.maximum(jnp.sum(valid), 1)

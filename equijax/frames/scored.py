"""Frames of finite groups, from a score of each element."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equijax._validate import floating
from equijax.frames.pose import Info
from equijax.groups import Group


def scored(
    group: Group, scores: Any, mask: Any = None, *, hard: bool = False
) -> tuple[Any, Float[Array, " order"], Info]:
    """All elements of a finite group, weighted by the softmax of scores that an equivariant network gives them.

    The scores move as functions on the group do, `reps.Regular(group)`. With `heaviest`, a learned pose. The average
    over all elements, with equal scores, is `group_average`.

    Args:
        group: A finite group with a table of elements.
        scores: Shape (order,), in the order of `group.elements()`.
        mask: Must be None.
        hard: Weight 1 for the largest score, with the gradient of the softmax (straight-through). Not with `samples` of
            `frame_average`: these never draw the other elements, so that their part of the gradient is missing.

    Returns:
        All elements, weights (order,), and `Info`, whose gap is the difference of the two largest weights.
    """
    elements = group.elements() if isinstance(group, Group) else None
    if elements is None:
        raise ValueError(f"group: scored is a frame of finite groups with a table of elements, got {group}")
    scores = floating("scores", scores)
    if scores.shape != (group.order,) or mask is not None:
        raise ValueError(
            f"scores: expected shape ({group.order},), one score an element of {group}, and no mask, got {scores.shape}"
        )
    weights = jax.nn.softmax(scores.astype(jnp.promote_types(scores.dtype, jnp.float32)))
    largest = jnp.arange(group.order) == jnp.argmax(weights)
    gap = jnp.max(weights) - jnp.max(jnp.where(largest, 0, weights))
    row = jnp.argmax(~jnp.isfinite(scores)).astype(jnp.int32)
    finite = jnp.all(jnp.isfinite(scores))
    one, order = jnp.ones((), jnp.int32), jnp.asarray(group.order, jnp.int32)
    info = Info(gap, one, ~finite | (hard & ~(gap > 0)), order, jnp.where(finite, -1, row))
    if hard:
        weights = largest + weights - jax.lax.stop_gradient(weights)
    return elements, weights, info

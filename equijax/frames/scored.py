"""The frame of a finite group from a score of each element, `scored`."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import floating
from equijax.frames.base import Info
from equijax.groups import Element, Group


def scored(
    group: Group, scores: ArrayLike, mask: None = None, *, hard: bool = False
) -> tuple[Element, Float[Array, " order"], Info]:
    """All elements of a finite group, weighted by the softmax of scores that an equivariant network gives them.

    The scores move as functions on the group do, `reps.Regular(group)`. `heaviest(scored)` is a single pose, which the
    network chooses. With equal scores the average over this frame is `group_average`.

    Args:
        group: A finite group with a table of elements.
        scores: Shape (order,), in the order of `group.elements()`.
        mask: Must be None.
        hard: Weight 1 for the largest score and 0 for the others, with the gradient of the softmax (straight-through).
            Not to be used with `samples` of `frame_average`, which never draws the other elements, so that their share
            of the gradient is missing.

    Returns:
        All elements, weights (order,), and `Info`, whose gap is the difference of the two largest weights.

    Raises:
        TypeError: If the scores are not real floating-point numbers.
        ValueError: If the group is not finite, there is not one score an element, or there is a mask.

    Examples:
        >>> from equijax import groups
        >>> elements, weights, info = scored(groups.Cyclic(3), jnp.log(jnp.array([1.0, 1.0, 2.0])))
        >>> elements.shape, weights.tolist()
        ((3, 2, 2), [0.25, 0.25, 0.5])
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

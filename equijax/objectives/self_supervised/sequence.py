"""Sequences of views: what was seen, and how the view moved, tell what is seen next."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import floating
from equijax.numerics import AxisName
from equijax.objectives.self_supervised.pairs import pair
from equijax.objectives.self_supervised.siamese import cosine_distance, spread_of


def seq_jepa(
    codes: ArrayLike,
    actions: ArrayLike,
    target: ArrayLike,
    aggregate: Callable[[Array], Array],
    predict: Callable[[Array], Array],
    *,
    axis_name: AxisName = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """mean (1 − cos(predict([s, a_M]), t̄)) with s = aggregate of the tokens [f(x_m), a_m]: the code of the next view.

    Actions a_m lead from view m to view m + 1; the token of the last view has none, so that s does not know where to
    look next, and is what is left when views are put together. f(x) is equivariant, s invariant, and no other term says
    so. No gradient flows into the target, which is of an encoder whose parameters are a moving average, see
    `siamese_cosine`.

    Args:
        codes: f(x_1), ..., f(x_M), (rows, M, size).
        actions: a_1, ..., a_M, (rows, M, channels): embedded actions, such as a dense layer without bias of all entries
            of the matrices that lead from view to view.
        target: f̄ of view M + 1, (rows, target size).
        aggregate: From tokens (rows, M, size + channels) to s, with its parameters; `nn.TokenAggregator` does not see
            their order.
        predict: From [s, a_M] to predictions of the target, with its parameters.
        axis_name: Axis of devices over which rows are spread.

    Returns:
        The loss, from 0 to 2; and as a term "spread" of the targets, as for `siamese_cosine`.

    Raises:
        TypeError: If codes, actions or targets are not real floating-point numbers.
        ValueError: If there is not one action a view, or shapes do not fit.

    References:
        Ghaemi, Muller and Bakhtiari 2025, "seq-JEPA: autoregressive predictive learning of invariant-equivariant world
        models", arXiv:2505.03176; with actions of any group.

    Examples:
        >>> codes, actions = jnp.ones((4, 3, 8)), jnp.ones((4, 3, 2))
        >>> loss, _ = seq_jepa(codes, actions, jnp.ones((4, 8)), lambda t: t.mean(1)[:, :8], lambda x: x[:, :8])
        >>> print(abs(loss) < 1e-6)
        True
    """
    tokens = sequence_tokens(codes, actions)
    last = floating("actions", actions)[:, -1]
    found = predict(jnp.concatenate([aggregate(tokens), last], axis=-1))
    found, goal = pair(found, target, axis_name, names=("predict", "target"))
    goal = jax.lax.stop_gradient(goal)
    return cosine_distance(found, goal), {"spread": spread_of(goal)}


def sequence_tokens(codes: ArrayLike, actions: ArrayLike) -> Float[Array, "rows views channels"]:
    """Tokens [f(x_m), a_m] of views, (rows, M, size + channels); the action of the last one is zero.

    Raises:
        TypeError: If codes or actions are not real floating-point numbers.
        ValueError: If there is no view, or not one action a view.

    Examples:
        >>> sequence_tokens(jnp.ones((1, 2, 1)), 3 * jnp.ones((1, 2, 1))).tolist()
        [[[1.0, 3.0], [1.0, 0.0]]]
    """
    codes, actions = floating("codes", codes), floating("actions", actions)
    if codes.ndim != 3 or actions.ndim != 3 or codes.shape[:2] != actions.shape[:2] or not codes.shape[1]:
        raise ValueError(
            "actions: expected one for each view, that of the last one to the target, shape (rows, M, channels) for "
            f"codes (rows, M, size), got {actions.shape} for {codes.shape}"
        )
    return jnp.concatenate([codes, actions.at[:, -1].set(0)], axis=-1)

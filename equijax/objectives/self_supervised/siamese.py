"""Siamese networks: one view predicts the other's code, which does not learn from it."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.numerics import AxisName, unit
from equijax.objectives.self_supervised.pairs import pair


def siamese_cosine(
    p1: ArrayLike, p2: ArrayLike, t1: ArrayLike, t2: ArrayLike, *, axis_name: AxisName = None
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """½ mean (1 − cos(p, t̄′)) + ½ mean (1 − cos(p′, t̄)): each view predicts the target code of the other one.

    No gradient flows into targets. They are codes by the same encoder, or by one whose parameters are a moving average,
    θ̄ ← d θ̄ + (1 − d) θ, as `optax.incremental_update(θ, θ̄, 1 − d)` makes it, with d of `target_decay`; in
    `training.fit` θ̄ is the `carry`. Without the predictor between z and p, and with targets that learn, codes
    collapse.

    Args:
        p1: Predictions from one view, (rows, size): predictor(z).
        p2: Those from the other view.
        t1: Targets from the first view, which `p2` predicts.
        t2: Targets from the other view, which `p1` predicts.
        axis_name: Axis of devices over which rows are spread.

    Returns:
        The loss, from 0 to 2; and as a term "spread", the mean standard deviation of the coordinates of unit targets
        times √size: about 1 where they are spread evenly, 0 where they have collapsed.

    Raises:
        TypeError: If codes are not real floating-point numbers.
        ValueError: If shapes differ.

    References:
        Chen and He 2021, "Exploring simple siamese representation learning", arXiv:2011.10566, equations 1 and 2; Grill
        et al. 2020, "Bootstrap your own latent", arXiv:2006.07733.

    Examples:
        >>> z = jnp.eye(4)
        >>> print(siamese_cosine(z, z, z, z)[0], siamese_cosine(-z, -z, z, z)[0])
        0.0 2.0
    """
    p1, t2 = pair(p1, t2, axis_name, names=("p1", "t2"))
    p2, t1 = pair(p2, t1, axis_name, names=("p2", "t1"))
    p1, p2 = pair(p1, p2, names=("p1", "p2"))
    t1, t2 = (jax.lax.stop_gradient(t) for t in (t1, t2))
    return (cosine_distance(p1, t2) + cosine_distance(p2, t1)) / 2, {"spread": spread_of(t1)}


def target_decay(share: ArrayLike, start: float = 0.996) -> Float[Array, "..."]:
    """1 − (1 − d₀)(cos(πs) + 1)/2: the decay of a moving average of parameters, from d₀ at the begin to 1 at the end.

    Args:
        share: s, how much of the run is done, from 0 to 1.
        start: d₀.

    Raises:
        ValueError: If d₀ is not from 0 to 1.

    References:
        Grill et al. 2020, "Bootstrap your own latent", arXiv:2006.07733, section 3.2.

    Examples:
        >>> print(target_decay(jnp.array([0.0, 0.5, 1.0]), start=0.9))
        [0.9  0.95 1.  ]
    """
    if not 0 <= start <= 1:
        raise ValueError(f"start: expected a decay from 0 to 1, got {start}")
    return 1 - (1 - start) * (jnp.cos(jnp.pi * _validate.floating("share", share)) + 1) / 2


def cosine_distance(p: Float[Array, "rows size"], t: Float[Array, "rows size"]) -> Float[Array, ""]:
    """mean (1 − cos(p, t)) over the rows; 1 where one of them is zero."""
    return jnp.mean(1 - jnp.sum(unit(p)[0] * unit(t)[0], axis=-1))


def spread_of(t: Float[Array, "rows size"]) -> Float[Array, ""]:
    """√size times the mean standard deviation of the coordinates of unit vectors: about 1 where they are spread."""
    return jnp.mean(jnp.std(unit(t)[0], axis=0)) * t.shape[1] ** 0.5

"""Is a prediction from features the same in every environment? Heads of least squares, one for each."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from equijax.measures.probe import ridge
from equijax.measures.samples import in_single_or_better
from equijax.numerics import AxisName, global_batch, norm


class EnvironmentInvariance(NamedTuple):
    """How much the best linear heads of environments differ."""

    heads: Float[Array, "environments features+1 outputs"]
    """β_e: weights and, in the last row, the bias."""
    distance: Float[Array, ""]
    """max ‖β_e − β_e′‖ over pairs of environments."""
    excess: Float[Array, " environments"]
    """Mean squared error of the head of all environments together, minus that of their own: zero or more."""
    violations: Float[Array, ""]
    """Share of the held-out environments whose excess over their own heads is above the tolerance."""
    constant: Int[Array, ""]
    """How often a feature is constant in an environment: its weight there is zero."""


def environment_invariance(
    features: ArrayLike,
    target: ArrayLike,
    *,
    held_out: tuple[ArrayLike, ArrayLike] | None = None,
    tolerance: int | float = 0.1,
    axis_name: AxisName = None,
) -> EnvironmentInvariance:
    """How far from invariant E[y | φ] is over environments e, by the heads β_e of least squares on features φ.

    A head that is invariant on a few random interventions is so on most that were not seen: `violations` counts those
    where it is not.

    Args:
        features: φ of shape (environments, samples, features), more samples than features.
        target: y of shape (environments, samples), or (environments, samples, outputs).
        held_out: Features and targets of other environments, for `violations`; by default the same.
        tolerance: ε, in units of the target squared, that the excess there may have.
        axis_name: Mesh axis over which the environments are spread.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If shapes do not fit, or the samples do not determine a head.

    References:
        Arjovsky et al. 2019, arXiv:1907.02893.

    Examples:
        >>> x = jax.random.normal(jax.random.key(0), (3, 20, 1))
        >>> same = environment_invariance(x, 2 * x[..., 0])
        >>> turned = environment_invariance(x, jnp.array([1.0, 1.0, -1.0])[:, None] * x[..., 0])
        >>> print(same.distance < 1e-5, same.violations, turned.distance.round(3), turned.violations > 0)
        True 0.0 2.0 True
    """
    x, y = _environments("features", features, "target", target, axis_name)
    others = x, y
    if held_out is not None:
        others = _environments("held_out[0]", held_out[0], "held_out[1]", held_out[1], axis_name)
        if [a.shape[-1] for a in others] != [x.shape[-1], y.shape[-1]]:
            raise ValueError(
                f"held_out: expected {x.shape[-1]} features and {y.shape[-1]} outputs, as there are to learn from, "
                f"got {others[0].shape[-1]} and {others[1].shape[-1]}"
            )
    heads = jax.vmap(lambda x, y: ridge(x, y, penalty=0.0))
    own, pooled = heads(x, y), ridge(x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]), penalty=0.0)
    beta = jnp.concatenate([own.kernel, own.bias[:, None]], axis=1)
    excess = _excess(pooled, own, x, y)
    away = excess if held_out is None else _excess(pooled, heads(*others), *others)
    return EnvironmentInvariance(
        heads=beta,
        distance=jnp.max(norm(beta[:, None] - beta, axis=(-2, -1))),
        excess=excess,
        violations=jnp.mean(away > tolerance, dtype=x.dtype),
        constant=jnp.sum(own.constant),
    )


def _excess(pooled, own, x, y):
    """Risk of one head in each environment minus that of the environment's own."""
    risk = lambda head, x, y: jnp.mean(jnp.sum((head(x) - y) ** 2, axis=-1))  # noqa: E731
    return jax.vmap(lambda head, x, y: risk(pooled, x, y) - risk(head, x, y))(own, x, y)


def _environments(first, features, second, target, axis_name):
    x, y = in_single_or_better(first, features), in_single_or_better(second, target)
    y = y[..., None] if y.ndim == 2 else y
    if x.ndim != 3 or y.ndim != 3 or x.shape[:2] != y.shape[:2] or not x.size:
        raise ValueError(
            f"{first}, {second}: expected shapes (environments, samples, features) and (environments, samples), "
            f"got {jnp.shape(features)} and {jnp.shape(target)}"
        )
    return global_batch(x, axis_name), global_batch(y, axis_name)

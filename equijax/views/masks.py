"""Masks of patches that hang together: a Cox process, whose intensity is a random field."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from equijax._validate import random_key
from equijax.views.fields import gaussian_field

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(64)  # means over N(0, 1)


def cox_mask(
    key: PRNGKeyArray,
    shape: tuple[int, int],
    *,
    ratio: ArrayLike = 0.5,
    deviation: ArrayLike = 1.0,
    exponent: int | float = 4.0,
) -> Bool[Array, "rows columns"]:
    """True where a log-Gaussian Cox process has points: patches to hide, in clusters.

    Λ = exp(μ + σφ) with a `gaussian_field` φ, a Poisson number of points of mean Λ for each patch, hidden if there is
    any; μ is `cox_mean`, so that a patch is hidden with the probability `ratio`.

    Args:
        shape: Of the grid of patches.
        ratio: Of patches that are hidden, on average over masks; may be traced.
        deviation: σ, may be traced. The larger, the more a mask hides in one place and the more masks differ in size; 0
            hides every patch on its own.
        exponent: γ of the field.

    Raises:
        ValueError: If the ratio is not between 0 and 1, σ is negative, or a side has less than two patches.

    Examples:
        >>> masks = jax.vmap(lambda key: cox_mask(key, (8, 8), ratio=0.3))(jax.random.split(jax.random.key(0), 500))
        >>> masks.shape, 0.28 < float(masks.mean()) < 0.32
        ((500, 8, 8), True)
    """
    return cox_counts(key, shape, cox_mean(ratio, deviation), deviation=deviation, exponent=exponent) > 0


def cox_counts(
    key: PRNGKeyArray, shape: tuple[int, int], mu: ArrayLike, *, deviation: ArrayLike = 1.0, exponent: int | float = 4.0
) -> Int[Array, "rows columns"]:
    """Points of the process in each patch; on average exp(μ + σ²/2) in each.

    Examples:
        >>> cox_counts(jax.random.key(0), (4, 4), -1.0).shape
        (4, 4)
    """
    key_field, key_count = jax.random.split(random_key("key", key))
    phi = gaussian_field(key_field, shape, exponent=exponent)
    return jax.random.poisson(key_count, jnp.exp(jnp.asarray(mu, phi.dtype) + jnp.asarray(deviation, phi.dtype) * phi))


def cox_mean(ratio: ArrayLike, deviation: ArrayLike = 1.0) -> Float[Array, "*batch"]:
    """The μ for which E[1 − exp(−exp(μ + σφ))] = ratio with φ of N(0, 1), by bisection.

    Raises:
        ValueError: If the ratio is not between 0 and 1, or σ is negative.

    Examples:
        >>> print(cox_mean(1 - jnp.exp(-2.0), 0.0).round(5), jnp.log(2.0).round(5))  # 1 − exp(−e^μ)
        0.69315 0.69315
    """
    known = not isinstance(ratio, jax.core.Tracer)
    if known and not np.all((np.asarray(ratio) > 0) & (np.asarray(ratio) < 1)):
        raise ValueError(f"ratio: expected numbers between 0 and 1, got {ratio}")
    if not isinstance(deviation, jax.core.Tracer) and np.any(np.asarray(deviation) < 0):
        raise ValueError(f"deviation: expected zero or more, got {deviation}")
    ratio = jnp.asarray(ratio, jnp.result_type(ratio, float))
    deviation = jnp.asarray(deviation, ratio.dtype)
    nodes, weights = deviation * jnp.asarray(_NODES, ratio.dtype), jnp.asarray(_WEIGHTS / _WEIGHTS.sum(), ratio.dtype)

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        hidden = jnp.sum(weights * -jnp.expm1(-jnp.exp(middle[..., None] + nodes)), axis=-1)
        return jnp.where(hidden < ratio, middle, low), jnp.where(hidden < ratio, high, middle)

    edge = jnp.broadcast_to(30 + 8 * deviation, ratio.shape)
    return jax.lax.fori_loop(0, 60, halve, (-edge, edge))[0]

"""Strengths of several penalties that tune themselves: groups that the data do not have lose theirs."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Strengths(NamedTuple):
    """Strengths λ of penalties with what is needed to tune them; a pytree, to be kept with the optimizer's state."""

    values: Float[Array, " groups"]
    """λ, the factor of each penalty in the loss."""
    smallest: Float[Array, " groups"]
    """Smallest value of each penalty since `start`."""
    step: Int[Array, ""]
    """Number of calls of `tune`."""


def equal_strengths(groups: int, value: float = 1.0) -> Strengths:
    """The same strength for each of so many groups.

    Examples:
        >>> equal_strengths(3, 0.5).values.tolist()
        [0.5, 0.5, 0.5]
    """
    return Strengths(jnp.full(groups, value), jnp.full(groups, jnp.inf), jnp.zeros((), int))


def tune(
    strengths: Strengths,
    penalties: Float[Array, " groups"],
    *,
    start: int,
    at: int,
    power: float = 2.0,
    floor: float = 1e-6,
) -> Strengths:
    """The strengths after one more training step. At the step `at` each is divided, once, by what its penalty resisted:

        λ_i ← λ_i / (r_i / min_j r_j)^power ,   r_i = max(smallest R_i of the steps start ≤ t < at, floor · max_j) ,

    with the minimum over groups with λ_j > 0. Call it once a step. The penalty of a symmetry that the data have falls
    to zero, that of another does not: its strength becomes (floor)^power of what it was at least. Put a zero strength
    for a group that contains the others. If all r are about equal, the penalties had not settled: start with larger
    strengths, or tune later. Compiles into the training step.

    Args:
        strengths: Those of `equal_strengths`, or of the last step.
        penalties: R, of `projection_penalties`, at this step.
        start: First step whose penalties count; those of the warm-up before it do not.
        at: The step at which the strengths change.
        power: How sharply.
        floor: Least r relative to the largest.

    Raises:
        ValueError: If `start` is not before `at`, or there is not one penalty a strength.

    References:
        Kim et al. 2023, arXiv:2306.00356, section 4.

    Examples:
        The first penalty has fallen to zero, the second has not: the data do not have the second symmetry.

        >>> strengths = equal_strengths(2)
        >>> for penalties in ([1.0, 1.0], [1e-6, 1.0], [1e-6, 1.0]):
        ...     strengths = tune(strengths, jnp.array(penalties), start=0, at=2, power=1.0)
        >>> [f"{value:.0e}" for value in strengths.values.tolist()]
        ['1e+00', '1e-06']
    """
    if not 0 <= start < at:
        raise ValueError(f"start, at: expected 0 <= start < at, got {start} and {at}")
    values, smallest, step = strengths
    if jnp.shape(penalties) != values.shape:
        raise ValueError(f"penalties: expected shape {values.shape}, one a strength, got {jnp.shape(penalties)}")
    # what counts so far: the smallest value of each penalty
    counts = (step >= start) & (step < at)
    smallest = jnp.where(counts, jnp.fmin(smallest, penalties), smallest)
    # r, at least `floor` times the largest, and one for all where every penalty is zero
    r = jnp.where(jnp.isfinite(smallest), smallest, 1.0)
    active = values > 0
    largest = jnp.max(jnp.where(active, r, 0.0))
    r = jnp.where(largest > 0, jnp.maximum(r, floor * largest), 1.0)
    least = jnp.min(jnp.where(active, r, jnp.inf))
    tuned = jnp.where(active, values * (least / r) ** power, values)
    return Strengths(jnp.where(step == at, tuned, values), smallest, step + 1)

"""Periodic grids, the axes before the last one: the phases that a stride can begin at, and shifts that are traced."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped


def phase_energies(x: Float[Array, "..."], strides: Sequence[int]) -> Float[Array, "..."]:
    """Σ x[a::p, b::q]² for each phase (a, b) of strides (p, q), summed in float32 or better.

    Args:
        x: Shape (..., height, width, channels), or with as many spatial axes as there are strides, which divide them.
        strides: One for each spatial axis.

    Returns:
        Shape (..., p, q).

    Examples:
        >>> phase_energies(jnp.array([1.0, 2, 3, 4])[:, None], [2]).tolist()  # 1² + 3², 2² + 4²
        [10.0, 20.0]
    """
    n = len(strides)
    batch, lengths = x.ndim - n - 1, x.shape[-n - 1 : -1]
    split = [k for length, p in zip(lengths, strides, strict=True) for k in (length // p, p)]
    # (..., height / p, p, width / q, q, channels) -> (..., p, q)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32)).reshape(*x.shape[:batch], *split, x.shape[-1])
    return jnp.sum(jnp.square(x), axis=(*range(batch, x.ndim - 1, 2), x.ndim - 1))


def largest_phase(energies: Float[Array, "..."], axes: int) -> tuple[Int[Array, "... axes"], Float[Array, "..."]]:
    """Where the largest of energies (..., p, q) is, as integers (..., axes), the first one where several are largest;
    and its margin: 1 minus the second largest over the largest, 1 where there is one phase, 0 where all are zero.

    Examples:
        >>> phase, margin = largest_phase(jnp.array([[1.0, 3.0], [4.0, 2.0]]), 2)
        >>> phase.tolist(), float(margin)
        ([1, 0], 0.25)
    """
    counts = energies.shape[energies.ndim - axes :]
    flat = jax.lax.stop_gradient(energies).reshape(*energies.shape[: energies.ndim - axes], -1)
    index = jnp.argmax(flat, axis=-1)
    largest = jnp.max(flat, axis=-1)
    others = jnp.where(jnp.arange(flat.shape[-1]) == index[..., None], 0, flat)
    margin = jnp.where(largest > 0, 1 - jnp.max(others, axis=-1) / jnp.where(largest > 0, largest, 1), 0)
    single = flat.shape[-1] == 1
    return jnp.stack(jnp.unravel_index(index, counts), axis=-1), jnp.ones_like(margin) if single else margin


def roll(x: Shaped[Array, "..."], shift: Int[Array, "*batch axes"]) -> Shaped[Array, "..."]:
    """`jnp.roll` along the axes before the last one by traced shifts: one gather.

    Args:
        x: Shape (*batch, height, width, channels), or with as many spatial axes as a shift has numbers.
        shift: One for each sample of a batch.

    Examples:
        >>> roll(jnp.arange(4)[:, None], jnp.array([3]))[:, 0].tolist()
        [1, 2, 3, 0]
    """

    def one(x, shift):
        return x[jnp.ix_(*[(jnp.arange(length) - s) % length for length, s in zip(x.shape[:-1], shift, strict=True)])]

    for _ in range(shift.ndim - 1):
        one = jax.vmap(one)
    return one(x, shift)

"""Periodic grids, the axes before the last one: phases that a stride can begin at, traced shifts, band limits."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped


def distinct(x: Float[Array, "..."], axes: int) -> Float[Array, "..."]:
    """x after a filter of five taps along each axis, all different, and a leaky ReLU: features for energies of phases.

    Phases of images with many equal numbers, or with a mirror symmetry, have equal energies before it.
    """
    for k in range(axes):
        taps = np.cos(np.arange(1, 6) ** 2 + 1.3 * k)  # no two alike, no mirror symmetry
        rolled = [jnp.asarray(tap, x.dtype) * jnp.roll(x, i, k - axes - 1) for i, tap in enumerate(taps)]
        x = functools.reduce(jnp.add, rolled)
    return jax.nn.leaky_relu(x, 0.1)


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


def resample(x: Float[Array, "..."], lengths: Sequence[int]) -> Float[Array, "..."]:
    """The trigonometric polynomial through the values of a grid, at other numbers of points.

    Frequencies at half of the old or the new number of points, and above, are left out: what remains moves with x by
    any shift, whole or not.

    Args:
        x: Shape (..., height, width, channels), or with as many spatial axes as there are lengths.
        lengths: The new ones.

    Examples:
        >>> wave = lambda n: jnp.cos(2 * jnp.pi * jnp.arange(n) / n)[:, None]
        >>> bool(jnp.allclose(resample(wave(8), [12]), wave(12), atol=1e-6))
        True
    """
    n = len(lengths)
    old = x.shape[-n - 1 : -1]
    return _along_axes([_dirichlet(a, b) for a, b in zip(old, lengths, strict=True)], x)


def fractional_shift(
    x: Float[Array, "..."], shift: Float[Array, " axes"], highest: bool = False
) -> Float[Array, "..."]:
    """A grid (..., height, width, channels) moved by parts of a point along the axes before the last one: the
    trigonometric polynomial through its values, without the highest frequency of even lengths.

    With `highest` this frequency stays, times cos(πs) at a shift by s: whole shifts are exact then, and none at all
    changes nothing, but shifts by parts of a point do not add up in it.

    Examples:
        >>> wave = lambda s: jnp.cos(2 * jnp.pi * (jnp.arange(8) - s) / 8)[:, None]
        >>> bool(jnp.allclose(fractional_shift(wave(0.0), jnp.array([0.3])), wave(0.3), atol=1e-6))
        True
    """
    matrices = []
    for length, s in zip(x.shape[-len(shift) - 1 : -1], shift, strict=True):
        apart = jnp.arange(length)[:, None] - jnp.arange(length)
        turn = 2 * jnp.pi / length * (apart - s)
        waves = 1 + 2 * jnp.sum(jnp.cos(jnp.arange(1, (length + 1) // 2)[:, None, None] * turn), axis=0)
        if highest and length % 2 == 0:
            waves = waves + (-1) ** (apart % 2) * jnp.cos(jnp.pi * s)
        matrices.append(waves / length)
    return _along_axes(matrices, x)


def _along_axes(matrices, x):
    """A matrix along each of the axes before the last one."""
    for k, a in enumerate(matrices):
        axis = k - len(matrices) - 1
        moved = jnp.tensordot(jnp.asarray(a, x.dtype), x, (1, x.ndim + axis), precision="highest")
        x = jnp.moveaxis(moved, 0, axis)
    return x


@functools.cache
def _dirichlet(old: int, new: int) -> np.ndarray:
    """From values at `old` points to those at `new` ones, (new, old)."""
    turn = 2 * np.pi * (np.arange(new)[:, None] / new - np.arange(old) / old)
    waves = np.cos(np.arange(1, (min(old, new) + 1) // 2)[:, None, None] * turn)
    return (1 + 2 * waves.sum(axis=0)) / old

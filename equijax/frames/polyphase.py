"""The frame of periodic shifts of a grid, `polyphase`: where a stride should begin."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from equijax._validate import floating, integer, positive
from equijax.frames.base import Frame, Info
from equijax.groups import Group, Shift
from equijax.numerics import distinct, largest_phase, phase_energies, tolerance


def polyphase(
    stride: int | Sequence[int],
    *,
    temperature: float | None = None,
    features: Callable[[Array], Array] | None = None,
) -> Frame:
    """The frame of periodic shifts that takes the phase of the largest energy to the corner of the grid.

        E(a) = Σ_k ‖φ(x)[a + p k]‖² ,   g = argmax_a E(a)   over the phases a of the strides p .

    It is a frame up to multiples of the stride, g(T_s x) = s + g(x) − p k: with `frame_average` or `canonicalize` any f
    that commutes with shifts by the stride (a strided convolution, pooling, the embedding of patches, a network that
    begins with one) commutes with all of them. Its result is invariant, or lies on the whole grid: no output at every
    p-th point can follow a shift by less than p. With strides as long as the grid g is where φ(x) is largest, and the
    frame makes any f symmetric.

    Where two phases have the same energy, the one that comes first is taken, which does not follow shifts: `Info` says
    so. Where they have it because the image is periodic, no harm is done. `temperature` has no ties.

    Args:
        stride: Along each axis of the group, or one for all; it divides the sizes.
        temperature: For the continuous frame of all phases, of weights softmax(E / (temperature · max E)), instead of
            the one of a single element: as many evaluations of f as there are phases.
        features: φ, which commutes with shifts, of arrays (n₁, …, channels), to such arrays. By default the
            values after a filter of five taps along each axis and a leaky ReLU, whose energies seldom tie;
            `lambda x: x` for the energies of x itself.

    Returns:
        A frame of groups.Shift. Its points are the grid (n₁, …), whose other axes are channels; `frame_average`
        moves the axes of `reps.Shift` to the front. The gap is 1 − E₂/E₁ of the two largest energies, 1 with a
        temperature.

    Raises:
        TypeError: If a stride is not an integer, or the grid does not hold real floating-point numbers.
        ValueError: If the group is another one, the grid has other sizes, or a stride does not divide its size.

    References:
        Ding et al. 2023, "Reviving shift equivariance in vision transformers", arXiv:2306.07470, algorithm 1; Chaman
        and Dokmanić 2021, arXiv:2011.14214, for the phase of largest norm.

    Examples:
        >>> from equijax import Symmetry, frame_average, frames, groups, reps
        >>> pool = lambda x: x.reshape(2, 4).max(axis=1).sum()  # the largest of every four
        >>> symmetry = Symmetry(groups.Shift(8), inputs=reps.Shift(0), outputs=None)
        >>> invariant, x = frame_average(pool, symmetry, frames.polyphase(4), frame_input=0), jnp.arange(8.0)
        >>> [float(pool(jnp.roll(x, s))) for s in range(3)], [float(invariant(jnp.roll(x, s))) for s in range(3)]
        ([10.0, 13.0, 12.0], [13.0, 13.0, 13.0])
    """
    strides = [integer("stride", p, 1) for p in np.ravel(np.asarray(stride, object))]
    if temperature is not None:
        positive("temperature", temperature)

    def frame(group, points, mask=None):
        each, grid = _on_grid(strides, group, points, mask)
        found = distinct(grid, len(each)) if features is None else features(grid)
        energies = phase_energies(found, each)
        # the phases that shifts of the group reach: multiples of its step, each once
        steps = [group.step * np.arange(p // math.gcd(p, group.step)) for p in each]
        energies = energies[np.ix_(*[s % p for s, p in zip(steps, each, strict=True)])]
        phase, gap = largest_phase(energies, len(each))
        bad = ~jnp.all(jnp.isfinite(grid), axis=-1).reshape(-1)
        row = jnp.where(jnp.any(bad), jnp.argmax(bad), -1).astype(jnp.int32)
        if temperature is None:
            degenerate = ~(gap >= tolerance(gap.dtype, 1e-4, 1e-8))
            elements, weights = group.step * phase[None], jnp.ones(1, energies.dtype)
        else:
            gap, degenerate = jnp.ones_like(gap), jnp.zeros((), bool)
            elements = jnp.asarray(list(np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, len(each))))
            top = jnp.max(energies)
            weights = jax.nn.softmax(energies.reshape(-1) / jnp.where(top > 0, temperature * top, 1))
        count = jnp.asarray(bad.size, jnp.int32)
        return elements, weights, Info(gap, jnp.minimum(count, 1), degenerate | (row >= 0), count, row)

    return frame


def _on_grid(strides: list[int], group: Group, points: ArrayLike, mask: ArrayLike | None):
    """A stride for each axis, and the grid (*sizes, channels) in float32 or better; an error if they do not fit."""
    if not isinstance(group, Shift):
        raise ValueError(f"group: polyphase is a frame of groups.Shift, got {group}")
    sizes = group.sizes
    each = strides * len(sizes) if len(strides) == 1 else strides
    if len(each) != len(sizes):
        raise ValueError(f"stride: expected one, or {len(sizes)}, one for each axis of {group}, got {len(each)}")
    points = floating("points", points)
    if points.shape[: len(sizes)] != sizes or mask is not None:
        raise ValueError(
            f"points: expected a grid of shape {sizes} with channels after it, and no mask, got {points.shape}; "
            "frame_input may be a function that returns it"
        )
    for size, p in zip(sizes, each, strict=True):
        if size % p:
            raise ValueError(
                f"stride: expected divisors of the sizes {sizes} of the grid, got {p}; crop or pad the grid"
            )
    return each, points.astype(jnp.promote_types(points.dtype, jnp.float32)).reshape(*sizes, -1)

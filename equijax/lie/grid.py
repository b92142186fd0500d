"""Convolutions on square grids of any dimension: the stencil, its margins, dense and channel by channel."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax._validate import integer

MATRIX = 2**14  # most entries of the matrix of a channel
PADDINGS = ("zero", "wrap", "valid")


@functools.cache
def stencil(dimension: int, size: int) -> np.ndarray:
    """Points of a cube of `size` pixels a side about its center, in pixels, shape (size^dimension, dimension).

    Rows run over the pixels in row-major order. The first coordinate x runs along the last axis of the grid, y against
    the axis before it, as in `reps.Image`; further coordinates along the axes before these.
    """
    axes = np.indices((size,) * dimension).reshape(dimension, -1)[::-1].T - (size - 1) / 2
    axes[:, 1:2] *= -1
    return axes


def margins(shape: tuple[int, ...], size: int, stride: int, padding: str) -> tuple[list[int], list[int]]:
    """Pixels to add on each side of each axis, and the length of each axis of the result.

    Raises:
        ValueError: If the padding is unknown, a kernel is larger than the image, or the centers of image and result
            do not meet, which breaks quarter turns.
    """
    integer("stride", stride, 1)
    if padding not in PADDINGS:
        raise ValueError(f"padding: expected one of {', '.join(map(repr, PADDINGS))}, got {padding!r}")
    if size > min(shape):
        raise ValueError(
            f"size: a kernel of {size} pixels is larger than the image, {shape} pixels; take a smaller one"
        )
    if padding == "valid":
        results = [(length - size) // stride + 1 for length in shape]
    else:
        results = [-(-length // stride) for length in shape]
    added = [(result - 1) * stride + size - length for result, length in zip(results, shape, strict=True)]
    if padding == "wrap" and any(length % stride for length in shape):
        raise ValueError(f"stride: padding='wrap' needs a divisor of the axes {shape}, got {stride}")
    if any(total % 2 for total in added) or any(total < 0 and padding != "valid" for total in added):
        parity = "odd" if size % 2 == 0 else "even"
        raise ValueError(
            f"size: {size} pixels at stride {stride} cannot be centered on {shape} pixels with padding={padding!r}, "
            f"which breaks quarter turns and flips; take an {parity} size, or another stride"
        )
    return [total // 2 for total in added], results


def convolve(
    x: Float[Array, "batch *space channels"],
    filters: Float[Array, "points channels features"],
    size: int,
    stride: int,
    padding: str,
) -> Float[Array, "batch *result features"]:
    """y[t] = Σ_u x[t + u] filters[u] over the points u of the stencil."""
    dimension = x.ndim - 2
    added, _ = margins(x.shape[1:-1], size, stride, padding)
    if padding == "wrap":
        x, added = _wrap(x, added, 1), [0] * dimension
    axes = "".join(map(str, range(dimension)))
    return jax.lax.conv_general_dilated(
        x,
        filters.reshape(*(size,) * dimension, *filters.shape[1:]),
        (stride,) * dimension,
        [(k, k) for k in added],
        dimension_numbers=(f"N{axes}C", f"{axes}IO", f"N{axes}C"),
        precision="highest",
    )


def convolve_channels(
    x: Float[Array, "batch *space channels"],
    filters: Float[Array, "points channels"],
    size: int,
    stride: int,
    padding: str,
) -> Float[Array, "batch *result channels"]:
    """y[t] = Σ_u x[t + u] filters[u], each channel by itself.

    On small images one matrix a channel; else a sum of shifted products. Both, and their derivatives, are many times
    faster on CPU than a convolution with a group a channel. For the shifts the pixels are first sorted by their place
    modulo the stride, so that all shifts, and their transposes, are by whole pixels. The barriers keep what comes
    before and after from being computed anew for each of the shifts.
    """
    space, channels = x.shape[1:-1], x.shape[-1]
    added, results = margins(space, size, stride, padding)
    if math.prod(space) * math.prod(results) <= MATRIX:
        places = _places(space, size, stride, padding).astype(x.dtype)
        matrices = jnp.tensordot(filters, places, (0, 0), precision="highest")
        y = jnp.einsum("bpc,cpq->bqc", x.reshape(len(x), -1, channels), matrices, precision="highest")
        return y.reshape(len(x), *results, channels)
    x = _wrap(x, added, 1) if padding == "wrap" else _resize(x, [(k, k) for k in added])
    slots = [-(-length // stride) for length in x.shape[1:-1]]
    x = _resize(x, [(0, n * stride - length) for n, length in zip(slots, x.shape[1:-1], strict=True)])
    x = x.reshape(len(x), *itertools.chain.from_iterable((n, stride) for n in slots), x.shape[-1])
    whole = slice(None)
    phases = {
        phase: jax.lax.optimization_barrier(x[(whole, *itertools.chain.from_iterable((whole, k) for k in phase))])
        for phase in itertools.product(range(min(stride, size)), repeat=len(slots))
    }
    total = jnp.zeros((), x.dtype)
    for tap, place in zip(filters, itertools.product(range(size), repeat=len(slots)), strict=True):
        corner = [slice(k // stride, k // stride + length) for k, length in zip(place, results, strict=True)]
        total = total + phases[tuple(k % stride for k in place)][(whole, *corner)] * tap
    return jax.lax.optimization_barrier(total)


@functools.cache
def _places(space, size, stride, padding):
    """One where output pixel q sees input pixel p at tap u, else zero: (taps, input pixels, output pixels)."""
    added, results = margins(space, size, stride, padding)
    found = np.ones((1, 1, 1))
    for length, margin, result in zip(space, added, results, strict=True):
        taps, inputs, outputs = np.ogrid[:size, :length, :result]
        source = outputs * stride + taps - margin
        found = np.kron(found, inputs == (source % length if padding == "wrap" else source))
    return found


def _resize(x, margin):
    """`x` with zeros added to (or pixels cut from) both ends of the axes of space."""
    still = [(0, 0, 0)]
    before = still * (x.ndim - 1 - len(margin))
    return jax.lax.pad(x, jnp.zeros((), x.dtype), [*before, *((a, b, 0) for a, b in margin), *still])


def _wrap(x, added, first):
    widths = [(0, 0)] * first + [(k, k) for k in added] + [(0, 0)]
    return jnp.pad(x, widths, mode="wrap")

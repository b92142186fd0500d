"""Convolutions on square grids of any dimension: the stencil, its margins, dense and channel by channel."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax._validate import integer, one_of

BLOCK = 24  # most pixels of a row that one matrix gives
PADDINGS = ("zero", "wrap", "valid")


@functools.cache
def pixels(shape: tuple[int, ...]) -> np.ndarray:
    """The pixels of a grid as points about its center, shape (pixels, axes), in row-major order.

    The first coordinate x runs along the last axis of the grid, y against the axis before it, as in `reps.Image`;
    further coordinates along the axes before these.
    """
    points = np.stack([i.ravel() - (n - 1) / 2 for i, n in zip(np.indices(shape), shape, strict=True)][::-1], axis=-1)
    points[:, 1:2] *= -1
    return points


def margins(shape: tuple[int, ...], size: int, stride: int, padding: str) -> tuple[list[int], list[int]]:
    """Pixels to add on each side of each axis, and the length of each axis of the result.

    Raises:
        ValueError: If the padding is unknown, a kernel is larger than the image, or the centers of image and result
            do not meet, which breaks quarter turns.
    """
    integer("stride", stride, 1)
    one_of("padding", padding, PADDINGS)
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
    x: Float[Array, "channels batch *space"],
    filters: Float[Array, "points channels"],
    size: int,
    stride: int,
    padding: str,
) -> Float[Array, "channels batch *result"]:
    """y[t] = Σ_u x[t + u] filters[u], each channel by itself; channels come first.

    One matrix product a channel: rows of pixels along the last axis of space, those side by side that a result sees,
    times a banded matrix, in blocks of at most `BLOCK` results; if a row is no longer than that, then for two rows of
    results or more at once. It does more products than there are, but matrix products, and so their derivatives, are
    many times faster on CPU than a convolution with a group a channel, and their derivatives than those of shifts. Taps
    along further axes are summed.
    """
    channels, batch, *space = x.shape
    n = len(space)
    added, results = margins(tuple(space), size, stride, padding)
    blocks = -(-results[-1] // BLOCK)
    width = -(-results[-1] // blocks)  # results of a block
    # a single block takes the row as it is, and its band leaves out the margins; more overlap in a row with margins
    edge, span = (0, space[-1]) if blocks == 1 else (added[-1], (width - 1) * stride + size)
    added, before = [*added[:-1], edge], added[-1] - edge
    lines = min(results[-2], max(2, BLOCK // width)) if n > 1 and blocks == 1 else 1
    step = lines * stride  # rows of pixels from one matrix to the next, which sees `height` of them, a multiple
    turns, height = -(-results[-2] // lines) if n > 1 else 1, -(-(step - stride + size) // step) * step
    x = _wrap(x, added, 2) if padding == "wrap" else _resize(x, [(0, 0), *((k, k) for k in added)])
    starts = range(0, blocks * width * stride, width * stride)
    x = _resize(x, [(0, starts[-1] + span - x.shape[-1])])
    x = jnp.stack([x[..., k : k + span] for k in starts], axis=-2)  # (channels, batch, further space, blocks, span)
    # the band of ones where a tap of a result meets a pixel, times the filters: one matrix a channel
    pixel, result, tap = np.ogrid[:span, :width, :size]
    source = result * stride + tap - before
    band = (pixel == (source % span if padding == "wrap" else source)).astype(x.dtype)  # (span, width, size)
    bands = jnp.einsum("...uc,stu->...cst", filters.reshape(*(size,) * n, channels), band, precision="highest")
    if n > 1:  # `height` rows of pixels at once: the matrix of each tap along this axis, moved for each line of results
        x = _resize(x, [(0, (turns - 1) * step + height - x.shape[-3]), (0, 0), (0, 0)])
        x = jnp.moveaxis(x.reshape(*x.shape[:-3], x.shape[-3] // step, step, blocks, span), -3, -2)
        x = x.reshape(*x.shape[:-2], step * span)  # (channels, batch, further axes, turns + …, blocks, step · span)
        bands = jnp.moveaxis(bands, -4, -3)
        shifts = [(k * stride, height - size - k * stride) for k in range(lines)]
        bands = jnp.stack([_resize(bands, [shift, (0, 0), (0, 0)]) for shift in shifts], axis=-2)
        bands = bands.reshape(*(size,) * (n - 2), channels, height * span, lines * width)
    terms = []  # one for each tap along further axes
    for taps in itertools.product(range(size), repeat=max(n - 2, 0)):
        corners = [slice(k, k + (r - 1) * stride + 1, stride) for k, r in zip(taps, results, strict=False)]
        rows = x[:, :, *corners]
        if n > 1:
            rows = jnp.concatenate([rows[..., k : k + turns, :, :] for k in range(height // step)], axis=-1)
        rows = rows.reshape(channels, math.prod(rows.shape[1:-1]), rows.shape[-1])
        terms.append(_banded(rows, bands[taps]))
    total = functools.reduce(jnp.add, terms)  # (channels, batch · results along further axes · turns · blocks, results)
    # one axis at a time: the batch may be sharded
    total = total.reshape(channels, batch, *results[:-2], turns * blocks, lines * width)
    total = total.reshape(*total.shape[:-1], lines, width)
    total = total.reshape(*total.shape[:-3], turns, blocks, lines, width)
    total = total.reshape(*total.shape[:-4], *[turns * lines] * (n > 1), blocks * width)
    return total[(..., *(slice(r) for r in results[-2:]))]


@jax.custom_jvp
def _banded(rows, bands):
    """Rows (channels, rows, pixels) times one matrix a channel (channels, pixels, results)."""
    return jnp.einsum("cps,cst->cpt", rows, bands, precision="highest")


@_banded.defjvp
def _(primals, tangents):
    rows, bands = primals
    rows_dot, bands_dot = tangents
    # XLA folds transpositions into products, and on CPU a product is three times slower where both factors have first
    # the axis to sum over. Transposed, the barriers forbid that: to the cotangent, and to what comes out for the bands.
    turned = jax.lax.optimization_barrier(jnp.swapaxes(bands_dot, 1, 2))
    moved = jax.lax.optimization_barrier(jnp.einsum("cts,cps->ctp", turned, rows, precision="highest"))
    return _banded(rows, bands), _banded(rows_dot, bands) + jnp.swapaxes(moved, 1, 2)


def _resize(x, margin):
    """`x` with zeros added to (or pixels cut from) both ends of its last axes."""
    margin = [(0, 0)] * (x.ndim - len(margin)) + list(margin)
    return jax.lax.pad(x, jnp.zeros((), x.dtype), [(a, b, 0) for a, b in margin])


def _wrap(x, added, first):
    """`x` with pixels of the other end added to both ends of the axes from `first` on."""
    widths = [(0, 0)] * first + [(k, k) for k in added] + [(0, 0)] * (x.ndim - first - len(added))
    return jnp.pad(x, widths, mode="wrap")

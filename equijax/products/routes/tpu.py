"""Products that do not spill: one kernel for TPUs that keeps all between the features in fast memory.

It reads each argument once and writes each result once, for one or several contractions of the trilinear form at once.
On other platforms the same contractions are plain XLA, and so they are where the compiler divides a program among
devices by itself, which it cannot do with a kernel: use `jax.shard_map` there.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from equijax import spherical
from equijax.numerics import unit
from equijax.numerics.primitives import varying_axes
from equijax.products import planner
from equijax.products.form import Known, Multilinear, Out, add_up
from equijax.products.routes.tiles import Tiled, contracted
from equijax.products.trilinear import H, X, Y, Z

LANES = 128  # of a register: channels of a tile


def takes(*features: Array) -> bool:
    """Whether the kernel is for features of these shapes and types: the same rows, and channels but for directions."""
    alike = ({a.shape[:-2] for a in features}, {varying_axes(a) for a in features})
    channels = {a.shape[-1] for a in features[:2]}
    return all(len(found) == 1 for found in (*alike, channels)) and jnp.result_type(*features[:2]) != jnp.float64


def product(form: Tiled, x: Array, y: Array) -> Array:
    """∂T/∂z of features (..., coefficients, channels), in any precision."""
    dtype = jnp.result_type(x, y)
    return contraction(form, {X: x, Y: y}, Out(Z, (*x.shape[:-2], form.size(Z), x.shape[-1]), dtype))


def convolution(form: Tiled, x: Array, direction: Array, weights: Array) -> Array:
    """The same with the filter of `weights` (..., degrees, channels) around the `direction` (..., 3, 1)."""
    r, _ = unit(direction[..., 0].astype(jnp.float32))
    harmonics = _solid_harmonics(r, form.degrees[1])[..., None]
    dtype = jnp.result_type(x, weights)
    out = Out(Z, (*x.shape[:-2], form.size(Z), x.shape[-1]), dtype)
    z = contraction(form, {X: x, Y: weights, H: harmonics}, out)
    return z.astype(jnp.result_type(dtype, direction))


def contract(form: Tiled, known: Known, outs: tuple[Out, ...], *, compute=None) -> list[Array]:
    """∂T/∂(out) for each of `outs` by the kernel, or by `compute`, of arrays with coefficients first."""
    lead = jnp.broadcast_shapes(*(a.shape[:-2] for a in known.values()))
    rows = math.prod(lead)

    def first(k, a):
        flat = jnp.broadcast_to(a, (*lead, *a.shape[-2:])).reshape(rows, *a.shape[-2:])
        return jnp.moveaxis(flat, -1 if k == H else 1, 0)  # (coefficients, rows, channels); (1, rows, harmonics)

    found = (compute or kernel)(
        *(first(k, a) for k, a in known.items()),
        form=form,
        given=tuple(known),
        outs=tuple(out.argument for out in outs),
        dtypes=tuple(out.dtype for out in outs),
    )
    last = (jnp.moveaxis(a, 0, -1 if out.argument == H else 1) for a, out in zip(found, outs, strict=True))
    return [add_up(a.reshape(*lead, *a.shape[1:]), out.shape) for a, out in zip(last, outs, strict=True)]


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _solid_harmonics(vectors, lmax):
    """r^l Y_l, whose derivatives are products with matrices: a recursion backward spills components one by one."""
    return spherical.harmonics(vectors, lmax, normalize=False)


@_solid_harmonics.defjvp
def _(lmax, primals, tangents):
    """∂_k r^l Y_l = √(4π/3) (2l + 1) r^(l-1) Σ G Y_{l-1}, G the Gaunt coefficients with the component k of r̂."""
    values = _solid_harmonics(*primals, lmax)
    if lmax == 0:
        return values, jnp.zeros_like(values)
    l, below = (spherical.degree_of_coefficient(n) for n in (lmax, lmax - 1))
    G = spherical.gaunt_coefficients(lmax, 1, lmax - 1)[:, 1:] * (below == l[:, None] - 1)[:, None]
    rule = np.sqrt(4 * np.pi / 3) * ((2 * l + 1) * G.T).astype(values.dtype)
    slopes = [jnp.matmul(values[..., : lmax**2], rule[:, k], precision="highest") for k in range(3)]
    return values, sum(tangents[0][..., k : k + 1] * slope for k, slope in enumerate(slopes))


def kernel(*arrays, form, given, outs, dtypes, interpret=False):
    """∂T/∂(out) for each of `outs` as one kernel, tiles of some rows and 128 channels one after the other.

    Arrays are (coefficients, rows, channels), those of harmonics (1, rows, coefficients).
    """
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import tpu as pltpu

    # Rows of a tile: as many registers as leave all arrays of it in fast memory
    tables = form.tables(outs)
    _, rows, channels = next(a.shape for k, a in zip(given, arrays, strict=True) if k != H)
    step = 32 // min(a.dtype.itemsize for a in arrays)  # rows of a register
    row_bytes = 4 * LANES * sum(form.size(k) for k in (*given, *outs))
    tile = step * max(1, min(-(-rows // step), planner.FUSED_TILE // (row_bytes * step)))

    # Arrays whose coefficients fill registers evenly keep rows first; the others have coefficients first
    rows_first = {k for k in (*given, *outs) if k != H and (form.size(k) in (1, 2, 4) or form.size(k) % 8 == 0)}

    def turn(k, a):
        return jnp.swapaxes(a, 0, 1) if k in rows_first else a

    def body(*refs):
        read = dict(zip(tables, refs, strict=False))
        sources, results = refs[len(tables) : -len(outs)], refs[-len(outs) :]
        read = {key: ref[...] for key, ref in read.items()}

        # The rows of one register after the other: read in float32, computed, written in the dtype of the results
        def of_rows(i, _):
            at = pl.ds(i * step, step)
            known = {}
            for k, ref in zip(given, sources, strict=True):
                tile = (
                    jnp.swapaxes(ref[at].astype(jnp.float32), 0, 1)
                    if k in rows_first
                    else ref[:, at].astype(jnp.float32)
                )
                known[k] = _split(k, tile)
            found = contracted(form, read, known, outs)
            for k, ref in zip(outs, results, strict=True):
                if k in rows_first:
                    ref[at] = jnp.swapaxes(jnp.stack(found[k]), 0, 1).astype(ref.dtype)
                    continue
                for j, value in enumerate(found[k]):
                    ref[(0, at, pl.ds(j, 1)) if k == H else (j, at)] = value.astype(ref.dtype)
            return _

        jax.lax.fori_loop(0, tile // step, of_rows, None)

    def spec(argument, first):
        if argument == H:
            return pl.BlockSpec((1, tile, form.size(H)), lambda i, j: (first * j, i, 0))
        if argument in rows_first:
            return pl.BlockSpec((tile, form.size(argument), LANES), lambda i, j: (i, 0, j))
        return pl.BlockSpec((form.size(argument), tile, LANES), lambda i, j: (0, i, j))

    # Results of harmonics are sums over channels: a block of channels each, added up at the end
    blocks = channels // LANES
    shapes = [(blocks, rows, form.size(H)) if k == H else (form.size(k), rows, channels) for k in outs]
    shapes = [(b, a, c) if k in rows_first else (a, b, c) for k, (a, b, c) in zip(outs, shapes, strict=True)]
    found = pl.pallas_call(
        body,
        grid=(pl.cdiv(rows, tile), blocks),
        in_specs=[*(pl.BlockSpec(t.shape, lambda i, j: (0, 0)) for t in tables.values()), *(spec(k, 0) for k in given)],
        out_specs=[spec(k, 1) for k in outs],
        out_shape=[_like(arrays[0], *pair) for pair in zip(shapes, dtypes, strict=True)],
        compiler_params=pltpu.CompilerParams(vmem_limit_bytes=planner.FUSED_MEMORY),
        interpret=interpret,
        name="product",
    )(*tables.values(), *map(turn, given, arrays))
    return [jnp.sum(a, 0, keepdims=True) if k == H else turn(k, a) for k, a in zip(outs, found, strict=True)]


def plain(*arrays, form, given, outs, dtypes):
    """The same without a kernel."""
    form = dataclasses.replace(form, method="grid")
    known = {k: _split(k, a.astype(jnp.float32)) for k, a in zip(given, arrays, strict=True)}
    found = contracted(form, form.tables(outs), known, outs)
    return [
        (jnp.concatenate(found[k], -1)[None] if k == H else jnp.stack(found[k])).astype(dtype)
        for k, dtype in zip(outs, dtypes, strict=True)
    ]


def _like(array, shape, dtype):
    """A result's type, which varies over the axes of a mesh as an array does."""
    return jax.eval_shape(lambda a: jnp.broadcast_to(a[:1, :1, :1].astype(dtype), shape), array)


def _split(argument, array):
    """The coefficients of an argument, each (rows, channels), of harmonics (rows, 1)."""
    return [array[0, :, j : j + 1] for j in range(array.shape[2])] if argument == H else list(array)


contraction = Multilinear(
    "product_in_fast_memory", functools.partial(contract, compute=plain), kernels={"tpu": contract}
)

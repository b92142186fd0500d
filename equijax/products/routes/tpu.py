"""Products that do not spill: kernels for TPUs that keep all between the features in fast memory; derivatives.

Two primitives, on features (coefficients, rows, channels) and harmonics (1, rows, coefficients): `_contract` is
∂T/∂(out) of a `Form` T for one or several arguments at once, and `_tangent` its change as the arguments move. A TPU
runs the former as one kernel, which reads each argument once and writes each result once. Elsewhere it is plain XLA,
and so it is where the compiler divides a program among devices by itself, which it cannot do with a kernel: use
`jax.shard_map` there.
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from equijax import spherical
from equijax.numerics import unit
from equijax.numerics.primitives import compile_alone
from equijax.products import planner
from equijax.products.operands import is_divided, varying_axes
from equijax.products.routes.trilinear import Form, H, X, Y, Z, evaluate

LANES = 128  # channels of a tile
_TILE_BYTES = 4 * 2**20  # of the tiles of all arguments and results; each is held twice
_FAST_MEMORY = 2**26  # half of what a TPU v5e, v5p or v6e has


def on_features(x, y, direction=None, *, lmax, odd, precision):
    """The product of features (..., coefficients, channels) by a kernel, as a function of them; None if there is none.

    With the `direction` (..., 3, 1) of a filter, y are its weights.
    """
    rows, channels = math.prod(x.shape[:-2]), x.shape[-1]
    lead = {a.shape[:-2] for a in (x, y, direction) if a is not None}
    varying = {varying_axes(a) for a in (x, y, direction) if a is not None}
    l1, l2 = math.isqrt(x.shape[-2]) - 1, (math.isqrt(y.shape[-2]) if direction is None else y.shape[-2]) - 1
    precision = getattr(precision, "name", precision or "default").lower()
    method = planner.fused(l1, l2, lmax, rows, channels, odd, precision)
    if (
        method is None
        or channels != y.shape[-1]
        or len(lead) > 1
        or len(varying) > 1
        or jnp.result_type(x, y) == jnp.float64
    ):
        return None
    form = Form((l1, l2, lmax), odd, direction is not None, method, precision)

    def f(x, y, *directions):
        first = (jnp.moveaxis(a, -2, 0).reshape(a.shape[-2], rows, channels) for a in (x, y))
        units = [unit(d[..., 0].astype(jnp.float32))[0] for d in directions]
        harmonics = [_solid_harmonics(r, l2).reshape(1, rows, -1) for r in units]
        z = product(form, *first, *harmonics).reshape(form.size(Z), *x.shape[:-2], channels)
        return jnp.moveaxis(z, 0, -2).astype(jnp.result_type(x, y, *directions))

    return f


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


def product(form: Form, x: Any, y: Any, harmonics: Any = None) -> jax.Array:
    """∂T/∂z of x (coefficients, rows, channels) and y alike, or weights (degrees, rows, channels) and harmonics."""
    arrays, given = ((x, y), (X, Y)) if harmonics is None else ((x, y, harmonics), (X, Y, H))
    return _contract.bind(*arrays, form=form, given=given, outs=(Z,), dtypes=(jnp.result_type(x, y),))[0]


def kernel(*arrays, form, given, outs, dtypes, interpret=False):
    """∂T/∂(out) for each of `outs` as one kernel, tiles of some rows and 128 channels one after the other."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import tpu as pltpu

    tables = form.tables(outs)
    _, rows, channels = next(a.shape for k, a in zip(given, arrays, strict=True) if k != H)
    step = 32 // min(a.dtype.itemsize for a in arrays)  # rows of a register
    row_bytes = 4 * LANES * sum(form.size(k) for k in (*given, *outs))
    tile = step * max(1, min(-(-rows // step), _TILE_BYTES // (row_bytes * step)))

    rows_first = {k for k in (*given, *outs) if k != H and (form.size(k) in (1, 2, 4) or form.size(k) % 8 == 0)}

    def turn(k, a):
        return jnp.swapaxes(a, 0, 1) if k in rows_first else a

    def body(*refs):
        read = dict(zip(tables, refs, strict=False))
        sources, results = refs[len(tables) : -len(outs)], refs[-len(outs) :]
        read = {key: ref[...] for key, ref in read.items()}

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
            found = evaluate(form, read, known, outs)
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

    blocks = channels // LANES
    shapes = [(blocks, rows, form.size(H)) if k == H else (form.size(k), rows, channels) for k in outs]
    shapes = [(b, a, c) if k in rows_first else (a, b, c) for k, (a, b, c) in zip(outs, shapes, strict=True)]
    found = pl.pallas_call(
        body,
        grid=(pl.cdiv(rows, tile), blocks),
        in_specs=[*(pl.BlockSpec(t.shape, lambda i, j: (0, 0)) for t in tables.values()), *(spec(k, 0) for k in given)],
        out_specs=[spec(k, 1) for k in outs],
        out_shape=[_like(arrays[0], *pair) for pair in zip(shapes, dtypes, strict=True)],
        compiler_params=pltpu.CompilerParams(vmem_limit_bytes=_FAST_MEMORY),
        interpret=interpret,
        name="product",
    )(*tables.values(), *map(turn, given, arrays))
    return [jnp.sum(a, 0, keepdims=True) if k == H else turn(k, a) for k, a in zip(outs, found, strict=True)]


def plain(*arrays, form, given, outs, dtypes):
    """∂T/∂(out) for each of `outs`, without a kernel."""
    form = dataclasses.replace(form, method="grid")
    known = {k: _split(k, a.astype(jnp.float32)) for k, a in zip(given, arrays, strict=True)}
    found = evaluate(form, form.tables(outs), known, outs)
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


def _one_by_one(*arrays, form, given, outs, dtypes, moving):
    """How the contractions change with the arguments `moving`, whose changes are the last arrays."""
    at, changes = dict(zip(given, arrays, strict=False)), arrays[len(given) :]
    total = []
    for out, dtype in zip(outs, dtypes, strict=True):
        rest = tuple(k for k in given if k != out)
        terms = [
            _contract.bind(*((at | {k: change})[m] for m in rest), form=form, given=rest, outs=(out,), dtypes=(dtype,))[
                0
            ]
            for k, change in zip(moving, changes, strict=True)
            if k != out
        ]
        total.append(sum(terms[1:], terms[0]) if terms else jnp.zeros_like(at[out], dtype))
    return total


_contract, _tangent = Primitive("trilinear_contraction"), Primitive("trilinear_tangent")


def _shapes(*arrays, form, given, outs, dtypes, moving=()):
    a = next(a for k, a in zip(given, arrays, strict=False) if k != H)
    shapes = [(1, a.shape[1], form.size(H)) if k == H else (form.size(k), *a.shape[1:]) for k in outs]
    return [a.update(shape=shape, dtype=dtype, weak_type=False) for shape, dtype in zip(shapes, dtypes, strict=True)]


def _contract_jvp(primals, tangents, **params):
    pairs = [(k, t) for k, t in zip(params["given"], tangents, strict=True) if type(t) is not ad.Zero]
    moving = tuple(k for k, _ in pairs)
    return _contract.bind(*primals, **params), _tangent.bind(*primals, *(t for _, t in pairs), moving=moving, **params)


def _tangent_jvp(primals, tangents, **params):
    moving = [i for i, t in enumerate(tangents) if type(t) is not ad.Zero]

    def f(*moved):
        changed = dict(zip(moving, moved, strict=True))
        return _one_by_one(*(changed.get(i, a) for i, a in enumerate(primals)), **params)

    return jax.jvp(f, [primals[i] for i in moving], [tangents[i] for i in moving])


def _transpose(cotangents, *arrays, form, given, outs, dtypes, moving=None):
    """By the arguments that a contraction (or its change) is linear in, all of them at once for each out."""
    linear = {}  # position by argument
    for i, (k, a) in enumerate(zip((*given, *(moving or ())), arrays, strict=True)):
        if ad.is_undefined_primal(a):
            linear[k] = i
    at = {k: a for k, a in zip(given, arrays, strict=False) if not ad.is_undefined_primal(a)}
    found = [None] * len(arrays)
    for out, cotangent in zip(outs, cotangents, strict=True):
        wanted = tuple(k for k in linear if k != out)
        if type(cotangent) is ad.Zero or not wanted:
            continue
        known = dict(sorted((at | {out: cotangent}).items()))
        types = tuple(arrays[linear[k]].aval.dtype for k in wanted)
        gradients = _contract.bind(*known.values(), form=form, given=tuple(known), outs=wanted, dtypes=types)
        for k, gradient in zip(wanted, gradients, strict=True):
            i = linear[k]
            found[i] = gradient if found[i] is None else found[i] + gradient
    return found


def _batched(primitive, arrays, axes, **params):
    """A batch becomes further rows."""
    size = next(a.shape[d] for a, d in zip(arrays, axes, strict=True) if d is not batching.not_mapped)

    def fold(a, axis):
        batch = (
            jnp.broadcast_to(a[:, None], (a.shape[0], size, *a.shape[1:])) if axis is None else jnp.moveaxis(a, axis, 1)
        )
        return batch.reshape(batch.shape[0], -1, batch.shape[-1])

    found = primitive.bind(*map(fold, arrays, axes), **params)
    return [a.reshape(a.shape[0], size, -1, a.shape[-1]) for a in found], [1] * len(found)


def _on_tpu(ctx, *arrays, **params):
    return mlir.lower_fun(plain if is_divided(ctx) else kernel)(ctx, *arrays, **params)


for _primitive, _rule, _jvp in ((_contract, plain, _contract_jvp), (_tangent, _one_by_one, _tangent_jvp)):
    _primitive.multiple_results = True
    _primitive.def_abstract_eval(_shapes)
    compile_alone(_primitive, ("form", "given", "outs", "dtypes", "moving"))
    ad.primitive_jvps[_primitive] = _jvp
    ad.primitive_transposes[_primitive] = _transpose
    batching.primitive_batchers[_primitive] = functools.partial(_batched, _primitive)
    mlir.register_lowering(_primitive, mlir.lower_fun(_rule))
mlir.register_lowering(_contract, _on_tpu, platform="tpu")

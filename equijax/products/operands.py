"""What all products share: checked operands, coefficients first, chunks that fit in a cache, a lean backward pass."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import mlir
from jaxtyping import Array

from equijax import _validate, spherical

_CHUNK = 300_000  # numbers of the largest feature in a chunk; measured on two cores with 1 to 2 MB of cache each


def kernel(
    f: Callable[..., Array],
    front: bool = True,
    fused: Callable[..., Any] | None = None,
    chunked_from: Callable[..., int | float] | None = None,
) -> Callable[..., Array]:
    """`f(*features, **static)`, written for coefficients on the first axis, for features with them on the last but one.

    Half precisions are computed in float32. `f` is compiled once per set of static keywords. The backward pass keeps
    nothing but the features: what f needs is computed again, and its tables, being constants of the compiled function,
    are no residuals. CPUs and TPUs take a few rows at a time, so that what lies between the features stays in a cache
    or in fast memory; but not a TPU in a program that the compiler divides among devices by itself, whose rows may be
    anywhere. Without `front`, f takes and gives features as they are. `fused(*features, **static)` is a function for
    TPUs of the features as they are, or None where f is to run there too. `chunked_from(columns, *features, **static)`
    is the number of chunks from which a CPU takes them one by one, for so many rows times channels; 2 if not given.
    """
    axis = 0 if front else -2

    def whole(*features, **static):
        rank = max(a.ndim for a in features)
        dtype = jnp.result_type(*features)
        wide = jnp.promote_types(dtype, jnp.float32)
        first = (jnp.moveaxis(a.reshape((1,) * (rank - a.ndim) + a.shape), -2, axis).astype(wide) for a in features)
        return jnp.moveaxis(f(*first, **static), axis, -2).astype(dtype)

    def moved(*features, **static):
        rows = jnp.broadcast_shapes(*(a.shape[:-2] for a in features))
        columns = math.prod(rows) * max(a.shape[-1] for a in features)
        chunks = columns * max(a.shape[-2] for a in features) // _CHUNK
        f = jax.jit(functools.partial(whole, **static))  # traced once for all routes that take it
        on_tpu = fused and fused(*features, **static)
        routes = {}
        if chunks >= 2:
            chunked = jax.jit(functools.partial(_in_chunks, f, rows, chunks))
            routes = {"tpu": lambda *a: jax.lax.cond(_divided.bind(), f, chunked, *a)}
            if chunked_from is None or chunks >= chunked_from(columns, *features, **static):
                routes |= {"cpu": chunked}
        routes |= {"tpu": on_tpu} if on_tpu else {}
        return jax.lax.platform_dependent(*features, default=f, **routes) if routes else f(*features)

    names = [p.name for p in inspect.signature(f).parameters.values() if p.kind is p.KEYWORD_ONLY]
    moved.__name__ = f.__name__.lstrip("_")
    compiled = jax.jit(moved, static_argnames=names)

    @functools.wraps(f)
    def call(*features, **static):
        g = jax.checkpoint(functools.partial(compiled, **static))
        spec = _shared_sharding(features)
        return g(*features) if spec is None else jax.sharding.auto_axes(g, out_sharding=spec)(*features)

    return call


def is_divided(ctx: mlir.LoweringRuleContext) -> bool:
    """Whether the compiler divides the program that is being lowered among devices by itself."""
    return getattr(ctx.module_context.axis_context, "num_devices", 1) > 1


def varying_axes(a: Array) -> frozenset:
    """The axes of a mesh, inside of `jax.shard_map`, along which an array differs from device to device."""
    return jax.typeof(a).manual_axis_type.varying


def vary_alike(*arrays: Array) -> list[Array]:
    """The arrays, each as one that differs along all axes of the mesh along which any of them does."""
    axes = frozenset().union(*map(varying_axes, arrays))
    return [jax.lax.pcast(a, tuple(axes - varying_axes(a)), to="varying") for a in arrays]


def batch_in_front(primitive: Primitive) -> Callable[..., Any]:
    """A batching rule: the batch becomes a further axis in front of the rows."""

    def rule(arrays, axes, *, shape, **params):
        size = next(a.shape[i] for a, i in zip(arrays, axes, strict=True) if i is not None)
        moved = (a[None] if i is None else jnp.moveaxis(a, i, 0) for a, i in zip(arrays, axes, strict=True))
        return primitive.bind(*moved, shape=(size, *shape), **params), 0

    return rule


def degree(x: Any) -> int:
    """The degree of features (..., coefficients, channels)."""
    return math.isqrt(x.shape[-2]) - 1


def rest(x: Any) -> tuple[int, ...]:
    """The shape of features but for the coefficients: rows and channels."""
    return (*x.shape[:-2], x.shape[-1])


def add_up(z: Array, shape: tuple[int, ...]) -> Array:
    """Features added up over the axes of rows and channels that are 1 in `shape` and longer in z."""
    axes = [i + (i == z.ndim - 2) for i, (n, left) in enumerate(zip(rest(z), shape, strict=True)) if n != left]
    return jnp.sum(z, axes, keepdims=True) if axes else z


_divided = Primitive("divided")  # `is_divided` of the program that it stands in
_divided.def_impl(lambda: np.False_)
_divided.def_abstract_eval(lambda: jax.core.ShapedArray((), np.bool_))
mlir.register_lowering(_divided, lambda ctx: [mlir.ir_constant(np.bool_(is_divided(ctx)))])


def _shared_sharding(features):
    """How the result is sharded if the features are by an explicit mesh: rows and channels as they are; else None."""
    specs = [tuple(jax.typeof(a).sharding.spec) for a in features]
    rank = max(map(len, specs))
    columns = zip(*((None,) * (rank - len(spec)) + spec for spec in specs), strict=True)
    axes = [next((axis for axis in column if axis is not None), None) for column in columns]
    return jax.sharding.PartitionSpec(*axes) if any(axis is not None for axis in axes) else None


def _in_chunks(f, shape, count, *features):
    """f of a part of the rows at a time, `count` parts or a few more; the last one may be padded with zeros."""
    rows = math.prod(shape)
    count = next((c for c in range(count, 2 * count) if rows % c == 0), count)
    size = -(-rows // count)
    count = -(-rows // size)
    shared = [math.prod(a.shape[:-2]) == 1 for a in features]

    def split(a):
        flat = jnp.broadcast_to(a, (*shape, *a.shape[-2:])).reshape(rows, *a.shape[-2:])
        return jnp.pad(flat, ((0, count * size - rows), (0, 0), (0, 0))).reshape(count, size, *a.shape[-2:])

    @jax.checkpoint
    def part(chunks):
        chunk = iter(chunks)
        return f(*(a.reshape(1, *a.shape[-2:]) if s else next(chunk) for a, s in zip(features, shared, strict=True)))

    z = jax.lax.map(part, [split(a) for a, s in zip(features, shared, strict=True) if not s])
    return z.reshape(count * size, *z.shape[2:])[:rows].reshape(*shape, *z.shape[2:])


def fit(name: str, x: Any, other: Any, other_name: str) -> None:
    """Raise a ValueError unless channels and leading axes of `x` can be broadcast with those of `other`."""
    if x.shape[-1] != other.shape[-1] and 1 not in (x.shape[-1], other.shape[-1]):
        raise ValueError(
            f"{name}: expected {other.shape[-1]} channels as in {other_name}, or 1, on the last axis, "
            f"got {x.shape[-1]} in shape {x.shape}"
        )
    leading_fit(name, x.shape[:-2], other.shape[:-2], other_name)


def leading_fit(name: str, shape: tuple[int, ...], other: tuple[int, ...], other_name: str) -> None:
    """Raise a ValueError unless two shapes of leading axes can be broadcast."""
    try:
        jnp.broadcast_shapes(shape, other)
    except ValueError:
        raise ValueError(f"{name}: expected leading axes that fit {other} of {other_name}, got {shape}") from None


def degrees(l1: int, l2: int, lmax: int | None) -> int:
    """`lmax` of a product of degrees l1 and l2, max(l1, l2) by default.

    Raises:
        ValueError: If it is negative or out of reach.
    """
    lmax = max(l1, l2) if lmax is None else _validate.integer("lmax", lmax)
    if lmax > l1 + l2:
        raise ValueError(
            f"lmax: expected at most {l1 + l2}, the sum of the degrees {l1} and {l2} of the factors, got {lmax}; "
            "pad the result with zeros if a larger array is needed"
        )
    return lmax


def operands(x: Any, y: Any, lmax: int | None, precision: Any) -> tuple[Array, Array, tuple[int, int, int]]:
    """Two factors and the degrees (l1, l2, lmax); all arguments are checked."""
    x, y = _validate.floating("x", x), _validate.floating("y", y)
    l1, l2 = spherical.lmax_of(x, "x"), spherical.lmax_of(y, "y")
    lmax = degrees(l1, l2, lmax)
    fit("y", y, x, "x")
    _validate.precision(precision)
    return x, y, (l1, l2, lmax)

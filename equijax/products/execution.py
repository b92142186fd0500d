"""How a function of features is run, whatever it computes. `run` goes through these steps, from the outside in:

1. An explicit mesh: inside, the compiler divides the work as the features are (`_on_meshes`).
2. Memory: the backward pass keeps nothing but the features. What lies between them is computed again, and tables, being
   constants of the compiled function, are no residuals (`jax.checkpoint`).
3. Compilation: once for each function, decision and set of static arguments (`_by_platform`, under `jax.jit`).
4. Platforms: a fused kernel, or a few rows at a time, or all at once, as the planner has decided (`_by_platform`).
5. Chunks: the rows in a loop, one part after the other (`_in_chunks`).
6. Numbers: all features get the same rank, and half precisions become float32 (`_widened`).
"""

import functools
import math
from collections.abc import Callable, Hashable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from equijax.numerics.primitives import divided


def run(
    f: Callable[..., Array],
    *features: Array,
    chunks: tuple[tuple[str, int], ...] = (),
    fused: tuple[Callable[..., Array], Hashable] | None = None,
    **static: Hashable,
) -> Array:
    """f(*features, **static), by the steps above.

    Args:
        f: A function of the module: of features (..., coefficients, channels) of the same rank, in float32 or wider.
        *features: The same of any rank and precision; leading axes are broadcast.
        chunks: (platform, number) for each platform that takes a few rows at a time; see `planner.Decision`.
        fused: (kernel, form): on a TPU kernel(form, *features), of the features as they are, is taken instead.
        **static: What f is told beside the features.

    Returns:
        Features in the common dtype of all.
    """
    constants = tuple(sorted(static.items()))
    g = jax.checkpoint(functools.partial(_by_platform, f, chunks, fused, constants))
    return _on_meshes(g, features)


def coefficients_first(f: Callable[..., Array]) -> Callable[..., Array]:
    """f, written for coefficients on the first axis, where matrix products have them, of features as they are."""

    @functools.wraps(f)
    def call(*features, **static):
        first = (jnp.moveaxis(a, -2, 0) for a in features)  # (coefficients, ..., channels)
        return jnp.moveaxis(f(*first, **static), 0, -2)

    return call


def _on_meshes(g, features):
    """g of features that an explicit mesh may hold: on it, the compiler divides the inside of g by itself."""
    spec = _shared_sharding(features)
    return g(*features) if spec is None else jax.sharding.auto_axes(g, out_sharding=spec)(*features)


def _shared_sharding(features):
    """How the result is sharded if the features are by an explicit mesh: rows and channels as they are; else None."""
    specs = [tuple(jax.typeof(a).sharding.spec) for a in features]
    rank = max(map(len, specs))
    columns = zip(*((None,) * (rank - len(spec)) + spec for spec in specs), strict=True)
    axes = [next((axis for axis in column if axis is not None), None) for column in columns]
    return jax.sharding.PartitionSpec(*axes) if any(axis is not None for axis in axes) else None


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _by_platform(f, chunks, fused, static, *features):
    with jax.named_scope(f.__name__.strip("_")):
        whole = jax.jit(functools.partial(_widened, f, dict(static)))  # traced once for all platforms that take it
        routes: dict[str, Callable] = {p: jax.jit(functools.partial(_in_chunks, whole, n)) for p, n in chunks}
        if chunked := routes.get("tpu"):
            # Of a program that the compiler divides among devices, the rows of a chunk may be anywhere.
            routes["tpu"] = lambda *a: jax.lax.cond(divided(), whole, chunked, *a)
        if fused is not None:
            kernel, form = fused
            routes["tpu"] = functools.partial(kernel, form)
        return jax.lax.platform_dependent(*features, default=whole, **routes) if routes else whole(*features)


def _in_chunks(f, count, *features):
    """f of a part of the rows at a time, `count` parts or a few more; the last one may be padded with zeros."""
    lead = jnp.broadcast_shapes(*(a.shape[:-2] for a in features))
    rows = math.prod(lead)
    count = next((c for c in range(count, 2 * count) if rows % c == 0), count)
    size = -(-rows // count)  # rows of a chunk
    count = -(-rows // size)
    shared = [math.prod(a.shape[:-2]) == 1 for a in features]

    def split(a):
        flat = jnp.broadcast_to(a, (*lead, *a.shape[-2:])).reshape(rows, *a.shape[-2:])
        padded = jnp.pad(flat, ((0, count * size - rows), (0, 0), (0, 0)))
        return padded.reshape(count, size, *a.shape[-2:])  # (chunks, rows, coefficients, channels)

    @jax.checkpoint
    def part(chunks):
        chunk = iter(chunks)
        return f(*(a.reshape(1, *a.shape[-2:]) if s else next(chunk) for a, s in zip(features, shared, strict=True)))

    z = jax.lax.map(part, [split(a) for a, s in zip(features, shared, strict=True) if not s])
    return z.reshape(count * size, *z.shape[2:])[:rows].reshape(*lead, *z.shape[2:])


def _widened(f, static, *features):
    """f of features of the same rank, in float32 or wider; the result in their own common dtype."""
    rank, dtype = max(a.ndim for a in features), jnp.result_type(*features)
    wide = jnp.promote_types(dtype, jnp.float32)
    alike = (a.reshape((1,) * (rank - a.ndim) + a.shape).astype(wide) for a in features)
    return f(*alike, **static).astype(dtype)

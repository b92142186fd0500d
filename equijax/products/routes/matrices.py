"""Products with a weight for every path as matrix products: all pairs of two degrees, times a table of their paths."""

import itertools
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array

from equijax.products.form import Known, Out, add_up
from equijax.products.weighted import W, Weighted, X, Y, Z, path_table
from equijax.spherical import transforms


def contract(form: Weighted, known: Known, outs: tuple[Out, ...]) -> list[Array]:
    """∂T/∂(out) for each of `outs`: the product for z, and what it is by transposition for the others."""
    return [_contract(form, known, out) for out in outs]


def _contract(form, known, out):
    if out.argument == Z:
        return add_up(_product(known[X], known[Y], known[W], form=form), out.shape)

    def of_out(a):
        return _product(*((known | {out.argument: a})[k] for k in (X, Y, W)), form=form)

    like = jax.ShapeDtypeStruct(out.shape, out.dtype)
    cotangent = jnp.broadcast_to(known[Z], jax.eval_shape(of_out, like).shape)
    return jax.linear_transpose(of_out, like)(cotangent)[0]


def _product(x, y, weights, *, form):
    x, y, weights = (jnp.moveaxis(a, -2, 0) for a in (x, y, weights))  # (coefficients or paths, ..., channels)
    shape = jnp.broadcast_shapes(x.shape[1:], y.shape[1:], weights.shape[1:])
    xs, ys = transforms.by_degree(x), transforms.by_degree(y)
    w = dict(zip(form.paths, jax.lax.split(weights, (1,) * len(form.paths)), strict=True))
    blocks_of_degree = [[] for _ in range(form.degrees[Z] + 1)]
    for (a, b), group in itertools.groupby(form.paths, key=lambda path: path[:2]):
        ends = tuple(c for _, _, c in group)
        pairs = xs[a][:, None] * ys[b][None]  # (2a + 1, 2b + 1, ..., channels)
        flat = pairs.reshape((2 * a + 1) * (2 * b + 1), math.prod(pairs.shape[2:]))
        z = jnp.matmul(path_table(a, b, ends).astype(flat.dtype), flat, precision=form.precision)
        blocks = jax.lax.split(z.reshape(len(z), *pairs.shape[2:]), [2 * c + 1 for c in ends])
        for c, block in zip(ends, blocks, strict=True):
            blocks_of_degree[c].append(block * w[a, b, c])
    zero = jnp.zeros(shape, x.dtype)
    sums = [jnp.broadcast_to(sum(b, zero), (2 * c + 1, *shape)) for c, b in enumerate(blocks_of_degree)]
    return jnp.moveaxis(jnp.concatenate(sums), 0, -2)

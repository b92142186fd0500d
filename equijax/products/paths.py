"""The Clebsch-Gordan product: one weight for every way in which two degrees couple to a third."""

import functools
import itertools
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical
from equijax.numerics.primitives import compile_alone
from equijax.products import operands as _kernel
from equijax.products import planner
from equijax.products.operands import degree, degrees, fit, kernel, operands, rest
from equijax.products.routes import couplings
from equijax.spherical import transforms


@functools.lru_cache(maxsize=None, typed=True)  # so that 2.0 is not taken for 2
def paths(l1: int, l2: int, lmax: int | None = None, *, odd: bool = False) -> tuple[tuple[int, int, int], ...]:
    """The paths (a, b, c) with a ≤ l1, b ≤ l2, c ≤ lmax that a product takes, in lexicographic order.

    ‖a - b‖ ≤ c ≤ a + b, and a + b + c is even, or odd with `odd`. `lmax` is max(l1, l2) if None.

    Raises:
        ValueError: If a degree is negative, or `lmax` exceeds l1 + l2.
    """
    l1, l2 = _validate.integer("l1", l1), _validate.integer("l2", l2)
    lmax = degrees(l1, l2, lmax)
    return tuple(
        (a, b, c)
        for a in range(l1 + 1)
        for b in range(l2 + 1)
        for c in range(abs(a - b), min(a + b, lmax) + 1)
        if (a + b + c) % 2 == odd
    )


def clebsch_gordan(
    x: ArrayLike,
    y: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    lmax: int | None = None,
    odd: bool = False,
    precision="highest",
) -> Float[Array, "*batch coefficients channels"]:
    """The Clebsch-Gordan product with a weight w for every path and channel.

        z_c = Σ_{a, b} w_abc √(2c + 1) C_abc (x_a ⊗ y_b) ,   C of e3nn, of Frobenius norm 1.

    Without weights this is `e3nn_jax.tensor_product` (component normalization), summed over the paths that end in the
    same irrep. By default the paths of even a + b + c, which take natural tensors (parity (-1)^l) to natural ones;
    with `odd` those of odd sum, which give a pseudo-tensor and are therefore never mixed with the former: for SO(3)
    alone, add the two. The even (odd) paths are those of `gaunt` (`bracket`), which has fixed weights and is cheaper.

    Args:
        x: Features, (..., (l1 + 1)², channels).
        y: Features, (..., (l2 + 1)², channels); leading axes are broadcast, one channel serves all.
        weights: One a path, (paths,), or one a path and channel, (..., paths, channels), the paths in the order of
            `paths(l1, l2, lmax, odd=odd)`. All 1 if None.
        lmax: Largest degree kept, at most l1 + l2; max(l1, l2) if None.
        odd: Take the paths of odd sum instead of those of even sum.
        precision: Of the matrix products.

    Returns:
        Features (..., (lmax + 1)², channels) in the common dtype of the arguments. Half precisions are computed in
        float32. The backward pass keeps x, y and the weights only.

    Raises:
        TypeError: If an argument is not of real floating-point numbers.
        ValueError: If a coefficient axis is not a square, the number of weights is not that of the paths, channels or
            leading axes do not fit, lmax is negative or exceeds l1 + l2, or there is no such precision.
    """
    x, y, (l1, l2, lmax) = operands(x, y, lmax, precision)
    n = len(paths(l1, l2, lmax, odd=odd))
    weights = jnp.ones(n, jnp.result_type(x, y)) if weights is None else _validate.floating("weights", weights)
    if weights.ndim == 1:
        weights = weights[:, None]
    if weights.ndim < 2 or weights.shape[-2] != n:
        raise ValueError(
            f"weights: expected shape ({n},) or (..., {n}, channels), one weight a path of "
            f"products.paths({l1}, {l2}, {lmax}, odd={odd}), got {weights.shape}"
        )
    fit("weights", weights, x, "x")
    fit("weights", weights, y, "y")
    return _paths(x, y, weights, lmax=lmax, odd=odd, precision=precision)


# l1 + l2 + lmax up to which sums over couplings are written out: on every platform, where they move nothing but the
# features; on a CPU, 3 to 12 times as fast as matrix products; and there for at least so many rows times channels. With
# gradient, degree 15 takes 11 s to compile, where matrix products take 3.
_EVERYWHERE, _ON_CPU, _ON_CPU_FOR_MANY, _MANY = 6, 9, 15, 1024

X, Y, Z, W = range(4)  # the arguments of T(x, y, z, w) = Σ_p w_p Σ_ijk c_ijk x_i y_j z_k; the product is ∂T/∂z


def _product(x, y, weights, *, lmax, odd, precision):
    known = _kernel.vary_alike(x, y, weights)
    shape, degrees = jnp.broadcast_shapes(*map(rest, known)), (degree(x), degree(y), lmax)
    return _contract.bind(*known, out=Z, shape=shape, degrees=degrees, odd=odd, precision=precision)


def _chunked_from(columns, x, y, weights, *, lmax, **_):
    degrees = degree(x), degree(y), lmax
    return planner.chunked_from(*degrees, columns, _method(degrees, columns))


def _method(degrees, columns):
    return "terms" if sum(degrees) <= (_ON_CPU if columns < _MANY else _ON_CPU_FOR_MANY) else "matrices"


_paths = kernel(_product, front=False, chunked_from=_chunked_from)


def _contraction(*known, out, shape, degrees, odd, precision):
    """∂T/∂(out), added up over axes that it has not: where `shape` is 1 and that of a factor is not."""
    full = jnp.broadcast_shapes(*map(rest, known))

    def by_terms(*known):
        given = dict(zip(_others(out), known, strict=True))
        table, ways = _couplings_of(*degrees, odd), paths(*degrees, odd=odd)
        if out == W:
            z = couplings.path_sums(given[X], given[Y], given[Z], table, ways)
        else:
            axes = *(k for k in (X, Y, Z) if k != out), out
            turned = [tuple(way[k] for k in axes) for way in ways]
            z = couplings.weighted_product(given[axes[0]], given[axes[1]], given[W], table.transpose(axes), turned)
        return _kernel.add_up(z, shape)

    def by_matrices(*known):
        given = dict(zip(_others(out), known, strict=True))
        f = functools.partial(_by_matrices, lmax=degrees[2], odd=odd, precision=precision)
        if out == Z:
            return f(given[X], given[Y], given[W])
        of_out = lambda a: f(*((given | {out: a})[k] for k in (X, Y, W)))  # noqa: E731
        like = jax.ShapeDtypeStruct(_full_shape(out, shape, degrees, odd), known[0].dtype)
        cotangent = jnp.broadcast_to(given[Z], jax.eval_shape(of_out, like).shape)
        return jax.linear_transpose(of_out, like)(cotangent)[0]

    if _method(degrees, math.prod(full)) != "terms":
        return by_matrices(*known)
    if sum(degrees) <= _EVERYWHERE:
        return by_terms(*known)
    return jax.lax.platform_dependent(*known, cpu=by_terms, default=by_matrices)


def _by_matrices(x, y, weights, *, lmax, odd, precision):
    x, y, weights = (jnp.moveaxis(a, -2, 0) for a in (x, y, weights))
    xs, ys = transforms.by_degree(x), transforms.by_degree(y)
    ways = paths(len(xs) - 1, len(ys) - 1, lmax, odd=odd)
    w = dict(zip(ways, jax.lax.split(weights, (1,) * len(ways)), strict=True))
    parts = [[] for _ in range(lmax + 1)]
    for (a, b), group in itertools.groupby(ways, key=lambda path: path[:2]):
        ends = tuple(c for _, _, c in group)
        pairs = xs[a][:, None] * ys[b][None]
        flat = pairs.reshape((2 * a + 1) * (2 * b + 1), math.prod(pairs.shape[2:]))
        z = jnp.matmul(_table(a, b, ends).astype(flat.dtype), flat, precision=precision)
        blocks = jax.lax.split(z.reshape(len(z), *pairs.shape[2:]), [2 * c + 1 for c in ends])
        for c, block in zip(ends, blocks, strict=True):
            parts[c].append(block * w[a, b, c])
    shape = jnp.broadcast_shapes(x.shape[1:], y.shape[1:], weights.shape[1:])
    zero = jnp.zeros(shape, x.dtype)
    z = jnp.concatenate([jnp.broadcast_to(sum(p, zero), (2 * c + 1, *shape)) for c, p in enumerate(parts)])
    return jnp.moveaxis(z, 0, -2)


def _full_shape(out, shape, degrees, odd):
    n = len(paths(*degrees, odd=odd)) if out == W else (degrees[out] + 1) ** 2
    return (*shape[:-1], n, shape[-1])


def _others(out):
    return [k for k in (X, Y, Z, W) if k != out]


def _jvp(primals, tangents, **params):
    changes = [
        _contract.bind(*primals[:i], t, *primals[i + 1 :], **params)
        for i, t in enumerate(tangents)
        if not isinstance(t, ad.Zero)
    ]
    return _contract.bind(*primals, **params), functools.reduce(operator.add, changes)


def _transpose(cotangent, *known, out, shape, **params):
    """T is linear in each argument: the transpose is T contracted with the cotangent and the two that are known."""
    given = dict(zip(_others(out), known, strict=True)) | {out: cotangent}
    wanted = next(k for k, a in given.items() if ad.is_undefined_primal(a))
    args = (given[k] for k in _others(wanted))
    found = _contract.bind(*args, out=wanted, shape=rest(given[wanted].aval), **params)
    return [found if k == wanted else None for k in _others(out)]


@functools.cache
def _couplings_of(l1: int, l2: int, lmax: int, odd: bool) -> np.ndarray:
    """√(2c + 1) C_abc of all paths, of shape ((l1 + 1)², (l2 + 1)², (lmax + 1)²)."""
    table = np.zeros([(l + 1) ** 2 for l in (l1, l2, lmax)])
    for path in paths(l1, l2, lmax, odd=odd):
        block = np.sqrt(2 * path[2] + 1) * spherical.clebsch_gordan_coefficients(*path)
        table[tuple(slice(l * l, (l + 1) ** 2) for l in path)] = block
    return table


@functools.cache
def _table(a: int, b: int, ends: tuple[int, ...]) -> np.ndarray:
    """√(2c + 1) C_abc for all c of `ends`, shape (Σ (2c + 1), (2a + 1) (2b + 1))."""
    blocks = [np.sqrt(2 * c + 1) * spherical.clebsch_gordan_coefficients(a, b, c) for c in ends]
    return np.concatenate([block.reshape(-1, block.shape[-1]).T for block in blocks])


_contract = Primitive("contract_paths")
_contract.def_abstract_eval(
    lambda *known, out, shape, degrees, odd, **_: known[0].update(
        shape=_full_shape(out, shape, degrees, odd), weak_type=False
    )
)
compile_alone(_contract, ("out", "shape", "degrees", "odd", "precision"))
mlir.register_lowering(_contract, mlir.lower_fun(_contraction, multiple_results=False))
ad.primitive_jvps[_contract] = _jvp
ad.primitive_transposes[_contract] = _transpose
batching.primitive_batchers[_contract] = _kernel.batch_in_front(_contract)

"""The product of two functions on the sphere, and their bracket, as a primitive: derivatives are products again.

Of the trilinear form T(x, y, z) = ∫ x y z, or ∫ z {x, y}, the product is ∂T/∂z. A cotangent z gives ∂T/∂x and ∂T/∂y,
which are z y and x z, or {y, z} and {z, x}. So every derivative is made of the same transforms, none of them
transposed, and those that two derivatives share are made once.
"""

import functools
import math
import operator

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from equijax import spherical
from equijax.products import planner
from equijax.products._kernel import varying_axes
from equijax.spherical import one_pass, transforms

_MOST_RESULTS = 6  # of a loop; measured on a CPU with 32 vector registers


def multiply(x, y, *, lmax, method, precision, odd):
    """`gaunt`, or `bracket` if `odd`, of checked features of the same rank."""
    shape = jnp.broadcast_shapes(_rest(x), _rest(y))
    axes = varying_axes(x) | varying_axes(y)
    x, y = (jax.lax.pcast(a, tuple(axes - varying_axes(a)), to="varying") for a in (x, y))
    return _multiply.bind(x, y, lmax=lmax, shape=shape, method=method, precision=precision, odd=odd)


def evaluate(x, y, *, lmax, shape, method, precision, odd):
    """The product, added up over axes that the result has not: where `shape` is 1 and that of a factor is not."""
    l1, l2 = _degree(x), _degree(y)
    band = l1 + l2
    full = jnp.broadcast_shapes(_rest(x), _rest(y))
    added = [i - len(full) for i, (n, left) in enumerate(zip(full, shape, strict=True)) if n != left]

    def add_up(values, axes):
        return jax.tree.map(lambda a: jnp.sum(a, axes, keepdims=True), values) if axes else values

    def compute(method):
        def values(x, field="value"):
            return transforms.to_grid(method, jnp.moveaxis(x, -2, 0), band, lmax, field, precision)

        def f(x, y):
            if method in BY_COUPLINGS:
                return add_up(BY_COUPLINGS[method](x, y, lmax, odd, precision), [i - (i < -1) for i in added])
            if odd:
                product = values(x, "theta") * values(y, "phi") - values(x, "phi") * values(y, "theta")
            else:
                product = values(x) * values(y)
            z = transforms.from_grid(method, add_up(product, added), band, lmax, precision)
            return jnp.moveaxis(z, 0, -2)

        return f

    return planner.route(compute, method, (l1, l2, lmax), math.prod(full), x, y)


def _shape(x, y, *, lmax, shape, **_):
    return x.update(shape=(*shape[:-1], (lmax + 1) ** 2, shape[-1]), weak_type=False)


def _by_first(z, x, y, odd, **params):
    params |= {"lmax": _degree(x.aval), "shape": _rest(x.aval), "odd": odd}
    return _multiply.bind(*((y, z) if odd else (z, y)), **params)


def _by_second(z, x, y, odd, **params):
    params |= {"lmax": _degree(y.aval), "shape": _rest(y.aval), "odd": odd}
    return _multiply.bind(z, x, **params)


def _batched(arrays, axes, *, shape, **params):
    """A batch becomes a further axis beside rows and channels."""
    x, y = (a[None] if i is None else jnp.moveaxis(a, i, 0) for a, i in zip(arrays, axes, strict=True))
    size = next(a.shape[i] for a, i in zip(arrays, axes, strict=True) if i is not None)
    return _multiply.bind(x, y, shape=(size, *shape), **params), 0


def _terms(x, y, lmax, odd, precision):
    """The product as a sum over the couplings that are not zero, written out; no matrix product rounds here.

    Couplings of x_i and y_j to z_k in the order Σ_i x_i (Σ_j c_ijk y_j), or the other way round if y_j has the larger
    ‖m‖. Two orders ±m of z have the inner sums in common, but for signs.
    """
    del precision
    l1, l2 = _degree(x), _degree(y)
    table = (spherical.bracket_coefficients if odd else spherical.gaunt_coefficients)(l1, l2, lmax)
    shape = jnp.broadcast_shapes(_rest(x), _rest(y))
    xs, ys = (_coefficients(a, shape) for a in (x, y))
    orders = [_orders(l) for l in (l1, l2, lmax)]
    rows = {}
    for group in _groups(orders[2]):
        inner = {}
        halves = [_half_sums(xs, ys, table[:, :, k], orders, inner) for k in group]
        rows |= dict(zip(group, one_pass.add(*zip(*halves, strict=True)), strict=True))
    return jnp.concatenate([rows[k] for k in range(len(rows))], axis=-2)


def _half_sums(xs, ys, table, orders, inner):
    """z = Σ_ij c_ij x_i y_j as two terms; `inner` keeps the inner sums, to be shared."""
    outer = {}
    for i, j in zip(*np.nonzero(table), strict=True):
        of_y = orders[0][i] >= orders[1][j]
        outer.setdefault((of_y, i) if of_y else (of_y, j), []).append(j if of_y else i)
    terms = []
    for (of_y, i), summed in outer.items():
        coefficients = table[i, summed] if of_y else table[summed, i]
        sign, values = np.sign(coefficients[0]), ys if of_y else xs
        scaled = {j: float(sign * c) for j, c in zip(summed, coefficients, strict=True)}
        key = (of_y, *((j, round(c, 9)) for j, c in scaled.items()))
        if key not in inner:
            inner[key] = functools.reduce(operator.add, [c * values[j] for j, c in scaled.items()])
        terms.append((sign, (xs if of_y else ys)[i] * inner[key]))
    return [_signed_sum(terms[: len(terms) // 2], xs[0]), _signed_sum(terms[len(terms) // 2 :], xs[0])]


def _signed_sum(terms, like):
    if not terms:
        return jnp.zeros_like(like)
    (sign, total), *rest = terms
    total = total if sign > 0 else -total
    for sign, term in rest:
        total = total + term if sign > 0 else total - term
    return total


def _groups(orders):
    """Coefficients in groups that one loop computes, by ‖m‖; ±m of a degree are not parted."""
    groups = [[]]
    for m in range(max(orders) + 1):
        of_order = np.flatnonzero(orders == m).tolist()
        step = 1 if m == 0 else 2
        for i in range(0, len(of_order), step):
            if len(groups[-1]) + step > _MOST_RESULTS:
                groups.append([])
            groups[-1] += of_order[i : i + step]
    return groups


def _dense(x, y, lmax, odd, precision):
    """The product by the table of all couplings."""
    coefficients = spherical.bracket_coefficients if odd else spherical.gaunt_coefficients
    table = coefficients(_degree(x), _degree(y), lmax)
    x, y = jnp.moveaxis(x, -2, 0), jnp.moveaxis(y, -2, 0)
    pairs = x[:, None] * y[None]
    flat = pairs.reshape(pairs.shape[0] * pairs.shape[1], -1)
    z = jnp.matmul(table.reshape(len(flat), -1).T.astype(flat.dtype), flat, precision=precision)
    return jnp.moveaxis(z.reshape(-1, *pairs.shape[2:]), 0, -2)


BY_COUPLINGS = {"terms": _terms, "dense": _dense}


def _degree(x):
    return math.isqrt(x.shape[-2]) - 1


def _rest(x):
    return (*x.shape[:-2], x.shape[-1])


def _coefficients(x, rest):
    """Every coefficient by itself, (..., 1, channels)."""
    n = x.shape[-2]
    return jax.lax.split(jnp.broadcast_to(x, (*rest[:-1], n, rest[-1])), (1,) * n, axis=len(rest) - 1)


def _orders(lmax):
    """‖m‖ of every coefficient."""
    l = spherical.degree_of_coefficient(lmax)
    return np.abs(np.arange(len(l)) - l * (l + 1))


_multiply = Primitive("product_on_sphere")
_multiply.def_abstract_eval(_shape)
_multiply.def_impl(jax.jit(_multiply.bind, static_argnames=("lmax", "shape", "method", "precision", "odd")))
mlir.register_lowering(_multiply, mlir.lower_fun(evaluate, multiple_results=False))
batching.primitive_batchers[_multiply] = _batched
ad.defbilinear(_multiply, _by_first, _by_second)

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
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from equijax import spherical
from equijax.products import planner
from equijax.products._kernel import varying_axes
from equijax.spherical import transforms


def multiply(x, y, *, lmax, method, precision, odd):
    """`gaunt`, or `bracket` if `odd`, of checked features with coefficients first."""
    shape = jnp.broadcast_shapes(x.shape[1:], y.shape[1:])
    axes = varying_axes(x) | varying_axes(y)
    x, y = (jax.lax.pcast(a, tuple(axes - varying_axes(a)), to="varying") for a in (x, y))
    return _multiply.bind(x, y, lmax=lmax, shape=shape, method=method, precision=precision, odd=odd)


def evaluate(x, y, *, lmax, shape, method, precision, odd):
    """The product, added up over axes that the result has not: where `shape` is 1 and that of a factor is not."""
    l1, l2 = _degree(x), _degree(y)
    band = l1 + l2
    axes = [i + 1 for i, n in enumerate(jnp.broadcast_shapes(x.shape[1:], y.shape[1:])) if n != shape[i]]

    def add_up(values):
        return jax.tree.map(lambda a: jnp.sum(a, axes, keepdims=True), values) if axes else values

    def compute(method):
        def values(x, field="value"):
            return transforms.to_grid(method, x, band, lmax, field, precision)

        def f(x, y):
            if method in BY_COUPLINGS:
                return add_up(BY_COUPLINGS[method](x, y, lmax, odd, precision))
            if odd:
                product = values(x, "theta") * values(y, "phi") - values(x, "phi") * values(y, "theta")
            else:
                product = values(x) * values(y)
            return transforms.from_grid(method, add_up(product), band, lmax, precision)

        return f

    return planner.route(compute, method, (l1, l2, lmax), x, y)


def _shape(x, y, *, lmax, shape, **_):
    return x.update(shape=((lmax + 1) ** 2, *shape), weak_type=False)


def _by_first(z, x, y, odd, **params):
    params |= {"lmax": math.isqrt(x.aval.shape[0]) - 1, "shape": x.aval.shape[1:], "odd": odd}
    return _multiply.bind(*((y, z) if odd else (z, y)), **params)


def _by_second(z, x, y, odd, **params):
    params |= {"lmax": math.isqrt(y.aval.shape[0]) - 1, "shape": y.aval.shape[1:], "odd": odd}
    return _multiply.bind(z, x, **params)


def _batched(arrays, axes, *, shape, **params):
    """A batch becomes a further axis beside rows and channels."""
    x, y = (a[:, None] if i is None else jnp.moveaxis(a, i, 1) for a, i in zip(arrays, axes, strict=True))
    size = next(a.shape[i] for a, i in zip(arrays, axes, strict=True) if i is not None)
    return _multiply.bind(x, y, shape=(size, *shape), **params), 1


def _terms(x, y, lmax, odd, precision):
    """The product as a sum over the couplings that are not zero, written out; no matrix product rounds here."""
    del precision
    table = (spherical.bracket_coefficients if odd else spherical.gaunt_coefficients)(_degree(x), _degree(y), lmax)
    xs, ys = (jax.lax.split(a, (1,) * len(a)) for a in (x, y))
    nothing, add = jnp.zeros_like(xs[0] * ys[0]), functools.partial(functools.reduce, operator.add)
    rows = []
    for of_product in table.transpose(2, 0, 1).tolist():
        terms = [(x, [c * y for y, c in zip(ys, row, strict=True) if c]) for x, row in zip(xs, of_product, strict=True)]
        rows.append(add([x * add(part) for x, part in terms if part] or [nothing]))
    return jnp.concatenate(rows)


def _dense(x, y, lmax, odd, precision):
    """The product by the table of all couplings."""
    coefficients = spherical.bracket_coefficients if odd else spherical.gaunt_coefficients
    pairs = x[:, None] * y[None]
    flat = pairs.reshape(pairs.shape[0] * pairs.shape[1], -1)
    table = coefficients(_degree(x), _degree(y), lmax).reshape(len(flat), -1).T
    z = jnp.matmul(table.astype(flat.dtype), flat, precision=precision)
    return z.reshape(-1, *pairs.shape[2:])


BY_COUPLINGS = {"terms": _terms, "dense": _dense}


def _degree(x):
    return math.isqrt(len(x)) - 1


_multiply = Primitive("product_on_sphere")
_multiply.def_abstract_eval(_shape)
_multiply.def_impl(jax.jit(_multiply.bind, static_argnames=("lmax", "shape", "method", "precision", "odd")))
mlir.register_lowering(_multiply, mlir.lower_fun(evaluate, multiple_results=False))
batching.primitive_batchers[_multiply] = _batched
ad.defbilinear(_multiply, _by_first, _by_second)

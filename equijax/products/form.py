"""The product of two functions on the sphere, and their bracket, as a primitive: derivatives are products again.

Of the trilinear form T(x, y, z) = ∫ x y z, or ∫ z {x, y}, the product is ∂T/∂z. A cotangent z gives ∂T/∂x and ∂T/∂y,
which are z y and x z, or {y, z} and {z, x}. So every derivative is made of the same transforms, none of them
transposed, and those that two derivatives share are made once.
"""

import math

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from equijax import spherical
from equijax.numerics.primitives import compile_alone
from equijax.products import planner
from equijax.products.operands import add_up, batch_in_front, degree, rest, vary_alike
from equijax.products.routes import couplings
from equijax.spherical import transforms


def multiply(x, y, *, lmax, method, precision, odd):
    """`gaunt`, or `bracket` if `odd`, of checked features of the same rank."""
    shape = jnp.broadcast_shapes(rest(x), rest(y))
    x, y = vary_alike(x, y)
    return _multiply.bind(x, y, lmax=lmax, shape=shape, method=method, precision=precision, odd=odd)


def evaluate(x, y, *, lmax, shape, method, precision, odd):
    """The product, added up over axes that the result has not: where `shape` is 1 and that of a factor is not."""
    l1, l2 = degree(x), degree(y)
    band = l1 + l2
    full = jnp.broadcast_shapes(rest(x), rest(y))
    added = [i - len(full) for i, (n, left) in enumerate(zip(full, shape, strict=True)) if n != left]

    def compute(method):
        def values(x, field="value"):
            return transforms.to_grid(method, jnp.moveaxis(x, -2, 0), band, lmax, field, precision)

        def f(x, y):
            if method == "terms":
                coefficients = spherical.bracket_coefficients if odd else spherical.gaunt_coefficients
                return add_up(couplings.product(x, y, coefficients(l1, l2, lmax)), shape)
            if odd:
                product = values(x, "theta") * values(y, "phi") - values(x, "phi") * values(y, "theta")
            else:
                product = values(x) * values(y)
            if added:
                product = jax.tree.map(lambda a: jnp.sum(a, added, keepdims=True), product)
            return jnp.moveaxis(transforms.from_grid(method, product, band, lmax, precision), 0, -2)

        return f

    return planner.route(compute, method, (l1, l2, lmax), math.prod(full), x, y)


def _shape(x, y, *, lmax, shape, **_):
    return x.update(shape=(*shape[:-1], (lmax + 1) ** 2, shape[-1]), weak_type=False)


def _by_first(z, x, y, odd, **params):
    params |= {"lmax": degree(x.aval), "shape": rest(x.aval), "odd": odd}
    return _multiply.bind(*((y, z) if odd else (z, y)), **params)


def _by_second(z, x, y, odd, **params):
    params |= {"lmax": degree(y.aval), "shape": rest(y.aval), "odd": odd}
    return _multiply.bind(z, x, **params)


_multiply = Primitive("product_on_sphere")
_multiply.def_abstract_eval(_shape)
compile_alone(_multiply, ("lmax", "shape", "method", "precision", "odd"))
mlir.register_lowering(_multiply, mlir.lower_fun(evaluate, multiple_results=False))
batching.primitive_batchers[_multiply] = batch_in_front(_multiply)
ad.defbilinear(_multiply, _by_first, _by_second)

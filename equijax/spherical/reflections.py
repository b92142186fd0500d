"""Functions in sectors, pieces that are even or odd under reflections: one point of every orbit is enough.

With B reflections g that commute, a function is a sum of 2^B pieces f_c, where bit k of c says whether the piece is odd
under the k-th one: at the image g p it has the value ±f_c(p). Each sector has its own coefficients, which divides the
operations of a transform by 2^B, and sectors multiply as

    (f g)_c = Σ_a f_a g_{a xor c} .

The same holds for the components of gradients along e_θ and e_φ, with parities of their own.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array

from equijax.numerics import one_pass
from equijax.numerics.primitives import compile_alone
from equijax.spherical import quadrature

_REFLECTIONS = np.array([[-1, -1, -1], [-1, 1, 1], [1, -1, 1]])  # p -> -p, x -> -x and y -> -y, as signs


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Sectors:
    """The values of the pieces of a function, one a sector, each an array with the points first."""

    values: tuple[Array, ...]

    def __mul__(self, other: "Sectors") -> "Sectors":
        pairs = [jnp.broadcast_arrays(*pair) for pair in zip(self.values, other.values, strict=True)]
        return Sectors(tuple(_multiply.bind(*(f for f, _ in pairs), *(g for _, g in pairs))))

    def __sub__(self, other: "Sectors") -> "Sectors":
        return Sectors(tuple(a - b for a, b in zip(self.values, other.values, strict=True)))


@functools.cache
def orbits(degree: int, reflections: int) -> tuple[np.ndarray, np.ndarray]:
    """One point of every orbit of the Lebedev rule of that degree, (n, 3), and the weights of whole orbits, (n,).

    Under the first `reflections` of p -> -p, x -> -x and y -> -y.
    """
    points, weights = quadrature.lebedev(degree)
    signs = np.ones((1, 3))
    for g in _REFLECTIONS[:reflections]:
        signs = np.concatenate([signs, signs * g])
    images = np.round(points * signs[:, None], 9) + 0.0  # no negative zeros; (images, points, 3)
    orbit = [min(map(tuple, of_point)) for of_point in images.swapaxes(0, 1)]
    _, first, index = np.unique(orbit, axis=0, return_index=True, return_inverse=True)
    return points[first], np.bincount(index.ravel(), weights)


@functools.cache
def tables(lmax: int, degree: int, reflections: int, field: str) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """The order of the coefficients by sectors, and for each sector a table (points, coefficients).

    Y_lm, or a component of its gradient, is even or odd under each reflection; which, its values at points in general
    position and at their images show.
    """
    sector = np.zeros((lmax + 1) ** 2, int)
    p = np.array([[0.36, 0.48, 0.8], [0.48, 0.8, 0.36], [-0.8, 0.36, 0.48]])
    for k, g in enumerate(_REFLECTIONS[:reflections]):
        at, image = (quadrature.point_table(lmax, q, field) for q in (p, p * g))
        sector += 2**k * (np.sum(at * image, axis=0) < 0)
    table = quadrature.point_table(lmax, orbits(degree, reflections)[0], field)
    order = np.argsort(sector, kind="stable").astype(np.int32)  # the same dtype with and without 64-bit types
    return order, tuple(table[:, sector == c] for c in range(2**reflections))


def _sums(*factors):
    """The pieces Σ_a f_a g_(a xor c), of those of f and then of g: half of each sum, and the other half."""
    f, g = one_pass.halves(factors)
    sectors = range(len(f))
    return one_pass.add(*([sum(f[a] * g[a ^ c] for a in half) for c in sectors] for half in one_pass.halves(sectors)))


def _jvp(primals, tangents):
    (f, g), (df, dg) = one_pass.halves(primals), one_pass.halves([ad.instantiate_zeros(t) for t in tangents])
    changes = zip(_multiply.bind(*df, *g), _multiply.bind(*f, *dg), strict=True)
    return _multiply.bind(*primals), [a + b for a, b in changes]


def _transpose(cotangents, *factors):
    """Σ_c z_c Σ_a f_a g_(a xor c) is the same in all three: the cotangent times the other factor."""
    f, g = one_pass.halves(factors)
    first = ad.is_undefined_primal(f[0])
    found = _multiply.bind(*map(ad.instantiate_zeros, cotangents), *(g if first else f))
    return [*found, *[None] * len(g)] if first else [*[None] * len(f), *found]


def _batched(factors, axes):
    size = next(a.shape[i] for a, i in zip(factors, axes, strict=True) if i is not None)
    moved = [
        jnp.broadcast_to(a, (size, *a.shape)) if i is None else jnp.moveaxis(a, i, 0)
        for a, i in zip(factors, axes, strict=True)
    ]
    return _multiply.bind(*moved), [0] * (len(factors) // 2)


_multiply = Primitive("product_of_sectors")
_multiply.multiple_results = True
_multiply.def_abstract_eval(lambda *factors: list(one_pass.halves(factors)[0]))
compile_alone(_multiply)
mlir.register_lowering(_multiply, mlir.lower_fun(_sums))
ad.primitive_jvps[_multiply] = _jvp
ad.primitive_transposes[_multiply] = _transpose
batching.primitive_batchers[_multiply] = _batched

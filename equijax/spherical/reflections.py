"""Functions in parts that are even or odd under reflections: one point of every orbit is enough.

With B reflections g that commute, a function is a sum of 2^B parts f_c, where bit k of c says whether the part is odd
under the k-th one: at the image g p it has the value ±f_c(p). Each part comes from its own coefficients only, which
divides the operations of a transform by 2^B, and parts multiply as

    (f g)_c = Σ_a f_a g_{a xor c} .

The same holds for the components of gradients along e_θ and e_φ, with parities of their own.
"""

import dataclasses
import functools

import jax
import numpy as np
from jaxtyping import Array

from equijax.spherical import quadrature

_REFLECTIONS = np.array([[-1, -1, -1], [-1, 1, 1]])  # p -> -p and x -> -x, as signs
_BOTH_FROM = 24  # degree of exactness from which both are used: half the operations again, at the same speed below


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Parts:
    """The values of the parts of a function, each an array with the points first."""

    values: tuple[Array, ...]

    def __mul__(self, other: "Parts") -> "Parts":
        n = range(len(self.values))
        return Parts(tuple(sum(self.values[a] * other.values[a ^ c] for a in n) for c in n))

    def __sub__(self, other: "Parts") -> "Parts":
        return Parts(tuple(a - b for a, b in zip(self.values, other.values, strict=True)))


@functools.cache
def orbits(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """One point of every orbit of the Lebedev rule of that degree, (n, 3), and the weights of whole orbits, (n,)."""
    points, weights = quadrature.lebedev(degree)
    signs = np.ones((1, 3))
    for g in _reflections(degree):
        signs = np.concatenate([signs, signs * g])
    images = np.round(points * signs[:, None], 9) + 0.0  # no negative zeros; (images, points, 3)
    orbit = [min(map(tuple, of_point)) for of_point in images.swapaxes(0, 1)]
    _, first, index = np.unique(orbit, axis=0, return_index=True, return_inverse=True)
    return points[first], np.bincount(index.ravel(), weights)


@functools.cache
def tables(lmax: int, degree: int, field: str) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """The order of the coefficients by parts, and for each part a table (points, coefficients)."""
    part, reflections = np.zeros((lmax + 1) ** 2, int), _reflections(degree)
    p = np.array([[0.36, 0.48, 0.8], [0.48, 0.8, 0.36], [-0.8, 0.36, 0.48]])  # in general position: shows the parities
    for k, g in enumerate(reflections):
        at, image = (quadrature.point_table(lmax, q, field) for q in (p, p * g))
        part += 2**k * (np.sum(at * image, axis=0) < 0)
    table = quadrature.point_table(lmax, orbits(degree)[0], field)
    return np.argsort(part, kind="stable"), tuple(table[:, part == c] for c in range(2 ** len(reflections)))


def _reflections(degree):
    return _REFLECTIONS[: 1 if degree < _BOTH_FROM else 2]

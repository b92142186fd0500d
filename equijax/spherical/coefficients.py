"""Integrals of three spherical harmonics: Gaunt, bracket and Clebsch-Gordan coefficients, in NumPy float64."""

import functools

import numpy as np

from equijax import _validate
from equijax.spherical import quadrature, transforms


@functools.lru_cache(maxsize=None, typed=True)  # so that 2.0 is not taken for 2
def gaunt_coefficients(l1: int, l2: int, lmax: int) -> np.ndarray:
    """G_ijk = ∫ Y_i Y_j Y_k over the sphere, for all coefficients i, j, k up to the degrees l1, l2 and lmax.

    Shape ((l1 + 1)², (l2 + 1)², (lmax + 1)²). Zero unless the sum of the three degrees is even.
    """
    return _triple(l1, l2, lmax, odd=False)


@functools.lru_cache(maxsize=None, typed=True)
def bracket_coefficients(l1: int, l2: int, lmax: int) -> np.ndarray:
    """B_ijk = ∫ Y_k {Y_i, Y_j} with the bracket {f, g} = r̂ · (∇f × ∇g); shape as `gaunt_coefficients`.

    Zero unless the sum of the three degrees is odd.
    """
    return _triple(l1, l2, lmax, odd=True)


def pointwise_coefficients(l1: int, l2: int, lmax: int, *, odd: bool) -> np.ndarray:
    """`gaunt_coefficients`, or with `odd` the `bracket_coefficients`, which have the other half of the couplings.

    Examples:
        >>> from equijax import spherical
        >>> spherical.pointwise_coefficients(1, 1, 2, odd=False).shape
        (4, 4, 9)
    """
    return (bracket_coefficients if odd else gaunt_coefficients)(l1, l2, lmax)


@functools.lru_cache(maxsize=None, typed=True)
def clebsch_gordan_coefficients(l1: int, l2: int, l3: int) -> np.ndarray:
    """The real Clebsch-Gordan tensor C of e3nn, shape (2 l1 + 1, 2 l2 + 1, 2 l3 + 1), of Frobenius norm 1.

    Obtained as the Gaunt coefficients of these degrees (even sum) or the bracket coefficients (odd sum), which are
    positive multiples of it. Zero if no such coupling exists.
    """
    l1, l2, l3 = (_validate.integer(name, l) for name, l in (("l1", l1), ("l2", l2), ("l3", l3)))
    if not abs(l1 - l2) <= l3 <= l1 + l2:
        return quadrature.frozen(np.zeros((2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1)))
    block = _triple(l1, l2, l3, odd=(l1 + l2 + l3) % 2 == 1, single=True)
    return quadrature.frozen(block / np.linalg.norm(block))


def _triple(l1: int, l2: int, l3: int, odd: bool, single: bool = False) -> np.ndarray:
    """∫ Y Y Y or ∫ {Y, Y} Y by exact quadrature, all degrees up to the given ones, or these `single` degrees."""
    l1, l2, l3 = (_validate.integer(name, l) for name, l in (("l1", l1), ("l2", l2), ("lmax", l3)))
    degree = l1 + l2 + l3
    first = (l * l if single else 0 for l in (l1, l2, l3))
    a, b, c = first

    def table(l, start, field="value"):
        return quadrature.tensor_table(*transforms.tables(l, degree, field))[:, start:]

    _, azimuths, weights, step = quadrature.product_rule(degree)
    weights = np.tile(weights * step, len(azimuths))
    pairs = [("theta", "phi", 1), ("phi", "theta", -1)] if odd else [("value", "value", 1)]
    product = sum(s * table(l1, a, f)[:, :, None] * table(l2, b, g)[:, None, :] for f, g, s in pairs)
    out = np.einsum("pq,pk->qk", product.reshape(len(weights), -1), weights[:, None] * table(l3, c), optimize=True)
    out = out.reshape(*product.shape[1:], -1)
    out[np.abs(out) < 1e-13 * max(1, np.abs(out).max())] = 0  # rounding of entries that vanish
    return quadrature.frozen(out)

"""What each way of computing a product costs: operations, numbers moved, tables; and what a TPU does in a second.

Counts are for one row and channel, forward only. K = (l1 + 1)² + (l2 + 1)² + (lmax + 1)² are the coefficients of both
factors and the product, and D = l1 + l2 + lmax is the degree of the integrand.
"""

import functools

import numpy as np

from equijax import spherical
from equijax.spherical import reflections, transforms

# A TPU v5e, from Google's data sheet: bytes a second from main memory, and operations a second of its matrix units on
# bfloat16 (four arrays of 128 x 128 multipliers and adders at 1.5 GHz: 4 · 128² · 2 · 1.5e9).
BANDWIDTH, MATRIX = 819e9, 197e12
VECTOR = 6.1e12  # operations of its vector units: four on each of 8 x 128 lanes at 1.5 GHz
# A float32 number is the sum of 1, 2 or 3 bfloat16 numbers to 8, 16 or 24 bits, and the products of such sums whose
# size is above the rounding of the last one are 1, 3 or 6 passes of the matrix units.
PASSES = {"default": 1, "high": 3, "highest": 6}
WIDTH = 128  # rows and columns of a matrix unit: tables of fewer columns are padded to that


def flops(method: str, l1: int, l2: int, lmax: int) -> int:
    """Floating-point operations of a method of `planner.METHODS`.

    - terms: a multiplication and an addition for each coupling that is not zero.
    - fft: three real transforms of N points, each 5/2 N log₂ N; the product at N points; and the Fourier tables, one
      complex multiply-add (8 operations) for each coefficient and colatitude.
    - separable: for each order m a table (colatitudes, degrees), of all orders (2l + 1)(l + 1) entries a colatitude at
      most; then the azimuths in [0, π], sines and cosines apart, 2l + 1 entries a point; a multiply-add each.
    - grid, split: a multiply-add for each point and coefficient, as each coefficient is in one sector only; S sectors
      multiply to S, in S² multiplications and S (S - 1) additions, at each point.
    """
    degrees = l1, l2, lmax
    K = _coefficients(degrees)
    if method == "terms":
        return 2 * couplings(*degrees, odd=False)
    if method == "fft":
        n_u, n_v = transforms.torus_sizes(l1 + l2, lmax)
        points = n_u * n_v
        return points + 3 * int(2.5 * points * points.bit_length()) + 8 * n_u * K
    S, points = sectors(method, sum(degrees)), points_of(method, sum(degrees))
    at_points = points * S * (2 * S - 1)
    if method == "separable":
        to_colatitudes = 2 * (sum(degrees) // 2 + 1) * sum((2 * l + 1) * (l + 1) for l in degrees)
        return to_colatitudes + points * 2 * sum(2 * l + 1 for l in degrees) + at_points
    return points * 2 * K + at_points


def floats(method: str, l1: int, l2: int, lmax: int) -> int:
    """Numbers read and written: the features once; values of x, y and z at all points, each written and read.

    Beside them "separable" has values at (colatitude, order), Σ (2l + 1) = 2 D + 3 a colatitude, written and read; and
    "fft" has a spectrum for each of the three fields, complex and one-sided, as large as the field.
    """
    degrees = l1, l2, lmax
    K, D = _coefficients(degrees), sum(degrees)
    if method == "terms":
        return K
    if method == "fft":
        n_u, n_v = transforms.torus_sizes(l1 + l2, lmax)
        return K + 2 * 3 * 2 * n_u * n_v
    between = 2 * (D // 2 + 1) * (2 * D + 3) if method == "separable" else 0
    return K + 2 * 3 * sectors(method, D) * points_of(method, D) + between


def table(method: str, l1: int, l2: int, lmax: int) -> int:
    """Numbers in the constant tables; those of "fft" are complex, two each."""
    degrees = l1, l2, lmax
    nodes = sum(degrees) // 2 + 1
    if method == "terms":
        return 0
    if method == "fft":
        return 2 * transforms.torus_sizes(l1 + l2, lmax)[0] * _coefficients(degrees)
    if method == "separable":  # over degrees for each order; and over orders
        return sum((2 * l + 1) * (nodes * (l + 1) + nodes) for l in degrees)
    return points_of(method, sum(degrees)) * _coefficients(degrees)


def couplings(l1: int, l2: int, lmax: int, *, odd: bool) -> int:
    """How many couplings are not zero."""
    return int(np.count_nonzero(spherical.pointwise_coefficients(l1, l2, lmax, odd=odd)))


def points_of(method: str, degree: int) -> int:
    """Points of the grid of that degree, one of each orbit under the reflections that the method uses."""
    if method == "separable":  # azimuths in [0, π]
        return (degree // 2 + 1) * (degree // 2 + 1 + degree % 2)
    return orbits(degree, transforms.split_reflections(degree) if method == "split" else 0)


def orbits(degree: int, count: int) -> int:
    """Orbits of the Lebedev points of that degree under so many reflections."""
    return len(reflections.orbits(degree, count)[0])


def sectors(method: str, degree: int) -> int:
    """In how many pieces, even or odd under reflections, the method takes a function apart."""
    if method == "separable":
        return 2
    return 2 ** transforms.split_reflections(degree) if method == "split" else 1


@functools.cache
def kernel_by_terms(l1: int, l2: int, lmax: int, odd: bool) -> float:
    """Seconds that the operations of a fused kernel take on a TPU v5e, at full rate, by sums over couplings."""
    return 2 * couplings(l1, l2, lmax, odd=odd) / VECTOR


@functools.cache
def kernel_by_grid(l1: int, l2: int, lmax: int, odd: bool, precision: str, count: int) -> float:
    """The same by values on a grid in sectors of `count` reflections.

    A matrix unit takes WIDTH columns at a time. On the way there each table (points, coefficients of a sector) counts
    as one of WIDTH columns: for each sector, both factors, and both components of their gradients in a bracket. On the
    way back a table has a row for each coefficient, and as many columns as there are points, rounded up.
    """
    points, fields = orbits(l1 + l2 + lmax, count), 1 + odd
    there = points * 2**count * 2 * fields * WIDTH
    back = (lmax + 1) ** 2 * -(-points // WIDTH) * WIDTH
    return 2 * (there + back) * PASSES[precision] / MATRIX


def kernel_bytes(l1: int, l2: int, lmax: int) -> int:
    """Main-memory traffic of a fused kernel in float32: each feature once."""
    return 4 * _coefficients((l1, l2, lmax))


def _coefficients(degrees):
    return sum((l + 1) ** 2 for l in degrees)

"""Matrices that groups are made of, in NumPy float64: bases of Lie algebras, turns of the plane, a reflection."""

import functools
import math

import numpy as np


@functools.cache
def skew_basis(n: int) -> np.ndarray:
    """Basis (dim, n, n) of the skew matrices: E_ij = e_j e_iᵀ − e_i e_jᵀ, i < j in order; about x, y, z for n = 3."""
    pairs = [(1, 2), (2, 0), (0, 1)] if n == 3 else [(i, j) for i in range(n) for j in range(i + 1, n)]
    basis = np.zeros((math.comb(n, 2), n, n))
    for e, (i, j) in zip(basis, pairs, strict=True):
        e[j, i], e[i, j] = 1, -1
    return basis


@functools.cache
def traceless_basis(n: int) -> np.ndarray:
    """Orthonormal basis of symmetric matrices without trace: n − 1 diagonal ones, then e_i e_jᵀ + e_j e_iᵀ, i < j."""
    basis = []
    for k in range(1, n):
        basis.append(np.diag([1.0] * k + [-k] + [0.0] * (n - k - 1)) / math.sqrt(k * (k + 1)))
    for i in range(n):
        for j in range(i + 1, n):
            e = np.zeros((n, n))
            e[i, j] = e[j, i] = math.sqrt(0.5)
            basis.append(e)
    return np.reshape(basis, (len(basis), n, n))  # none for n = 1


def plane_rotation(angle: np.ndarray) -> np.ndarray:
    """Rotations of the plane in NumPy, exact at quarter turns."""
    c, s = snap(np.cos(angle)), snap(np.sin(angle))
    return np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)


def reflection(n: int) -> tuple[tuple[float, ...], ...]:
    """diag(−1, 1, …, 1) as nested tuples, which hash."""
    return tuple(tuple(row) for row in np.diag([-1.0] + [1.0] * (n - 1)).tolist())


def snap(x: np.ndarray) -> np.ndarray:
    """`x` with entries within rounding of a half-integer put there."""
    half = np.round(2 * x) / 2
    return np.where(np.abs(x - half) < 1e-14, half + 0.0, x)

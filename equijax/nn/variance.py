"""The constants that keep features at unit variance through activations and products."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from equijax import _validate


@functools.cache
def gain(activation: Callable) -> float:
    """1/√E[φ(z)²] of an activation φ, for a standard normal z."""
    z = np.linspace(-12, 12, 4097)
    return _inverse_rms(_values(activation, z), -(z**2) / 2)


@functools.cache
def norm_gain(activation: Callable, degree: int) -> float:
    """1/√E[n² φ(n)²] for n² the mean of 2l + 1 squares of standard normals."""
    n = np.linspace(0, 12, 4097)[1:]
    k = 2 * degree + 1
    return _inverse_rms(n * _values(activation, n), (k - 1) * np.log(n) - k * n**2 / 2)


@functools.cache
def path_variances(l1: int, l2: int, lmax: int, *, odd: bool = False) -> np.ndarray:
    """Variance that each path of a product contributes to every coefficient of the result, shape (l1+1, l2+1, lmax+1).

    For independent inputs of unit variance:

        even:  v_abc = (2a+1)(2b+1)/4π (a b c; 0 0 0)²
        odd:   v_abc = (2a+1)(2b+1)/4π (J+1)(J-2a)(J-2b)(J-2c+1)/4 (a b c-1; 0 0 0)² / (a(a+1) b(b+1)) ,  J = a+b+c ,

    where the inputs of the bracket are divided by √(l(l+1)). The symbols are (a b c; 0 0 0)² = ½ ∫ P_a P_b P_c.
    """
    l1, l2, lmax = (_validate.integer(name, l) for name, l in (("l1", l1), ("l2", l2), ("lmax", lmax)))
    x, weights = np.polynomial.legendre.leggauss((l1 + l2 + lmax) // 2 + 1)
    P = np.polynomial.legendre.legvander(x, max(l1, l2, lmax)).T
    symbols = np.einsum("ax,bx,cx,x->abc", P[: l1 + 1], P[: l2 + 1], P[: lmax + 1], weights / 2)
    symbols[np.abs(symbols) < 1e-14] = 0
    a, b, c = np.ogrid[: l1 + 1, : l2 + 1, : lmax + 1]
    J = a + b + c
    if odd:
        symbols = np.concatenate([0 * symbols[..., :1], symbols[..., :-1]], axis=-1)
        symbols = symbols * (J + 1) * (J - 2 * a) * (J - 2 * b) * (J - 2 * c + 1) / 4
        symbols = symbols / np.maximum(a * (a + 1) * b * (b + 1), 1)
    variances = (2 * a + 1) * (2 * b + 1) / (4 * np.pi) * symbols
    variances.flags.writeable = False
    return variances


def unit_scale(variances: np.ndarray) -> np.ndarray:
    """1/√v, and 0 where nothing arrives."""
    return np.where(variances > 0, 1 / np.sqrt(np.where(variances > 0, variances, 1)), 0)


def _values(activation, points):
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        return np.asarray(activation(points), np.float64)


def _inverse_rms(values, log_density):
    density = np.exp(log_density - log_density.max())
    return float(np.sqrt(density.sum() / (density @ values**2)))

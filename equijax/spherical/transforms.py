"""From coefficients to values on a grid and back: exact routes that differ in cost only.

A product of functions whose degrees sum to `band` is projected exactly onto degrees up to `lmax` by

    from_grid(to_grid(x) * to_grid(y)) .

Here, and inside the package only, coefficients and grid points are on the FIRST axis: matrix products then run over all
rows and channels at once, which is up to three times faster on a CPU.

- grid: Lebedev points, one matrix product, O(L⁴).
- split: the same points, in sectors that are even or odd under reflections (see `reflections`), O(L⁴) / 2, 4 or 8.
- separable: Gauss-Legendre nodes times equispaced azimuths, first over degrees (one matrix an order m), then over
  orders, sines and cosines apart, O(L³).
- fft: the torus of both angles, real fast Fourier transforms of the smallest alias-free sizes. θ runs over [0, 2π) with
  a signed sinθ, so that Y_lm is a trigonometric polynomial; the way back integrates over [0, π] in closed form.

References:
    Luo, Chen and Krishnapriyan 2024, arXiv:2401.10216 (the Fourier route); the grids are textbook quadrature.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax.spherical import quadrature, reflections
from equijax.spherical.reflections import Sectors

Field = Literal["value", "theta", "phi"]  # f, ∂f/∂θ, (1/sinθ) ∂f/∂φ
Features = Float[Array, "coefficients *rest"]
Values = Float[Array, "points *rest"]

_REFLECTIONS_FROM = (15, 27)  # degrees from which a second and a third one pay on a CPU: half the operations each


def to_grid(method: str, x: Features, band: int, lmax: int, field: Field = "value", precision="highest") -> Any:
    """Values of the functions Σ x_lm Y_lm, or of a component of their gradient, at the points of the route `method`.

    Args:
        method: "grid", "split", "separable" or "fft".
        x: Coefficients on the first axis.
        band: Sum of the degrees of all factors of the product to come.
        lmax: Degree to be read off in the end.
        field: The function, or the component of its gradient along e_θ or e_φ.
        precision: Of the matrix products.

    Returns:
        An array, points first, or `Sectors` by "split" and "separable"; either can be multiplied and subtracted.
    """
    return _TO[method](x, band, lmax, field, precision)


def from_grid(method: str, values: Any, band: int, lmax: int, precision="highest") -> Features:
    """Coefficients ∫ f Y_lm, l = 0..lmax, of a product f of degree `band`."""
    return _FROM[method](values, band, lmax, precision)


def grid_points(band: int, lmax: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions s of the route "grid", with the unit vectors e_θ and e_φ, each of shape (points, 3)."""
    points, _ = quadrature.lebedev(band + lmax)
    x, c, z = points.T
    s, phi = np.sqrt(1 - c**2), np.arctan2(x, z)
    along_theta = np.stack([c * np.sin(phi), -s, c * np.cos(phi)], -1)
    return points, along_theta, np.stack([np.cos(phi), 0 * phi, -np.sin(phi)], -1)


def by_order(x: Features) -> Float[Array, "orders degrees *rest"]:
    """(coefficients, ...) as (m = -L..L, l = 0..L, ...), with zeros where l < ‖m‖."""
    lmax = _degree(x)
    rest = [(0, 0)] * (x.ndim - 1)
    return jnp.stack([jnp.pad(d, [(lmax - l, lmax - l), *rest]) for l, d in enumerate(by_degree(x))], axis=1)


def from_order(z: Float[Array, "orders degrees *rest"]) -> Features:
    """The inverse of `by_order`."""
    lmax = z.shape[1] - 1
    rows = [(m + lmax) * (lmax + 1) + l for l in range(lmax + 1) for m in range(-l, l + 1)]
    return z.reshape(z.shape[0] * z.shape[1], *z.shape[2:])[np.array(rows, np.int32)]


def by_degree(x: Float[Array, "..."], axis: int = 0) -> Sequence[Array]:
    """The blocks of 2l + 1 coefficients of every degree. By one split, whose transpose is one concatenation."""
    lmax = round(x.shape[axis] ** 0.5) - 1
    return jax.lax.split(x, [2 * l + 1 for l in range(lmax + 1)], axis=axis % x.ndim)


def tables(lmax: int, degree: int, field: Field = "value") -> tuple[np.ndarray, np.ndarray]:
    """Θ[l, m, j] and Φ[m, k] of a field at the nodes of the product rule of that degree."""
    cosines, azimuths, _, _ = quadrature.product_rule(degree)
    return quadrature.fields(lmax, cosines, azimuths, field)


def torus_sizes(band: int, lmax: int) -> tuple[int, int]:
    """The numbers of colatitudes in [0, 2π) and of azimuths: the smallest alias-free, rounded up to 5-smooth."""
    return _smooth(2 * band + 1), _smooth(max(band, lmax) + lmax + 1)


def split_reflections(degree: int) -> int:
    """How many reflections the route "split" uses for integrands of that degree."""
    return 1 + sum(degree >= first for first in _REFLECTIONS_FROM)


def _grid_to(x, band, lmax, field, precision):
    return product(_grid_table(_degree(x), band + lmax, field), x, precision)


def _grid_from(values, band, lmax, precision):
    return product(_grid_dual(lmax, band + lmax), values, precision)


def _split_to(x, band, lmax, field, precision):
    order, blocks = reflections.tables(_degree(x), band + lmax, split_reflections(band + lmax), field)
    pieces = jax.lax.split(x[order], [table.shape[1] for table in blocks])
    return Sectors(tuple(product(table, piece, precision) for table, piece in zip(blocks, pieces, strict=True)))


def _split_from(values, band, lmax, precision):
    degree, count = band + lmax, split_reflections(band + lmax)
    order, blocks = reflections.tables(lmax, degree, count, "value")
    weights = reflections.orbits(degree, count)[1][:, None]
    pieces = [product((t * weights).T, v, precision) for t, v in zip(blocks, values.values, strict=True)]
    return jnp.concatenate(pieces)[np.argsort(order).astype(np.int32)]


def _separable_to(x, band, lmax, field, precision):
    theta, cosine, sine = _separable_tables(_degree(x), band + lmax, field)
    z = product(theta, by_order(x), precision)  # (m, j, ...)
    sines, cosines = product(sine, z[: sine.shape[1]], precision), product(cosine, z[sine.shape[1] :], precision)
    return Sectors((sines, cosines) if field == "phi" else (cosines, sines))


def _separable_from(values, band, lmax, precision):
    theta, cosine, sine = _separable_duals(lmax, band + lmax)
    cosines, sines = values.values
    z = jnp.concatenate([product(sine, sines, precision), product(cosine, cosines, precision)])
    return from_order(product(theta, z, precision))


def _fft_to(x, band, lmax, field, precision):
    L, (n_u, n_v) = _degree(x), torus_sizes(band, lmax)
    z = by_order(x)
    scale = np.where(np.arange(L + 1) > 0, np.sqrt(0.5), 1).astype(x.dtype)
    z = (z[L:] - 1j * z[L::-1].at[0].set(0)) * scale.reshape(-1, *[1] * (z.ndim - 1))
    z = product(_fourier_table(L, n_u, field), z, precision)  # (v, u, ...)
    f = jnp.fft.irfft2(jnp.moveaxis(z, (1, 0), (-2, -1)), s=(n_u, n_v)) * (n_u * n_v)
    return jnp.moveaxis(f.reshape(*f.shape[:-2], n_u * n_v), -1, 0)


def _fft_from(values, band, lmax, precision):
    n_u, n_v = torus_sizes(band, lmax)
    f = jnp.moveaxis(values, 0, -1).reshape(*values.shape[1:], n_u, n_v)
    z = jnp.fft.rfft2(f)[..., : lmax + 1] / (n_u * n_v)
    z = product(_fourier_dual(lmax, n_u), jnp.moveaxis(z, (-1, -2), (0, 1)), precision)  # (m, l, ...)
    scale = np.where(np.arange(lmax + 1) > 0, np.sqrt(2), 1).astype(values.dtype).reshape(-1, *[1] * (z.ndim - 1))
    return from_order(jnp.concatenate([-(scale * z.imag)[:0:-1], scale * z.real]))


_TO = {"grid": _grid_to, "split": _split_to, "separable": _separable_to, "fft": _fft_to}
_FROM = {"grid": _grid_from, "split": _split_from, "separable": _separable_from, "fft": _fft_from}


def product(table, x, precision):
    """table (..., p, a) times x (..., a, ...) with the same leading axes: one plain (batched) matrix product."""
    lead = table.ndim - 1
    rest = x.shape[lead:]
    table = table.astype(np.result_type(x.dtype, np.complex64) if np.iscomplexobj(table) else x.dtype)
    z = jnp.matmul(table, x.reshape(*x.shape[:lead], math.prod(rest)), precision=precision)
    return z.reshape(*z.shape[:-1], *rest)


def _degree(x):
    return round(x.shape[0] ** 0.5) - 1


@functools.cache
def _grid_table(l, degree, field):
    return quadrature.point_table(l, quadrature.lebedev(degree)[0], field)


@functools.cache
def _grid_dual(l, degree):
    return (_grid_table(l, degree, "value") * quadrature.lebedev(degree)[1][:, None]).T


@functools.cache
def _separable_tables(l, degree, field):
    """Θ (m, j, l), and Φ (k, m) for m ≥ 0 and m < 0, at azimuths in [0, π]."""
    theta, phi = tables(l, degree, field)
    phi = phi[:, : degree // 2 + 1].T if degree % 2 == 0 else phi[:, : degree // 2 + 2].T
    return theta[:, np.abs(np.arange(-l, l + 1))].transpose(1, 2, 0), phi[:, l:], phi[:, :l]


@functools.cache
def _separable_duals(l, degree):
    _, azimuths, weights, step = quadrature.product_rule(degree)
    theta, cosine, sine = _separable_tables(l, degree, "value")
    pair = np.where(np.isin(np.arange(len(cosine)), [0, len(azimuths) / 2]), 1, 2)[:, None]  # φ and -φ, unless equal
    return (theta * weights[:, None] * step).transpose(0, 2, 1), (cosine * pair).T, (sine * pair).T


@functools.cache
def fourier_series(l: int, over_sine: bool = False) -> np.ndarray:
    """t[l, m, u] with Θ_lm(θ) = Σ_u t[l, m, u] e^{iuθ}, ‖u‖ ≤ lmax, u = -lmax..lmax; imaginary for odd m.

    With `over_sine` the series of Θ_lm / sinθ, m > 0.
    """
    n = 2 * l + 1
    angles = 2 * np.pi / n * np.arange(n)
    theta = quadrature.legendre(l, np.cos(angles), np.sin(angles), over_sine=over_sine)
    return np.fft.fftshift(np.fft.fft(theta, axis=-1) / n, axes=-1)


@functools.cache
def _fourier_table(l, n_u, field):
    u = np.arange(-l, l + 1)
    t = fourier_series(l, field == "phi")
    t = t * {"value": 1, "theta": 1j * u, "phi": 1j * np.arange(l + 1)[:, None]}[field]
    out = np.zeros((l + 1, n_u, l + 1), complex)  # (m, u, l)
    out[:, u] = t.transpose(1, 2, 0)
    return out


@functools.cache
def _fourier_dual(l, n_u):
    """2π ∫_0^π e^{iuθ} Θ_lm(θ) sinθ dθ for all frequencies u of an FFT of length n_u."""
    u = np.rint(np.fft.fftfreq(n_u, 1 / n_u)).astype(int)[:, None] + np.arange(-l, l + 1)
    kernel = (_half_turn(u + 1) - _half_turn(u - 1)) / 2j
    return 2 * np.pi * np.einsum("lmt,ut->mlu", fourier_series(l), kernel)


def _half_turn(k):
    """∫_0^π e^{ikθ} dθ for integers k."""
    return np.where(k == 0, np.pi, np.where(k % 2 == 0, 0, 2j / np.where(k == 0, 1, k)))


def _smooth(n: int) -> int:
    """The smallest number from n on with no prime factor above 5."""
    rest = n
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    return n if rest == 1 else _smooth(n + 1)

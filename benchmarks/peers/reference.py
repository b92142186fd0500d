"""Products and convolutions in float64, path by path: what every result of tensor_products.py is held against."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from equijax import products, spherical


@functools.cache
def gaunt_weights(l):
    """The weights of the paths with which a Clebsch-Gordan product is the Gaunt product, in float64."""
    gaunt = spherical.gaunt_coefficients(l, l, l)
    weights = []
    for a, b, c in products.paths(l, l, l):
        table = np.sqrt(2 * c + 1) * spherical.clebsch_gordan_coefficients(a, b, c)
        block = gaunt[a * a : (a + 1) ** 2, b * b : (b + 1) ** 2, c * c : (c + 1) ** 2]
        weights.append(np.sum(table * block) / np.sum(table**2))
    return np.array(weights)


def reference(kind, table, s, rows=2):
    """The first rows of a result in float64, by NumPy, path by path, or None for a map that only one package has.

    `kind` is one of `tables.tensor_products.NOTES`, `table` one of `TABLES` in the script, `s` a `peers.Sample`. Above
    L = 12, where the table of all couplings is large, the FFT route in float64.
    """
    if kind not in ("gaunt", "rank one", "paths"):
        return None
    l, x = s.degree, np.float64(s.x[:rows])
    degree = spherical.degree_of_coefficient(l)
    y, weights = np.float64(s.y[:rows]), np.float64(s.paths)[None]
    if l > 12:
        with jax.enable_x64(True):
            return np.array(products.gaunt(jnp.float64(x), jnp.float64(y), method="fft"))
    if table == "convolution":
        with jax.enable_x64(True):
            y = np.array(spherical.harmonics(jnp.float64(np.float64(s.direction[:rows])), l))[..., None]
        weights = np.float64(s.radial_paths[:rows])
        if kind == "gaunt":
            y = y * np.float64(s.radial[:rows])[:, degree]
    if kind == "paths":
        return path_sum(x, y, weights)
    u, v, w = np.float64(s.degrees)[:, degree] if kind == "rank one" else np.ones(3)
    return path_sum(x * u, y * v, gaunt_weights(l)[None, :, None]) * w


def path_sum(x, y, weights):
    """Σ w_abc √(2c + 1) C_abc (x_a ⊗ y_b), in float64."""
    l = round(x.shape[1] ** 0.5) - 1
    z = np.zeros(np.broadcast_shapes(x.shape, y.shape))
    for k, (a, b, c) in enumerate(products.paths(l, l, l)):
        table = np.sqrt(2 * c + 1) * spherical.clebsch_gordan_coefficients(a, b, c)
        pairs = np.einsum("ria,rja,ijk->rka", x[:, a * a : (a + 1) ** 2], y[:, b * b : (b + 1) ** 2], table)
        z[:, c * c : (c + 1) ** 2] += weights[:, k : k + 1] * pairs
    return z

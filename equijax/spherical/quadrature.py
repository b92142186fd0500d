"""Exact quadrature on the sphere: Lebedev rules, and Gauss-Legendre colatitudes times equispaced azimuths.

The polar axis is y, as everywhere in the package: a point is (sinθ sinφ, cosθ, sinθ cosφ). All tables are NumPy
float64, built once and shared; they are read-only.
"""

import functools

import numpy as np

from equijax import _validate


@functools.cache
def product_rule(degree: int, half: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Nodes and weights of the smallest product rule that integrates spherical polynomials up to `degree`.

    ∫ f = Σ_jk ω_j (2π/n) f(θ_j, φ_k), with ⌊degree/2⌋ + 1 Gauss-Legendre nodes cosθ_j and n = degree + 1 azimuths;
    both numbers are the smallest possible.

    Args:
        degree: Degree of exactness, at least 0.
        half: Only the azimuths in [0, π), out of an even number, with doubled weights: exact for even functions,
            f(-p) = f(p), with half of the points.

    Returns:
        cosθ_j of shape (n_θ,); azimuths φ_k in radians, (n_φ,); weights of the colatitudes ω_j, (n_θ,), which sum to
        2; the weight of one azimuth, a number. The weight of a node is the product of the two.

    Raises:
        ValueError: If `degree` is negative.
    """
    degree = _validate.integer("degree", degree)
    cosines, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
    n = degree + 1 + (degree + 1) % 2 if half else degree + 1
    azimuths = 2 * np.pi / n * np.arange(n // 2 if half else n)
    return frozen(cosines), frozen(azimuths), frozen(weights), frozen((4 if half else 2) * np.pi / n)


@functools.cache
def sphere(degree: int, half: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) on the unit sphere and weights (n,) of the rule of `product_rule`; the weights sum to 4π.

    Colatitudes vary fastest. With `half`, the rule is exact for even functions only.
    """
    cosines, azimuths, weights, step = product_rule(degree, half)
    phi, c = (a.ravel() for a in np.meshgrid(azimuths, cosines, indexing="ij"))
    s = np.sqrt(1 - c**2)
    points = np.stack([s * np.sin(phi), c, s * np.cos(phi)], -1)
    return frozen(points), frozen(np.tile(weights * step, len(azimuths)))


# Degrees of the Lebedev rules. That of degree 25 is left out: its large negative weights cost a digit.
LEBEDEV_DEGREES = (*range(3, 24, 2), 27, 29, 31, *range(35, 132, 6))


@functools.cache
def lebedev(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, 3) and weights (n,) of the smallest Lebedev rule that is exact up to `degree`; the weights sum to 4π.

    About degree²/3 points, two thirds of the product rule's, symmetric under all 48 symmetries of the octahedron.

    Raises:
        ValueError: If `degree` is negative or above 131, where the known rules end.

    References:
        Lebedev and Laikov 1999; scipy.integrate.lebedev_rule.
    """
    from scipy.integrate import lebedev_rule

    degree = _validate.integer("degree", degree)
    rule = next((d for d in LEBEDEV_DEGREES if d >= degree), None)
    if rule is None:
        raise ValueError(f"degree: expected at most {LEBEDEV_DEGREES[-1]}, the last Lebedev rule, got {degree}")
    points, weights = lebedev_rule(rule)
    return frozen(np.where(np.abs(points.T) < 1e-12, 0.0, points.T)), frozen(weights)


@functools.cache
def harmonics_table(lmax: int, degree: int, half: bool = False) -> np.ndarray:
    """Y_lm at the points of `sphere(degree, half)`, shape (n, (lmax + 1)²)."""
    cosines, azimuths, _, _ = product_rule(degree, half)
    return frozen(tensor_table(legendre(lmax, cosines), azimuthal(lmax, azimuths)))


def tensor_table(theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """theta[l, ‖m‖, j] · phi[m, k] for all coefficients (l, m), shape (k j, (lmax + 1)²), j fastest."""
    lmax = len(theta) - 1
    columns = [theta[l, abs(m), None, :] * phi[lmax + m, :, None] for l in range(lmax + 1) for m in range(-l, l + 1)]
    return np.stack([column.ravel() for column in columns], axis=-1)


def fields(lmax: int, cosines: np.ndarray, azimuths: np.ndarray, field: str) -> tuple[np.ndarray, np.ndarray]:
    """The factors Θ[l, m, j] and Φ[m, k] of Y_lm ("value"), ∂Y_lm/∂θ ("theta") or (1/sinθ) ∂Y_lm/∂φ ("phi").

    The last two are finite at the poles: components of the gradient along the unit vectors e_θ and e_φ.
    """
    theta = legendre(lmax, cosines, over_sine=field == "phi")
    phi = azimuthal(lmax, azimuths)
    if field == "theta":
        theta = legendre_derivative(theta)
    if field == "phi":
        phi = -np.arange(-lmax, lmax + 1)[:, None] * phi[::-1]  # Φ'_m = -m Φ_{-m}
    return theta, phi


def point_table(lmax: int, points: np.ndarray, field: str) -> np.ndarray:
    """A field of all Y_lm at unit vectors (n, 3), shape (n, (lmax + 1)²)."""
    x, y, z = points.T
    theta, phi = fields(lmax, y, np.arctan2(x, z), field)
    return np.stack([theta[l, abs(m)] * phi[lmax + m] for l in range(lmax + 1) for m in range(-l, l + 1)], axis=-1)


def legendre(lmax: int, cosines: np.ndarray, sines: np.ndarray | None = None, *, over_sine: bool = False) -> np.ndarray:
    """Normalized associated Legendre functions Θ_lm(θ), shape (lmax + 1, lmax + 1, n), zero for m > l.

    Y_lm(θ, φ) = Θ_l‖m‖(θ) Φ_m(φ) is orthonormal on the sphere. Stable recursion without factorials, first along the
    diagonal and then in the degree, with the a and b of `recursion_coefficients`:

        Θ_00 = 1/√4π ,   Θ_mm = √((2m + 1) / 2m) sinθ Θ_{m-1,m-1} ,   Θ_lm = a_lm cosθ Θ_{l-1,m} - b_lm Θ_{l-2,m} .

    They are positive near θ = 0. `sines` (default: positive) may have the sign of sinθ for θ in [0, 2π); Θ_lm then is a
    trigonometric polynomial. With `over_sine` Θ_lm / sinθ, which is finite, for m > 0, and 0 for m = 0.
    """
    c, s = cosines, np.sqrt(1 - cosines**2) if sines is None else sines
    theta = np.zeros((lmax + 1, lmax + 1, len(c)))
    theta[0, 0] = 1 / np.sqrt(4 * np.pi)
    for m in range(lmax + 1):
        if m:
            factor = 1 if over_sine and m == 1 else s
            theta[m, m] = np.sqrt((2 * m + 1) / (2 * m)) * factor * theta[m - 1, m - 1]
        for l in range(m + 1, lmax + 1):
            a, b = recursion_coefficients(l, np.array([m]))
            theta[l, m] = a * c * theta[l - 1, m] - (b * theta[l - 2, m] if l > m + 1 else 0)
    if over_sine:
        theta[:, 0] = 0
    return theta


def legendre_derivative(theta: np.ndarray) -> np.ndarray:
    """dΘ_lm/dθ from the table of `legendre`, by the ladder in m:

    dΘ_lm/dθ = ½ √((l + m)(l - m + 1)) Θ_{l,m-1} - ½ √((l - m)(l + m + 1)) Θ_{l,m+1} ,   dΘ_l0/dθ = -√(l(l + 1)) Θ_l1 .
    """
    out = np.zeros_like(theta)
    for l in range(1, theta.shape[0]):
        out[l, 0] = -np.sqrt(l * (l + 1)) * theta[l, 1]
        for m in range(1, l + 1):
            out[l, m] = np.sqrt((l + m) * (l - m + 1)) * theta[l, m - 1] / 2
            if m < l:
                out[l, m] -= np.sqrt((l - m) * (l + m + 1)) * theta[l, m + 1] / 2
    return out


def azimuthal(lmax: int, azimuths: np.ndarray) -> np.ndarray:
    """Φ_m(φ) = √2 sin(‖m‖φ), 1, √2 cos(mφ) for m = -lmax..lmax, shape (2 lmax + 1, n)."""
    m = np.arange(1, lmax + 1)[:, None] * azimuths
    return np.concatenate([np.sqrt(2) * np.sin(m[::-1]), np.ones((1, len(azimuths))), np.sqrt(2) * np.cos(m)])


def recursion_coefficients(l: int, m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The coefficients of the recursion in the degree, Θ_lm = a_lm cosθ Θ_{l-1,m} - b_lm Θ_{l-2,m}:

        a_lm = √((4l² - 1) / (l² - m²)) ,   b_lm = a_lm √(((l - 1)² - m²) / (4 (l - 1)² - 1)) = a_lm / a_{l-1,m} ,

    that of the Legendre functions, (l - m) P_lm = (2l - 1) cosθ P_{l-1,m} - (l + m - 1) P_{l-2,m}, for functions that
    are orthonormal: cosθ Θ_{l-1,m} has no components but those of the degrees l and l - 2.

    Args:
        l: The degree, at least 1.
        m: Orders, integers of any shape and sign.

    Returns:
        a_lm, 0 where ‖m‖ ≥ l, and b_lm, 0 where ‖m‖ ≥ l - 1: there is nothing of that order below.
    """
    m2 = np.minimum(m * m, (l - 1) ** 2)
    a = np.where(np.abs(m) < l, np.sqrt((4 * l * l - 1) / (l * l - m2)), 0.0)
    b = a * np.sqrt(np.maximum((l - 1) ** 2 - m2, 0) / max(4 * (l - 1) ** 2 - 1, 1))
    return a, b


def frozen(a: np.ndarray | float) -> np.ndarray:
    """`a` as an array that cannot be written: cached tables are shared."""
    a = np.asarray(a)
    a.flags.writeable = False
    return a

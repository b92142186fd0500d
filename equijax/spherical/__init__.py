"""Functions on the sphere: harmonics, quadrature, transforms to a grid and back, couplings, Wigner matrices."""

from equijax.spherical import quadrature, transforms
from equijax.spherical.coefficients import (
    bracket_coefficients,
    clebsch_gordan_coefficients,
    gaunt_coefficients,
    pointwise_coefficients,
)
from equijax.spherical.degrees import ByDegree, checked_degrees
from equijax.spherical.harmonics import degree_of_coefficient, harmonics, lmax_of
from equijax.spherical.wigner import wigner_blocks, wigner_matrix

__all__ = [
    "ByDegree",
    "bracket_coefficients",
    "checked_degrees",
    "clebsch_gordan_coefficients",
    "degree_of_coefficient",
    "gaunt_coefficients",
    "harmonics",
    "lmax_of",
    "pointwise_coefficients",
    "quadrature",
    "transforms",
    "wigner_blocks",
    "wigner_matrix",
]

"""Functions on the sphere: harmonics, quadrature, Wigner matrices."""

from equijax.spherical import quadrature
from equijax.spherical.harmonics import degree_of_coefficient, harmonics, lmax_of
from equijax.spherical.wigner import wigner_blocks, wigner_matrix

__all__ = ["degree_of_coefficient", "harmonics", "lmax_of", "quadrature", "wigner_blocks", "wigner_matrix"]

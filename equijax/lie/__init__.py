"""Convolutions on Lie groups: lifting and correlation for any group ℝⁿ ⋊ H, on images and on points.

A symmetry is a group of affine maps; it acts on images by moving them, and on features on the group by moving their
arguments. Kernels are functions of group elements, integrals are sums over nodes with the weights of the Haar measure.
"""

from equijax.lie.correlation import Separable, correlate, lift, relative, stencil_points
from equijax.lie.kernels import (
    b_spline,
    bump,
    coordinates,
    gaussian,
    gaussian_features,
    sine_features,
    spline_basis,
    stretch,
)
from equijax.lie.nodes import chart_nodes
from equijax.lie.points import correlate_points, lift_points, nearest
from equijax.lie.pooling import center_of_mass, downsample, interior, normalize, pool_about, project

__all__ = [
    "Separable",
    "b_spline",
    "bump",
    "center_of_mass",
    "chart_nodes",
    "coordinates",
    "correlate",
    "correlate_points",
    "downsample",
    "gaussian",
    "gaussian_features",
    "interior",
    "lift",
    "lift_points",
    "nearest",
    "normalize",
    "pool_about",
    "project",
    "relative",
    "sine_features",
    "spline_basis",
    "stencil_points",
    "stretch",
]

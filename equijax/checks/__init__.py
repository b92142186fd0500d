"""How symmetric is a function? One call for a verdict, one for each layer, one for the derivative along the group."""

from equijax.checks import strategies
from equijax.checks.derivative import lie_derivative
from equijax.checks.equivariance import assert_equivariant, check
from equijax.checks.layers import Layer, Layers, layerwise
from equijax.checks.report import Report, Row

__all__ = [
    "Layer",
    "Layers",
    "Report",
    "Row",
    "assert_equivariant",
    "check",
    "layerwise",
    "lie_derivative",
    "strategies",
]

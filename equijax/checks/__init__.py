"""How symmetric is a function? One call for a verdict, one for each layer."""

from equijax.checks import strategies
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
    "strategies",
]

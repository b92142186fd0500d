"""How symmetric is a function? One call for a verdict, one for each layer, one for all that can be measured."""

from equijax.checks import strategies
from equijax.checks.equivariance import assert_equivariant, check
from equijax.checks.layers import Layer, Layers, layerwise
from equijax.checks.reports import Report, Row
from equijax.checks.summary import Summary, report

__all__ = [
    "Layer",
    "Layers",
    "Report",
    "Row",
    "Summary",
    "assert_equivariant",
    "check",
    "layerwise",
    "report",
    "strategies",
]

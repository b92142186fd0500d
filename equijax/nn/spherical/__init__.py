"""Layers of features on the sphere: linear maps, nonlinearities, products."""

from equijax.nn.spherical.by_degree import LinearByDegree, NormalizationByDegree, gate_by_degree
from equijax.nn.spherical.gaunt_product import GauntProduct
from equijax.nn.spherical.linear import Linear, linear
from equijax.nn.spherical.many_body import ManyBodyProduct
from equijax.nn.spherical.nonlinear import Gate, NormActivation
from equijax.nn.spherical.normalization import Normalization, rms_normalize

__all__ = [
    "Gate",
    "GauntProduct",
    "Linear",
    "LinearByDegree",
    "ManyBodyProduct",
    "NormActivation",
    "Normalization",
    "NormalizationByDegree",
    "gate_by_degree",
    "linear",
    "rms_normalize",
]

"""Flax modules: linear maps, nonlinearities, products, messages, radial functions, group convolutions."""

from equijax.nn.equivariant import EquivariantBilinear, EquivariantLinear, EquivariantMLP, gated
from equijax.nn.graphs.message_passing import MessagePassing, ZonalConvolution, aggregate
from equijax.nn.graphs.radial import RadialBasis, bessel_basis, polynomial_cutoff
from equijax.nn.lie.group_convolution import GroupConv, LiftingConv
from equijax.nn.lie.kernel_network import GaussianKernel, SineKernel, SplineKernel
from equijax.nn.plain import MLP, Dense
from equijax.nn.spherical.gaunt_product import GauntProduct
from equijax.nn.spherical.linear import Linear, linear
from equijax.nn.spherical.many_body import ManyBodyProduct
from equijax.nn.spherical.nonlinear import Gate, NormActivation
from equijax.nn.spherical.normalization import Normalization, rms_normalize

__all__ = [
    "MLP",
    "Dense",
    "EquivariantBilinear",
    "EquivariantLinear",
    "EquivariantMLP",
    "Gate",
    "GauntProduct",
    "GaussianKernel",
    "GroupConv",
    "LiftingConv",
    "Linear",
    "ManyBodyProduct",
    "MessagePassing",
    "NormActivation",
    "Normalization",
    "RadialBasis",
    "SineKernel",
    "SplineKernel",
    "ZonalConvolution",
    "aggregate",
    "bessel_basis",
    "gated",
    "linear",
    "polynomial_cutoff",
    "rms_normalize",
]

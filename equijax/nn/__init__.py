"""Flax modules: linear maps, nonlinearities, products, messages, radial functions, group convolutions."""

from equijax.nn.equivariant import EquivariantBilinear, EquivariantLinear, EquivariantMLP, gated
from equijax.nn.gaunt_product import GauntProduct
from equijax.nn.group_convolution import GroupConv, LiftingConv
from equijax.nn.kernel_network import GaussianKernel, SineKernel, SplineKernel
from equijax.nn.linear import Linear, linear
from equijax.nn.many_body import ManyBodyProduct
from equijax.nn.message_passing import MessagePassing, ZonalConvolution, aggregate
from equijax.nn.nonlinear import Gate, NormActivation
from equijax.nn.normalization import Normalization, rms_normalize
from equijax.nn.radial import MLP, RadialBasis, bessel_basis, polynomial_cutoff

__all__ = [
    "MLP",
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

"""Layers of features on Lie groups: lifting, correlation, networks for kernels."""

from equijax.nn.lie.group_convolution import GroupConv, LiftingConv
from equijax.nn.lie.kernel_network import GaussianKernel, SineKernel, SplineKernel

__all__ = ["GaussianKernel", "GroupConv", "LiftingConv", "SineKernel", "SplineKernel"]

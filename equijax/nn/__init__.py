"""Flax modules: linear maps, products and radial functions with learned parameters."""

from equijax.nn.linear import Linear, linear
from equijax.nn.many_body import ManyBodyProduct
from equijax.nn.radial import MLP, RadialBasis, bessel_basis, polynomial_cutoff

__all__ = ["MLP", "Linear", "ManyBodyProduct", "RadialBasis", "bessel_basis", "linear", "polynomial_cutoff"]

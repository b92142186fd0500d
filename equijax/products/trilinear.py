"""Products of functions on the sphere as a trilinear form: what it is of, and how its couplings are found."""

import dataclasses

import numpy as np
from jax.lax import PrecisionLike

from equijax import spherical

X, Y, Z, H = range(4)  # the arguments: both factors, or the weights of a filter in place of y; the product; harmonics


@dataclasses.dataclass(frozen=True)
class Trilinear:
    """T(x, y, z) = ∫ x y z, or with `odd` ∫ z {x, y}, of functions of these degrees.

    It is the same, up to names, if x, y and z go round: ∫ z {x, y} = ∫ x {y, z} = ∫ y {z, x}. So the contraction ∂T/∂a
    with all arguments but a is the product, or bracket, of the two that follow a.

    Attributes:
        degrees: Of x, y and z.
        odd: Whether T is of brackets.
        precision: Of matrix products.
    """

    degrees: tuple[int, int, int]
    odd: bool = False
    precision: PrecisionLike = "highest"

    def factors(self, out: int) -> tuple[int, int]:
        """The arguments whose product is ∂T/∂(out), in this order; z first where the order is free.

        Then sums over couplings take the fewest operations, as z has the larger degree where those of x and y differ.
        """
        if out == X and not self.odd:
            return Z, Y
        return (out + 1) % 3, (out + 2) % 3

    def turned(self, out: int) -> "Trilinear":
        """The same form with `out` as z, its `factors` as x and y: equal for all derivatives of the same degrees."""
        a, b = self.factors(out)
        return Trilinear((self.degrees[a], self.degrees[b], self.degrees[out]), self.odd, self.precision)

    @property
    def couplings(self) -> np.ndarray:
        """t_ijk with (∂T/∂z)_k = Σ_ij t_ijk x_i y_j."""
        return spherical.pointwise_coefficients(*self.degrees, odd=self.odd)

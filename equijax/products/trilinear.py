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
        """The arguments whose product is ∂T/∂(out), in this order."""
        return (out + 1) % 3, (out + 2) % 3

    def couplings(self, out: int) -> np.ndarray:
        """t_ijk with (∂T/∂(out))_k = Σ_ij t_ijk a_i b_j, for the coefficients of a and b, the `factors`."""
        a, b = self.factors(out)
        return spherical.pointwise_coefficients(*(self.degrees[k] for k in (a, b, out)), odd=self.odd)

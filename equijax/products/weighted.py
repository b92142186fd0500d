"""Products with a weight for every path as a form of four arguments: its paths and their couplings."""

import dataclasses
import functools

import numpy as np
from jax.lax import PrecisionLike

from equijax import _validate, spherical
from equijax.products.operands import degrees as _degrees
from equijax.products.planner import Methods

X, Y, Z, W = range(4)  # the arguments: both factors, the product, the weights


@functools.lru_cache(maxsize=None, typed=True)  # so that 2.0 is not taken for 2
def paths(l1: int, l2: int, lmax: int | None = None, *, odd: bool = False) -> tuple[tuple[int, int, int], ...]:
    """The paths (a, b, c) with a ≤ l1, b ≤ l2, c ≤ lmax that a product takes, in lexicographic order.

    ‖a - b‖ ≤ c ≤ a + b, and a + b + c is even, or odd with `odd`. `lmax` is max(l1, l2) if None.

    Raises:
        ValueError: If a degree is negative, or `lmax` exceeds l1 + l2.

    Examples:
        >>> from equijax import products
        >>> products.paths(1, 1), products.paths(1, 1, odd=True)
        (((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)), ((1, 1, 1),))
    """
    l1, l2 = _validate.integer("l1", l1), _validate.integer("l2", l2)
    lmax = _degrees(l1, l2, lmax)
    return tuple(
        (a, b, c)
        for a in range(l1 + 1)
        for b in range(l2 + 1)
        for c in range(abs(a - b), min(a + b, lmax) + 1)
        if (a + b + c) % 2 == odd
    )


@dataclasses.dataclass(frozen=True)
class Weighted:
    """T(x, y, z, w) = Σ_p w_p Σ_ijk c_ijk x_i y_j z_k over the paths p, whose degrees i, j and k are of.

    Attributes:
        degrees: l1, l2 and lmax.
        odd: Whether the paths are those of odd sum.
        precision: Of matrix products.
        methods: "terms" or "matrices" by platform and number of columns, as the planner has chosen.
    """

    degrees: tuple[int, int, int]
    odd: bool = False
    precision: PrecisionLike = "highest"
    methods: Methods = ()

    @property
    def paths(self) -> tuple[tuple[int, int, int], ...]:
        """The paths, in the order of the weights."""
        return paths(*self.degrees, odd=self.odd)

    def couplings(self) -> np.ndarray:
        """c_ijk = √(2c + 1) C_abc of all paths, of shape ((l1 + 1)², (l2 + 1)², (lmax + 1)²)."""
        return _all_couplings(*self.degrees, self.odd)


@functools.cache
def path_table(a: int, b: int, ends: tuple[int, ...]) -> np.ndarray:
    """√(2c + 1) C_abc for all c of `ends`, one below the other, shape (Σ (2c + 1), (2a + 1) (2b + 1))."""
    blocks = [np.sqrt(2 * c + 1) * spherical.clebsch_gordan_coefficients(a, b, c) for c in ends]
    return np.concatenate([block.reshape(-1, block.shape[-1]).T for block in blocks])


@functools.cache
def _all_couplings(l1, l2, lmax, odd):
    table = np.zeros([(l + 1) ** 2 for l in (l1, l2, lmax)])
    for path in paths(l1, l2, lmax, odd=odd):
        block = np.sqrt(2 * path[2] + 1) * spherical.clebsch_gordan_coefficients(*path)
        table[tuple(slice(l * l, (l + 1) ** 2) for l in path)] = block
    return table

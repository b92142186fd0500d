"""The Gaunt product of two features, with learned weights."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from equijax import _validate, spherical
from equijax.nn.variance import path_variances, unit_scale
from equijax.products.operands import operands
from equijax.products.pointwise import product
from equijax.spherical.parity import Input, Output, contributions, kinds, spin


class GauntProduct(nn.Module):
    """Sum of `rank` Gaunt products of x and y, each with a weight for every degree and channel of both and the result:

        z[l] = s_l/√R Σ_r w_r[l] ((u_r x) ⋆ (v_r y))[l] ,

    in place of one weight for every path (l1, l2, l3): as a tensor, the weights of the paths are of that rank. With
    the constants s_l, independent x and y of unit variance give z of unit variance, in the mean over the weights, which
    start as standard normal numbers. Channels are not mixed: put `Linear` in front and behind.

    Of pairs (natural, pseudo) the result is the pair

        natural = n ⋆ n + p ⋆ p  (+ {n, p} + {p, n}) ,   pseudo = n ⋆ p + p ⋆ n  (+ {n, n} + {p, p}) ,

    in brackets what `bracket` adds, {f, g} = r̂ · (∇f × ∇g) of factors that are divided by √(l(l+1)): the paths of odd
    l1 + l2 + l3, without which natural inputs make no pseudo-tensor, and a model cannot tell left from right.

    Attributes:
        lmax: Degree of the result, at most the sum of those of x and y; None for the larger of the two.
        rank: R.
        bracket: Whether to add the odd paths. The result is a pair then.
        method: As for `products.gaunt`.
        precision: Of the matrix products.

    References:
        Luo, Chen and Krishnapriyan 2024, arXiv:2401.10216 (weights of rank one).

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import nn
        >>> x = jnp.ones((5, 4, 2))  # 5 rows, degrees 0 and 1, two channels
        >>> z, _ = jax.jit(nn.GauntProduct(lmax=2).init_with_output)(jax.random.key(0), x, x)
        >>> z.shape
        (5, 9, 2)
    """

    lmax: int | None = None
    rank: int = 1
    bracket: bool = False
    method: str = "auto"
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, x: Input, y: Input) -> Output:
        """The product, in the common dtype of x and y.

        Args:
            x: (..., (l1 + 1)², channels), or the pair (natural, pseudo), either of which may be None.
            y: (..., (l2 + 1)², channels or 1), or such a pair.

        Returns:
            An array (..., (lmax + 1)², channels), or the pair if x or y is one, or with `bracket`; a part that nothing
            contributes to is None.

        Raises:
            ValueError: As `products.gaunt`, and if a pair has no or unequal parts, or `rank` is not positive.
        """
        rank = _validate.integer("rank", self.rank, 1)
        # Natural (0) and pseudo (1) parts; one of each factor tells degrees and channels of all
        left, right = kinds("x", x), kinds("y", y)
        a, b = (next(iter(found.values())) for found in (left, right))
        a, b, sizes = operands(a, b, self.lmax, self.precision)
        channels = max(a.shape[-1], b.shape[-1])

        def weigh(name, kind, a, scale=1.0):
            """Every coefficient of `a` (..., coefficients, rank or 1, channels or 1) by its weights."""
            shape = (spherical.lmax_of(a, name, -3) + 1, rank, channels)
            w = self.param(name + ("_pseudo" if kind else ""), nn.initializers.normal(1.0), shape) * scale
            return a * w.astype(a.dtype)[spherical.degree_of_coefficient(shape[0] - 1)]

        def wide(name, found):
            """Each part with rank · channels channels, and ready for the bracket."""
            plain = {k: weigh(name, k, a[..., None, :]) for k, a in found.items()}
            plain = {k: a.reshape(*a.shape[:-2], rank * channels) for k, a in plain.items()}
            return plain, {k: spin(a) for k, a in plain.items()} if self.bracket else {}

        # A natural result is the product of parts of one kind and the bracket of two kinds, a pseudo one the reverse
        lefts, rights = wide("left", left), wide("right", right)
        result = {}
        for kind, terms in contributions(left, right, self.bracket).items():
            z: Any = 0.0
            variance: Any = 0.0
            for i, j, odd in terms:
                factors = lefts[odd][i], rights[odd][j]
                z += product(*factors, sizes, method=self.method, odd=odd, precision=self.precision)
                variance += path_variances(*sizes, odd=odd).sum(axis=(0, 1))
            z = z.reshape(*z.shape[:-1], rank, channels)  # (..., coefficients, rank, channels)
            result[kind] = jnp.sum(weigh("out", kind, z, unit_scale(rank * variance)[:, None, None]), axis=-2)
        if self.bracket or any(isinstance(a, (tuple, list)) for a in (x, y)):
            return result.get(0), result.get(1)
        return result[0]

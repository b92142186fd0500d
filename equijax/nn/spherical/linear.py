"""Linear maps that commute with rotations."""

import math
from collections.abc import Sequence
from typing import overload

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical
from equijax.spherical.parity import Input, Output, each


class Linear(nn.Module):
    """Every linear map between spherical features that commutes with rotations.

    Schur's lemma lets only channels of the same degree mix:

        y[l] = x[l] W_l / √c ,   x[l] ∈ ℝ^{(2l+1)×c},  W_l ∈ ℝ^{c×features},

    so unit-variance x and W_l give unit-variance y. One W_l a degree; no bias but on l = 0. Of a pair (natural, pseudo)
    each part has weights of its own, and the pseudo part no bias, which would not be invariant under reflections.

    Attributes:
        features: Channels of y.
        lmax: Degrees of y above those of x do not exist; degrees of x above `lmax` are dropped. None keeps all.
        use_bias: A bias on l = 0.
        precision: Of the matrix products.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import nn
        >>> x = jnp.ones((5, 9, 2))  # 5 rows, degrees 0 to 2, two channels
        >>> y, params = nn.Linear(3).init_with_output(jax.random.key(0), x)
        >>> y.shape, params["params"]["kernel"].shape
        ((5, 9, 3), (3, 2, 3))
    """

    features: int
    lmax: int | None = None
    use_bias: bool = False
    precision: jax.lax.PrecisionLike = "highest"

    @overload
    def __call__(self, x: ArrayLike) -> Float[Array, "..."]: ...

    @overload
    def __call__(self, x: Sequence[ArrayLike | None]) -> tuple[Float[Array, "..."] | None, ...]: ...

    @nn.compact
    def __call__(self, x: Input) -> Output:
        """The mapped features, in the form and dtype of `x`."""

        def one(x, suffix):
            degrees, channels = spherical.lmax_of(x, "x"), x.shape[-1]
            lmax = degrees if self.lmax is None else min(_validate.integer("lmax", self.lmax), degrees)
            w = self.param("kernel" + suffix, nn.initializers.normal(1.0), (lmax + 1, channels, self.features))
            biased = self.use_bias and not suffix
            bias = self.param("bias", nn.initializers.zeros, (self.features,)) if biased else None
            kept = jax.lax.slice_in_dim(x, 0, (lmax + 1) ** 2, axis=x.ndim - 2)
            return linear(kept / channels**0.5, w, bias, precision=self.precision)

        return each("x", x, one)


def linear(
    x: ArrayLike,
    w: Float[Array | np.ndarray, "degrees channels features"],
    bias: Float[Array | np.ndarray, " features"] | None = None,
    *,
    precision: jax.lax.PrecisionLike = "highest",
) -> Float[Array, "*shape features"]:
    """y[l] = x[l] w[l], and the bias on l = 0: `Linear` for those who hold their own weights.

    Raises:
        TypeError: If `x` is not of real floating-point numbers.
        ValueError: If `w` has not one matrix a degree of x, or other channels.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import nn
        >>> x, w = jnp.ones((4, 1)), jnp.array([2.0, 3.0])[:, None, None]  # degrees 0 and 1, one channel
        >>> nn.linear(x, w)[:, 0].tolist()
        [2.0, 3.0, 3.0, 3.0]
    """
    x = _validate.floating("x", x)
    lmax = spherical.lmax_of(x, "x")
    if w.shape[:2] != (lmax + 1, x.shape[-1]):
        raise ValueError(f"w: expected shape ({lmax + 1}, {x.shape[-1]}, features) for x {x.shape}, got {w.shape}")
    if lmax == 0:
        y = jnp.matmul(x, w[0].astype(x.dtype), precision=precision)
    else:
        degrees = np.eye(lmax + 1, dtype=x.dtype)[spherical.degree_of_coefficient(lmax)]
        by_coefficient = jnp.tensordot(degrees, w.astype(x.dtype), 1, precision="highest")  # compiles faster than w[l]
        rows = jnp.moveaxis(x, -2, 0)  # coefficients first: one batch of products of matrices, which CPUs are faster at
        rows = rows.reshape(len(rows), math.prod(x.shape[:-2]), x.shape[-1])  # (coefficients, rows, channels)
        y = jnp.einsum("mnc,mcf->mnf", rows, by_coefficient, precision=precision)
        y = jnp.moveaxis(y.reshape(len(rows), *x.shape[:-2], w.shape[-1]), 0, -2)
    return y if bias is None else y.at[..., 0, :].add(bias.astype(x.dtype))

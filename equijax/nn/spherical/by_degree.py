"""Layers of features whose number of channels depends on the degree, {l: (..., 2l + 1, channels of l)}."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equijax import _validate, spherical
from equijax.nn.variance import gain
from equijax.spherical import ByDegree

Features = dict[int, Float[Array, "..."]]


class LinearByDegree(nn.Module):
    """`Linear` for features by degree: y[l] = x[l] W_l / √c_l with W_l ∈ ℝ^{c_l × channels of l}.

    Degrees that x lacks do not come about. With `kinds`, a W_l of its own for each kind of rows, such as atoms of one
    species.

    Attributes:
        channels: Of y, one number a degree 0, 1, ...; degrees of x above are dropped.
        kinds: How many kinds of rows there are; None if rows are of one kind.
        precision: Of the matrix products.

    Examples:
        >>> import jax
        >>> from equijax import nn
        >>> x = {0: jnp.ones((5, 1, 8)), 1: jnp.ones((5, 3, 2))}
        >>> y, params = jax.jit(nn.LinearByDegree((4, 3)).init_with_output)(jax.random.key(0), x)
        >>> y[1].shape, params["params"]["kernel_1"].shape
        ((5, 3, 3), (2, 3))
    """

    channels: Sequence[int]
    kinds: int | None = None
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, x: ByDegree, kind: Int[Array, "..."] | None = None) -> Features:
        """The mapped features; `kind` of each row where there are kinds."""
        x = spherical.checked_degrees("x", x)
        if (kind is None) != (self.kinds is None):
            raise ValueError(f"kind: expected one for each row if there are kinds, got {self.kinds} kinds and {kind}")
        y = {}
        for l, part in x.items():
            if l < len(self.channels):
                kinds = () if self.kinds is None else (self.kinds,)
                shape = (*kinds, part.shape[-1], self.channels[l])
                w = jnp.asarray(self.param(f"kernel_{l}", nn.initializers.normal(1.0), shape), part.dtype)
                scaled = part / part.shape[-1] ** 0.5
                y[l] = jnp.matmul(scaled, w if kind is None else w[kind], precision=self.precision)
        return y


class NormalizationByDegree(nn.Module):
    """`Normalization` for features by degree, all degrees of a row by one number:

        y[l] = g_l x[l] / √(1/(L+1) Σ_l ‖x[l]‖²/(2l + 1)² + ε) ,

    with the sum over orders and channels in ‖x[l]‖², L + 1 degrees, and a learned g for each degree and channel.

    Attributes:
        epsilon: ε, in the unit of x².

    Examples:
        >>> import jax
        >>> from equijax import nn
        >>> x = {0: jnp.full((5, 1, 4), 3.0), 1: jnp.full((5, 3, 4), 3.0)}
        >>> y, _ = jax.jit(nn.NormalizationByDegree().init_with_output)(jax.random.key(0), x)
        >>> print(y[1][0, :, 0].round(4))
        [0.6124 0.6124 0.6124]
    """

    epsilon: float = 1e-12

    @nn.compact
    def __call__(self, x: ByDegree) -> Features:
        x = spherical.checked_degrees("x", x)
        wide = {l: a.astype(jnp.promote_types(a.dtype, jnp.float32)) for l, a in x.items()}
        terms = [jnp.sum(a * a, axis=(-2, -1), keepdims=True) / (2 * l + 1) ** 2 for l, a in wide.items()]
        factor = jax.lax.rsqrt(sum(terms[1:], terms[0]) / len(terms) + self.epsilon)
        return {
            l: x[l] * (factor * self.param(f"scale_{l}", nn.initializers.ones, a.shape[-1:])).astype(x[l].dtype)
            for l, a in wide.items()
        }


def gate_by_degree(
    x: ByDegree, activation: Callable[[Array], Array] = jax.nn.silu, scale: float | None = None
) -> Features:
    """Scalars pass an activation, and gate the other degrees; nothing is learned:

        y[0] = s φ(first of x[0]) ,   y[l] = s φ(next of x[0]) x[l] ,

    one scalar for each channel of a degree l > 0, behind those that pass.

    Args:
        x: Features by degree, with more scalars than there are channels above.
        activation: φ.
        scale: s; unless given 1/√E[φ(z)²] for standard normal z.

    Raises:
        ValueError: If there are not more scalars than other channels.

    Examples:
        >>> from equijax import nn
        >>> y = nn.gate_by_degree({0: jnp.ones((5, 1, 8)), 1: jnp.ones((5, 3, 2))})
        >>> {l: a.shape for l, a in y.items()}
        {0: (5, 1, 6), 1: (5, 3, 2)}
    """
    x = spherical.checked_degrees("x", x)
    widths = {l: a.shape[-1] for l, a in x.items() if l}
    scalars = x[0].shape[-1] if 0 in x else 0
    if scalars <= sum(widths.values()):
        raise ValueError(f"x: expected more scalars than the {sum(widths.values())} channels they gate, got {scalars}")
    opened = activation(x[0]) * (gain(activation) if scale is None else scale)
    sizes = [scalars - sum(widths.values()), *widths.values()]
    passed, *gates = jax.lax.split(opened, sizes, axis=opened.ndim - 1)
    return {0: passed} | {l: x[l] * gate for l, gate in zip(widths, gates, strict=True)}


def check_channels(name: str, channels: Sequence[int]) -> tuple[int, ...]:
    """Positive numbers of channels, one a degree.

    Raises:
        TypeError, ValueError: If they are none.
    """
    if isinstance(channels, str) or not isinstance(channels, Sequence) or not channels:
        raise TypeError(
            f"{name}: expected a tuple, one number of channels a degree, such as (64, 32), got {channels!r}"
        )
    return tuple(_validate.integer(name, c, 1) for c in channels)

"""One code for a set of tokens, whatever their order."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from equijax import _validate
from equijax.nn.attention import attend, in_heads
from equijax.nn.plain import Dense


class TokenAggregator(nn.Module):
    """A transformer without positions that reads a set of tokens into one more, which is learned and zero at first.

    Each layer is attention and two dense layers, with residual connections that are normalized after the sum, and the
    result is normalized once more. Without positions the order of tokens does not matter.

    Attributes:
        heads: They divide the channels.
        layers: How many.
        expansion: Width of the dense layers over that of the tokens.

    Raises:
        TypeError: If tokens are not real floating-point numbers.
        ValueError: If heads do not divide the channels, or there is no token.

    References:
        Vaswani et al. 2017, arXiv:1706.03762; Ghaemi, Muller and Bakhtiari 2025, "seq-JEPA", arXiv:2505.03176, for the
        use of it.

    Examples:
        >>> from equijax import nn
        >>> x = jax.random.normal(jax.random.key(0), (5, 3, 16))
        >>> jax.jit(nn.TokenAggregator(heads=4, layers=1).init_with_output)(jax.random.key(1), x)[0].shape
        (5, 16)
    """

    heads: int = 4
    layers: int = 3
    expansion: int = 4

    @nn.compact
    def __call__(
        self, tokens: ArrayLike, mask: Bool[Array, "... tokens"] | None = None
    ) -> Float[Array, "... channels"]:
        """The code of each set.

        Args:
            tokens: (..., tokens, channels).
            mask: Which tokens are there, all unless given; of none the code is that of the learned token alone.
        """
        x = _validate.floating("tokens", tokens)
        if x.ndim < 2 or x.shape[-1] % self.heads or not x.shape[-2]:
            raise ValueError(
                f"tokens: expected shape (..., tokens, channels), {self.heads} heads dividing it, got {x.shape}"
            )
        *batch, _, channels = x.shape
        first = self.param("token", nn.initializers.zeros, (channels,)).astype(x.dtype)
        x = jnp.concatenate([jnp.broadcast_to(first, (*batch, 1, channels)), x], axis=-2)
        bias = None
        if mask is not None:
            there = jnp.concatenate([jnp.ones((*batch, 1), bool), mask], axis=-1)
            bias = jnp.where(there, 0, -jnp.inf).astype(x.dtype)[..., None, None, :]  # heads, queries
        for k in range(self.layers):
            parts = jnp.split(Dense(3 * channels, name=f"qkv_{k}")(x), 3, axis=-1)
            query, keys, values = (in_heads(part, self.heads) for part in parts)
            y = attend(query, keys, values, bias)
            x = nn.LayerNorm(name=f"norm_{k}")(x + Dense(channels, name=f"out_{k}")(y.reshape(x.shape)))
            y = jax.nn.relu(Dense(self.expansion * channels, name=f"wide_{k}")(x))
            x = nn.LayerNorm(name=f"last_{k}")(x + Dense(channels, name=f"narrow_{k}")(y))
        return nn.LayerNorm(name="norm")(x[..., 0, :])

"""A loss of nested parts of a code, so that its first numbers are a code too."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate


def matryoshka(
    loss: Callable[..., Array | tuple[Array, dict[str, Array]]],
    sizes: Sequence[int | np.ndarray],
    weights: Sequence[int | float] | None = None,
) -> Callable[..., tuple[Float[Array, ""], dict[str, Float[Array, ""]]]]:
    """The loss Σ_m c_m ℓ(z[..., :m], ...) of any loss ℓ of a code.

    Args:
        loss: ℓ of z and other arguments, a number or (number, terms), for a z of every size.
        sizes: How many of the first numbers of z each part has; or their places, such as those of `nn.nest`, which cut
            no irrep.
        weights: c_m, by default 1.

    Returns:
        Function of z and the other arguments that returns the sum, and the loss of each part, by its size.

    Raises:
        ValueError: If there is no size, as many weights as sizes are not given, or z has less numbers.

    References:
        Kusupati et al. 2022, arXiv:2205.13147, eq. 1.

    Examples:
        >>> mean_square = lambda z, target: jnp.mean((z - target[..., : z.shape[-1]]) ** 2)
        >>> total, parts = matryoshka(mean_square, (1, 4))(jnp.arange(4.0), jnp.zeros(4))
        >>> print(total, parts["1"], parts["4"])
        3.5 0.0 3.5
    """
    places = [np.arange(_validate.integer("sizes", m, 1)) if isinstance(m, int) else np.asarray(m) for m in sizes]
    names = [str(len(part)) for part in places]
    if not places or len(set(names)) < len(names):
        raise ValueError(f"sizes: expected different ones, one at least, got {names}")
    scales = [1.0] * len(places) if weights is None else list(weights)
    if len(scales) != len(places):
        raise ValueError(f"weights: expected {len(places)}, one for each size, got {len(scales)}")

    def nested(z: ArrayLike, *others):
        z = jnp.asarray(z)
        if max(part.max() for part in places) >= z.shape[-1]:
            raise ValueError(
                f"z: expected at least {max(part.max() for part in places) + 1} numbers, got {z.shape[-1]}"
            )
        values = [loss(z[..., part], *others) for part in places]
        terms = {name: v[0] if isinstance(v, tuple) else v for name, v in zip(names, values, strict=True)}
        return sum(c * v for c, v in zip(scales, terms.values(), strict=True)), terms

    return nested

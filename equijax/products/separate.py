"""The Clebsch-Gordan product of features whose number of channels depends on the degree: each path by itself."""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import PrecisionLike
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical
from equijax.products.weighted import path_table, paths


def separate_paths(degrees: Iterable[int], l2: int, lmax: int) -> tuple[tuple[int, int, int], ...]:
    """The paths (a, b, c) of even sum with a of `degrees`, b ≤ l2 and c ≤ lmax, sorted by c, then by a and b.

    Examples:
        >>> from equijax import products
        >>> products.separate_paths((0, 1), 1, 1)
        ((0, 0, 0), (1, 1, 0), (0, 1, 1), (1, 0, 1))
    """
    degrees = tuple(degrees)
    l1 = max(degrees)
    found = paths(l1, l2, min(_validate.integer("lmax", lmax), l1 + l2))
    return tuple(sorted((path for path in found if path[0] in degrees), key=lambda path: path[2]))


def clebsch_gordan_separate(
    x: Mapping[int, ArrayLike],
    y: ArrayLike,
    weights: ArrayLike,
    *,
    lmax: int,
    precision: PrecisionLike = "highest",
) -> dict[int, Float[Array, "*batch orders channels"]]:
    """Products of features by degree with a filter that all channels share; no two paths are added up:

        z_abc = w_abc √(2c + 1) C_abc (x_a ⊗ y_b) ,   C of e3nn, of Frobenius norm 1 ,

    and the z_abc that end in the same degree c lie side by side as channels, in the order of `separate_paths`. The
    degrees of x may have different numbers of channels, which is why z_abc of different a cannot be added up; a linear
    map may mix them. Each filter becomes one small matrix for all paths of a degree of x, shared by its channels.

    Args:
        x: Features by degree {l: (..., 2l + 1, channels of l)}.
        y: The filter, (..., (l2 + 1)²), such as harmonics of an edge.
        weights: (..., weights), one for each path and channel of its degree of x, in the order of `separate_paths`.
        lmax: Largest degree kept.
        precision: Of the matrix products.

    Returns:
        Features by degree, for each degree c that a path ends in (..., 2c + 1, channels of all its paths), in the
        common dtype of the arguments.

    Raises:
        TypeError: If an argument is not of real floating-point numbers.
        ValueError: If x has no degrees, or an array of another number of orders than 2l + 1, y has no square number of
            coefficients, or the number of weights is another.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import products
        >>> x = {0: jnp.ones((5, 1, 8)), 1: jnp.ones((5, 3, 2))}  # 8 scalars and 2 vectors in 5 rows
        >>> z = products.clebsch_gordan_separate(x, jnp.ones((5, 4)), jnp.ones((5, 20)), lmax=1)
        >>> {l: a.shape for l, a in z.items()}  # of (0, 0, 0) and (1, 1, 0); of (0, 1, 1) and (1, 0, 1)
        {0: (5, 1, 10), 1: (5, 3, 10)}
    """
    x = spherical.checked_degrees("x", x)
    y, weights = _validate.floating("y", y), _validate.floating("weights", weights)
    l2 = spherical.lmax_of(y, "y", -1)
    _validate.precision(precision)
    ways = separate_paths(x, l2, lmax)
    widths = [x[a].shape[-1] for a, _, _ in ways]
    if weights.ndim < 1 or weights.shape[-1] != sum(widths):
        raise ValueError(
            f"weights: expected shape (..., {sum(widths)}), one for each path of products.separate_paths("
            f"{tuple(x)}, {l2}, {lmax}) and channel of x, got {weights.shape}"
        )
    dtype = jnp.result_type(*x.values(), y, weights)
    # Per degree of x one matrix (..., orders of the ends, orders of x) for the paths from there
    found: dict[tuple[int, int, int], Array] = {}
    for a, part in x.items():
        mine = [path for path in ways if path[0] == a]
        table = _table(a, l2, tuple(mine)).astype(dtype)
        filters = jnp.tensordot(y.astype(dtype), table, 1, precision=precision)
        z = jnp.matmul(filters, part.astype(dtype), precision=precision)  # (..., orders of the ends, channels)
        ends = jax.lax.split(z, [2 * c + 1 for _, _, c in mine], axis=z.ndim - 2)
        found |= dict(zip(mine, ends, strict=True))
    by_path = jax.lax.split(weights.astype(dtype), widths, axis=weights.ndim - 1)
    side_by_side: dict[int, list[Array]] = {}
    for path, w in zip(ways, by_path, strict=True):
        side_by_side.setdefault(path[2], []).append(found[path] * w[..., None, :])
    return {c: jnp.concatenate(parts, axis=-1) for c, parts in side_by_side.items()}


def _table(a: int, l2: int, ways: tuple[tuple[int, int, int], ...]) -> np.ndarray:
    """√(2c + 1) C_abc of the paths from a, of shape ((l2 + 1)², orders of all ends, 2a + 1)."""
    blocks = []
    for _, b, c in ways:
        block = np.zeros(((l2 + 1) ** 2, 2 * c + 1, 2 * a + 1))
        couplings = path_table(a, b, (c,)).reshape(2 * c + 1, 2 * a + 1, 2 * b + 1)
        block[b * b : (b + 1) ** 2] = couplings.transpose(2, 0, 1)
        blocks.append(block)
    return np.concatenate(blocks, axis=1)

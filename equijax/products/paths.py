"""The Clebsch-Gordan product: one weight for every way in which two degrees couple to a third."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical
from equijax.products._kernel import degrees, fit, kernel, leading_fit, operands
from equijax.spherical import transforms


@functools.cache
def paths(l1: int, l2: int, lmax: int | None = None, *, odd: bool = False) -> tuple[tuple[int, int, int], ...]:
    """The paths (a, b, c) with a ≤ l1, b ≤ l2, c ≤ lmax that a product takes, in lexicographic order.

    ‖a - b‖ ≤ c ≤ a + b, and a + b + c is even, or odd with `odd`. `lmax` is max(l1, l2) if None.

    Raises:
        ValueError: If a degree is negative, or `lmax` exceeds l1 + l2.
    """
    l1, l2 = _validate.integer("l1", l1), _validate.integer("l2", l2)
    lmax = degrees(l1, l2, lmax)
    return tuple(
        (a, b, c)
        for a in range(l1 + 1)
        for b in range(l2 + 1)
        for c in range(abs(a - b), min(a + b, lmax) + 1)
        if (a + b + c) % 2 == odd
    )


def clebsch_gordan(
    x: ArrayLike,
    y: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    lmax: int | None = None,
    odd: bool = False,
    precision="highest",
) -> Float[Array, "*batch coefficients channels"]:
    """The Clebsch-Gordan product with a weight w for every path and channel.

        z_c = Σ_{a, b} w_abc √(2c + 1) C_abc (x_a ⊗ y_b) ,   C of e3nn, of Frobenius norm 1.

    Without weights this is `e3nn_jax.tensor_product` (component normalization), summed over the paths that end in the
    same irrep. By default the paths of even a + b + c, which take natural tensors (parity (-1)^l) to natural ones;
    with `odd` those of odd sum, which give a pseudo-tensor and are therefore never mixed with the former: for SO(3)
    alone, add the two. The even (odd) paths are those of `gaunt` (`bracket`), which has fixed weights and is cheaper.

    Args:
        x: Features, (..., (l1 + 1)², channels).
        y: Features, (..., (l2 + 1)², channels); leading axes are broadcast, one channel serves all.
        weights: One a path, (paths,), or one a path and channel, (..., paths, channels), the paths in the order of
            `paths(l1, l2, lmax, odd=odd)`. All 1 if None.
        lmax: Largest degree kept, at most l1 + l2; max(l1, l2) if None.
        odd: Take the paths of odd sum instead of those of even sum.
        precision: Of the matrix products.

    Returns:
        Features (..., (lmax + 1)², channels) in the common dtype of the arguments. Half precisions are computed in
        float32. The backward pass keeps x, y and the weights only.

    Raises:
        TypeError: If an argument is not of real floating-point numbers.
        ValueError: If a coefficient axis is not a square, the number of weights is not that of the paths, channels or
            leading axes do not fit, or lmax is negative or exceeds l1 + l2.
    """
    x, y, (l1, l2, lmax) = operands(x, y, lmax)
    if weights is None:
        return _paths(x, y, lmax=lmax, odd=odd, precision=precision)
    weights = _validate.floating("weights", weights)
    n = len(paths(l1, l2, lmax, odd=odd))
    if weights.ndim == 1:
        weights = weights[:, None]
    if weights.ndim < 2 or weights.shape[-2] != n:
        raise ValueError(
            f"weights: expected shape ({n},) or (..., {n}, channels), one weight a path of "
            f"products.paths({l1}, {l2}, {lmax}, odd={odd}), got {weights.shape}"
        )
    fit("weights", weights, x if x.shape[-1] > 1 else y, "x")
    leading_fit("weights", weights.shape[:-2], y.shape[:-2], "y")
    return _paths(x, y, weights, lmax=lmax, odd=odd, precision=precision)


@kernel
def _paths(x, y, weights=None, *, lmax, odd, precision):
    xs, ys = transforms.by_degree(x), transforms.by_degree(y)
    ways = paths(len(xs) - 1, len(ys) - 1, lmax, odd=odd)
    w = None if weights is None else dict(zip(ways, jax.lax.split(weights, (1,) * len(ways)), strict=True))
    parts = [[] for _ in range(lmax + 1)]
    for (a, b), group in itertools.groupby(ways, key=lambda path: path[:2]):
        ends = tuple(c for _, _, c in group)
        pairs = xs[a][:, None] * ys[b][None]
        flat = pairs.reshape((2 * a + 1) * (2 * b + 1), -1)
        z = jnp.matmul(_table(a, b, ends).astype(flat.dtype), flat, precision=precision)
        blocks = jax.lax.split(z.reshape(-1, *pairs.shape[2:]), [2 * c + 1 for c in ends])
        for c, block in zip(ends, blocks, strict=True):
            parts[c].append(block if w is None else block * w[a, b, c])
    shape = jnp.broadcast_shapes(x.shape[1:], y.shape[1:], () if weights is None else weights.shape[1:])
    zero = jnp.zeros(shape, x.dtype)
    return jnp.concatenate([jnp.broadcast_to(sum(p, zero), (2 * c + 1, *shape)) for c, p in enumerate(parts)])


@functools.cache
def _table(a: int, b: int, ends: tuple[int, ...]) -> np.ndarray:
    """√(2c + 1) C_abc for all c of `ends`, shape (Σ (2c + 1), (2a + 1) (2b + 1))."""
    blocks = [np.sqrt(2 * c + 1) * spherical.clebsch_gordan_coefficients(a, b, c) for c in ends]
    return np.concatenate([block.reshape(-1, block.shape[-1]).T for block in blocks])

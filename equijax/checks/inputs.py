"""Inputs near the given one, and degenerate ones."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from equijax import reps
from equijax.checks.programs import Arrays
from equijax.measures.equivariance import spread
from equijax.reps import Rep

Rows = Sequence[np.ndarray | None]  # for each array a mask of its rows, False for padding; None where it has none


def perturbed(
    arrays: Arrays, moves: Sequence[bool], rng: np.random.Generator, size: float, rows: Rows
) -> list[Array | np.ndarray]:
    """`arrays` with noise of `size` times their spread on those that the group moves, but for padded rows.

    Integers stay, unless `size` is 1: then they are drawn anew among the values that they have.
    """
    found = zip(arrays, moves, rows, strict=True)
    return [_where(real, _perturbed(x, rng, size, real), x) if moved and x.size else x for x, moved, real in found]


def padded(arrays: Arrays, rng: np.random.Generator, rows: Rows) -> list[Array | np.ndarray]:
    """`arrays` with other numbers in their padded rows: of the size of the real ones, and about their mean."""
    return [x if real is None else _where(~real, _fill(x, rng, real), x) for x, real in zip(arrays, rows, strict=True)]


def _fill(x: Array | np.ndarray, rng: np.random.Generator, real: np.ndarray) -> np.ndarray:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return np.asarray(rng.choice(np.ravel(x[real]), x.shape))
    wide = np.asarray(x, np.float64)
    return wide[real].mean(axis=0) + float(spread(wide, real)) * rng.standard_normal(x.shape)


def _where(rows: np.ndarray | None, x: Array | np.ndarray, other: Array | np.ndarray) -> Array | np.ndarray:
    return x if rows is None else np.asarray(np.where(rows.reshape(-1, *(1,) * (x.ndim - 1)), x, other))


def _perturbed(
    x: Array | np.ndarray, rng: np.random.Generator, size: float, real: np.ndarray | None
) -> Array | np.ndarray:
    if jnp.issubdtype(x.dtype, jnp.floating):
        wide = np.asarray(x, np.float64)
        return np.asarray(wide + size * float(spread(wide, real)) * rng.standard_normal(x.shape))
    return np.asarray(rng.choice(np.ravel(x), x.shape)) if size == 1 else x


def zeros(x: np.ndarray) -> np.ndarray:
    """All zero."""
    return np.zeros_like(x)


def coincident(x: np.ndarray) -> np.ndarray:
    """The second row equal to the first."""
    return x[..., [0, 0, *range(2, x.shape[-2])], :]


def collinear(x: np.ndarray) -> np.ndarray:
    """Rows on the line through the first two: x₀ + (x_i − x₀)·u u."""
    origin = x[..., :1, :]
    along = x[..., 1:2, :] - origin
    along = along / np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), np.finfo(x.dtype).tiny)
    return (origin + np.sum((x - origin) * along, axis=-1, keepdims=True) * along).astype(x.dtype)


DEGENERATE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "zeros": zeros,
    "coincident": coincident,
    "collinear": collinear,
}


def hard_inputs(name: str, arrays: Arrays, arrays_reps: Sequence[Rep | None], rows: Rows) -> list[Array | np.ndarray]:
    """`arrays` with the positions and vectors that the group moves (for zeros: all numbers) made degenerate.

    Raises:
        ValueError: If `name` is unknown, or no input can be made degenerate that way.
    """
    if name not in DEGENERATE:
        raise ValueError(f"degenerate: expected names among {', '.join(DEGENERATE)}, or a dict of inputs; got {name!r}")

    def degenerate(x: Array | np.ndarray, real: np.ndarray | None) -> np.ndarray:
        x = np.array(x)
        if real is None:
            return DEGENERATE[name](x)
        x[real] = DEGENERATE[name](x[real])
        return x

    def fits(x: Array | np.ndarray, rep: Rep | None, real: np.ndarray | None) -> bool:
        if rep is None or not jnp.issubdtype(x.dtype, jnp.floating):
            return False
        count = np.sum(real) if real is not None else x.shape[-2] if x.ndim >= 2 else 0
        return name == "zeros" or (_is_points(rep) and bool(count >= 2))

    chosen = [fits(*each) for each in zip(arrays, arrays_reps, rows, strict=True)]
    if not any(chosen):
        raise ValueError(f"degenerate: no input to make {name}; expected positions or vectors of shape (n >= 2, d)")
    found = zip(arrays, rows, chosen, strict=True)
    return [degenerate(x, real) if fit else x for x, real, fit in found]


def positions_spread(arrays: Arrays, arrays_reps: Sequence[Rep | None], rows: Rows) -> float:
    """The largest spread among the positions, 1 without any."""
    found = [
        float(spread(np.asarray(x, np.float64), real))
        for x, rep, real in zip(arrays, arrays_reps, rows, strict=True)
        if _is_points(rep, (reps.Position,))
    ]
    return max(found, default=1.0)


def _is_points(rep: Rep | None, kinds: tuple[type, ...] = (reps.Position, reps.Vector)) -> bool:
    """Whether a representation, or one that it is made of, is of one of some kinds."""
    return isinstance(rep, kinds) or any(_is_points(r, kinds) for r in getattr(rep, "reps", ()))

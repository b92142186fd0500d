"""Inputs near the given one, and degenerate ones."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from equijax import reps
from equijax.checks.programs import Arrays
from equijax.measures.equivariance import spread
from equijax.reps import Rep


def perturbed(arrays: Arrays, moves: Sequence[bool], rng: np.random.Generator, size: float) -> list[Array | np.ndarray]:
    """`arrays` with noise of `size` times their spread on those that the group moves.

    Integers stay, unless `size` is 1: then they are drawn anew among the values that they have.
    """

    return [_perturbed(x, rng, size) if moved and x.size else x for x, moved in zip(arrays, moves, strict=True)]


def _perturbed(x: Array | np.ndarray, rng: np.random.Generator, size: float) -> Array | np.ndarray:
    if jnp.issubdtype(x.dtype, jnp.floating):
        wide = np.asarray(x, np.float64)
        return np.asarray(wide + size * float(spread(wide)) * rng.standard_normal(x.shape))
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


def hard_inputs(name: str, arrays: Arrays, arrays_reps: Sequence[Rep | None]) -> list[Array | np.ndarray]:
    """`arrays` with the positions and vectors that the group moves (for zeros: all numbers) made degenerate.

    Raises:
        ValueError: If `name` is unknown, or no input can be made degenerate that way.
    """
    if name not in DEGENERATE:
        raise ValueError(f"degenerate: expected names among {', '.join(DEGENERATE)}, or a dict of inputs; got {name!r}")

    def fits(x: Array | np.ndarray, rep: Rep | None) -> bool:
        if rep is None or not jnp.issubdtype(x.dtype, jnp.floating):
            return False
        return name == "zeros" or (_is_points(rep) and x.ndim >= 2 and x.shape[-2] >= 2)

    chosen = [fits(x, rep) for x, rep in zip(arrays, arrays_reps, strict=True)]
    if not any(chosen):
        raise ValueError(f"degenerate: no input to make {name}; expected positions or vectors of shape (n >= 2, d)")
    return [DEGENERATE[name](np.asarray(x)) if fit else x for x, fit in zip(arrays, chosen, strict=True)]


def positions_spread(arrays: Arrays, arrays_reps: Sequence[Rep | None]) -> float:
    """The largest spread among the positions, 1 without any."""
    found = [
        float(spread(np.asarray(x, np.float64)))
        for x, rep in zip(arrays, arrays_reps, strict=True)
        if _is_points(rep, (reps.Position,))
    ]
    return max(found, default=1.0)


def _is_points(rep: Rep | None, kinds: tuple[type, ...] = (reps.Position, reps.Vector)) -> bool:
    """Whether a representation, or one that it is made of, is of one of some kinds."""
    return isinstance(rep, kinds) or any(_is_points(r, kinds) for r in getattr(rep, "reps", ()))

"""Mixtures of Gaussians of one width, fitted with fixed shapes, and how they depend on what they are fitted to."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float

from equijax._validate import positive
from equijax.numerics.linear_algebra import matmul

DERIVATIVES = ("implicit", "unrolled")


class Mixture(NamedTuple):
    """Isotropic Gaussians of one width; those of weight zero are not there."""

    means: Float[Array, "k d"]
    weights: Float[Array, " k"]


def log_assignment(points: Float[Array, "n d"], mixture: Mixture, width: float | int | Array) -> Float[Array, "n k"]:
    """log Q_ij = log π_j − ‖y_i − μ_j‖² / 2 w² up to what makes Σ_j Q_ij = 1; −∞ for what is not there."""
    square = jnp.sum(jnp.square(points[:, None] - mixture.means), axis=-1)
    there = mixture.weights > 0
    logits = jnp.where(there, jnp.log(jnp.where(there, mixture.weights, 1)) - square / (2 * width**2), -jnp.inf)
    return jax.nn.log_softmax(logits, axis=-1)


def fit_mixture(
    points: Float[Array, "n d"],
    means: Float[Array, "k d"],
    width: float | int | Array,
    *,
    mask: Bool[Array | np.ndarray, " n"] | None = None,
    known: Bool[Array | np.ndarray, " k"] | None = None,
    steps: int = 10,
    merge: float | int = 1.0,
    derivative: str = "implicit",
) -> Mixture:
    """The mixture that points are most likely from, by expectation and maximization from given means.

        Q_ij ∝ π_j exp(−‖y_i − μ_j‖² / 2 w²) ,   μ_j = Σ_i Q_ij y_i / Σ_i Q_ij ,   π_j = mean_i Q_ij .

    Before each step, means within `merge` widths of a heavier one are merged into it: their weight becomes zero. All of
    this commutes with rigid motions of points and means.

    Args:
        points: y, shape (n, d).
        means: Where to begin, all with the same weight.
        width: w.
        mask: Which points count.
        known: Which of the means to begin with are there.
        steps: How often both are done.
        merge: In widths; 0 merges none.
        derivative: "implicit": that of the fixed point μ = T(μ, y), from dμ = (1 − ∂T/∂μ)⁻¹ ∂T/∂y dy, whose memory does
            not grow with the steps. "unrolled": that of the steps as they are. They agree where these have converged.

    Returns:
        The mixture, of which some weights may be zero.

    Raises:
        ValueError: If `derivative` is neither, or the width is not positive.

    References:
        Dempster, Laird and Rubin 1977 (the steps); Atzmon et al. 2024, arXiv:2402.08529 (for votes of parts).

    Examples:
        >>> y = jnp.array([[0.0], [0.2], [5.0], [5.2]])
        >>> found = fit_mixture(y, y[:3], 0.5)  # the second of the means is merged into the first
        >>> [f"{weight:.2f} at {mean:.2f}" for weight, mean in zip(found.weights, found.means[:, 0]) if weight > 0]
        ['0.50 at 0.10', '0.50 at 5.10']
    """
    if derivative not in DERIVATIVES:
        raise ValueError(f"derivative: expected one of {', '.join(DERIVATIVES)}, got {derivative!r}")
    positive("width", width)
    valid = jnp.ones(len(points), bool) if mask is None else jnp.asarray(mask)
    there = jnp.ones(len(means), bool) if known is None else jnp.asarray(known)
    start = Mixture(means, there.astype(means.dtype) / jnp.maximum(jnp.sum(there), 1))

    def once(mixture: Mixture) -> Mixture:
        share = jnp.where(valid[:, None], jnp.exp(log_assignment(points, mixture, width)), 0)  # (n, k)
        mass = jnp.sum(share, axis=0)
        seen = mass > 0
        mean = matmul(share.T, points) / jnp.where(seen, mass, 1)[:, None]
        kept = jax.lax.stop_gradient(mixture.means)
        return Mixture(jnp.where(seen[:, None], mean, kept), mass / jnp.maximum(jnp.sum(valid), 1))

    def solve(_, mixture: Mixture) -> Mixture:
        step = lambda mixture, _: (once(_merged(mixture, merge * width) if merge else mixture), None)  # noqa: E731
        return jax.lax.scan(step, mixture, length=steps)[0]

    if derivative == "unrolled":
        return solve(None, start)

    def left(mixture: Mixture) -> Mixture:
        return jax.tree.map(jnp.subtract, mixture, once(mixture))

    return jax.lax.custom_root(left, jax.lax.stop_gradient(start), solve, _solved)


def _solved(linear, right):
    """The solution of a linear map of mixtures, and of its transpose, as a dense system of k (d + 1) equations."""

    def dense(linear, right):
        flat, unravel = ravel_pytree(right)
        matrix = jax.jacfwd(lambda x: ravel_pytree(linear(unravel(x)))[0])(jnp.zeros_like(flat))
        return unravel(jnp.linalg.solve(matrix, flat))

    return jax.lax.custom_linear_solve(linear, right, dense, dense)


def _merged(mixture: Mixture, distance: float | int | Array) -> Mixture:
    """Weights moved to the heaviest mean within a distance; from the heaviest one on, so that none moves twice."""
    means, weights = jax.lax.stop_gradient(mixture.means), mixture.weights
    close = jnp.sum(jnp.square(means[:, None] - means), axis=-1) < distance**2
    order = jnp.argsort(-jax.lax.stop_gradient(weights))

    def take(kept, j):
        into = kept & close[j]  # heavier ones nearby that stay
        stays = ~jnp.any(into)
        return kept.at[j].set(stays & (weights[j] > 0)), jnp.where(stays, j, jnp.argmax(into))

    _, target = jax.lax.scan(take, jnp.zeros(len(weights), bool), order)
    return Mixture(mixture.means, jnp.zeros_like(weights).at[target].add(weights[order]))

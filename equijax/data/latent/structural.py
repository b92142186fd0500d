"""Linear structural models under interventions: which of the causes and effects of a node predict it everywhere?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from equijax import _validate


class LinearSEM(NamedTuple):
    """Samples of all nodes in every environment, and what they are made by."""

    nodes: Float[np.ndarray, "environments samples nodes"]
    """x, float64."""
    weights: Float[np.ndarray, "nodes nodes"]
    """B, strictly lower triangular: row i has what its causes j < i do to node i."""
    shifts: Float[np.ndarray, "environments nodes"]
    """Of the noise; zero where a node is left alone."""
    scales: Float[np.ndarray, "environments nodes"]
    """Standard deviation of the noise."""

    def split(self, target: int) -> tuple[Float[np.ndarray, "e n others"], Float[np.ndarray, "e n"]]:
        """All other nodes, in their order, and node `target`."""
        return np.delete(self.nodes, target, axis=-1), self.nodes[..., target]


def linear_sem(
    environments: int,
    samples: int,
    *,
    nodes: int = 5,
    weights: np.ndarray | None = None,
    intervened: Sequence[int] | None = None,
    shift: int | float = 1.0,
    scale: int | float = 1.0,
    noise: int | float = 1.0,
    seed: int = 0,
) -> LinearSEM:
    """x = B x + ε with B strictly lower triangular and, in environment e, ε_i = s_ei N(0, noise²) + m_ei.

    Interventions draw m_ei from N(0, shift²) and s_ei from 1/scale to scale, evenly in its logarithm, for the
    nodes that are intervened on; for others m = 0 and s = 1. What the causes of a node do to it stays the same in all
    environments, unless the node itself is intervened on; what its effects tell of it does not.

    Args:
        environments: How many, each with interventions of its own.
        samples: In each.
        nodes: How many; only where `weights` are not given.
        weights: B; by default every entry below the diagonal is ±[½, 1].
        intervened: Nodes that are intervened on; by default all.
        shift: Standard deviation of the shifts.
        scale: Largest factor of the noise, 1 or more.
        noise: Standard deviation of the noise without interventions.
        seed: Of all that is random.

    Raises:
        ValueError: If a number is out of range, B is not strictly lower triangular, or there is no such node.

    References:
        Peters et al. 2016, arXiv:1501.01332; Arjovsky et al. 2019, arXiv:1907.02893.

    Examples:
        >>> found = linear_sem(3, 100, nodes=4, intervened=[0, 3])
        >>> others, target = found.split(2)
        >>> others.shape, target.shape, (found.shifts[:, 1:3] == 0).all()
        ((3, 100, 3), (3, 100), np.True_)
    """
    for name, n in (("environments", environments), ("samples", samples), ("nodes", nodes)):
        _validate.integer(name, n, 1)
    if scale < 1 or shift < 0 or noise < 0:
        raise ValueError(f"shift, scale, noise: expected at least 0, 1 and 0, got {shift}, {scale} and {noise}")
    rng = np.random.default_rng(seed)
    if weights is None:
        weights = np.tril(rng.uniform(0.5, 1, (nodes, nodes)) * rng.choice([-1, 1], (nodes, nodes)), -1)
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1] or np.triu(weights).any():
        raise ValueError(f"weights: expected a strictly lower triangular matrix, got shape {weights.shape}:\n{weights}")
    n = len(weights)
    chosen = list(range(n) if intervened is None else intervened)
    if any(not 0 <= node < n for node in chosen):
        raise ValueError(f"intervened: expected nodes from 0 to {n - 1}, got {intervened}")
    shifts, scales = np.zeros((environments, n)), np.ones((environments, n))
    shifts[:, chosen] = shift * rng.normal(size=(environments, len(chosen)))
    scales[:, chosen] = scale ** rng.uniform(-1, 1, (environments, len(chosen)))
    epsilon = noise * scales[:, None] * rng.normal(size=(environments, samples, n)) + shifts[:, None]
    x = np.linalg.solve(np.eye(n) - weights, epsilon[..., None])[..., 0]  # (1 − B) x = ε
    return LinearSEM(x, weights, shifts, scales * noise)

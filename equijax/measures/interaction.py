"""Coordinates of a layer that do not depend on how it is parameterized."""

from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.measures.samples import in_single_or_better
from equijax.numerics import eigh, matmul, tolerance


class InteractionBasis(NamedTuple):
    """Coordinates u = Wᵀ (h − mean) of a layer, most important first."""

    matrix: Float[Array, "size size"]
    """W; columns of directions in which the activations do not vary are zero."""
    mean: Float[Array, " size"]
    """Of the activations."""
    importance: Float[Array, " size"]
    """Mean square of what a step of one standard deviation along each coordinate changes later; invariant."""

    def coordinates(self, activations: ArrayLike) -> Float[Array, "samples size"]:
        """u of each sample: of mean zero and variance one over the data, and uncorrelated."""
        return matmul(jnp.asarray(activations) - self.mean, self.matrix)


def interaction_basis(activations: ArrayLike, jacobians: ArrayLike) -> InteractionBasis:
    """The basis in which activations h are white and what later layers see of them, M = E[JᵀJ], is diagonal.

    With the covariance C of h it is W = C^(−1/2) V, where V diagonalizes C^(1/2) M C^(1/2). If the layer is
    reparameterized, h → A h and J → J A⁻¹ for any invertible A, coordinates and importances stay what they are, but for
    signs (and for turns among equal importances): principal components would not.

    Args:
        activations: h of each sample, (samples, size).
        jacobians: J of what follows with respect to h, (samples, outputs, size), as `jax.vmap(jax.jacrev(f))` gives.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If the shapes do not fit, or there is one sample.

    References:
        Bushnaq et al. 2024, arXiv:2405.10927 (the local interaction basis).

    Examples:
        >>> import jax
        >>> h = jax.random.normal(jax.random.key(0), (500, 3))
        >>> later = lambda h: jnp.stack([5 * h[0], h[1]])  # what follows does not see the last one
        >>> found = interaction_basis(h, jax.vmap(jax.jacrev(later))(h))
        >>> print([f"{value:.0f}" for value in found.importance])  # about 5², 1 and 0
        ['24', '1', '0']
    """
    h, j = in_single_or_better("activations", activations), in_single_or_better("jacobians", jacobians)
    if h.ndim != 2 or len(h) < 2:
        raise ValueError(f"activations: expected shape (samples, size) with two samples at least, got {h.shape}")
    if j.ndim != 3 or (j.shape[0], j.shape[2]) != h.shape:
        raise ValueError(f"jacobians: expected shape ({len(h)}, outputs, {h.shape[1]}), got {j.shape}")
    mean = jnp.mean(h, axis=0)
    values, vectors = eigh(matmul((h - mean).T, h - mean) / (len(h) - 1))
    varies = values > tolerance(h.dtype, 1e-6, 1e-12) * values[-1]
    root = jnp.sqrt(jnp.where(varies, values, 0))
    white = vectors * jnp.where(varies, 1 / jnp.where(varies, root, 1), 0)  # C^(−1/2), from the right
    seen = jnp.einsum("nok,kd->nod", j, vectors * root, precision="highest")  # J C^(1/2)
    importance, turn = eigh(jnp.einsum("noa,nob->ab", seen, seen, precision="highest") / len(h))
    return InteractionBasis(matmul(white, turn)[:, ::-1], mean, jnp.maximum(importance[::-1], 0))

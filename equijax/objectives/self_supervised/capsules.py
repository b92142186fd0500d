"""Capsules: which parts there are does not change between views, and their poses move by a group."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.groups import Element
from equijax.numerics import AxisName
from equijax.objectives.self_supervised.equivariance import Maps, Size, normalized_poses
from equijax.objectives.self_supervised.pairs import pair
from equijax.objectives.self_supervised.sie import with_maps
from equijax.objectives.self_supervised.vicreg import Terms, covariance_penalty, variance_hinge
from equijax.reps import Rep


def equicaps(
    capsules1: tuple[ArrayLike, ArrayLike],
    capsules2: tuple[ArrayLike, ArrayLike],
    elements: Element,
    rep: Rep,
    *,
    invariance: float | Array = 0.1,
    entropy: float | Array = 1.0,
    equivariance: float | Array = 5.0,
    variance: float | Array = 10.0,
    covariance: float | Array = 1.0,
    published: bool = False,
    size: Size | None = None,
    maps: Maps | None = None,
    soft: float | Array = 1.0,
    axis_name: AxisName = None,
) -> tuple[Float[Array, ""], Terms]:
    """Probabilities p that agree between views, and poses P that move by a group element, without a predictor:

        λ H(p′, p) + λ_h (h(p) + h(p′)) + λ_e mean (N(g·P) − N(P′))² + μ (½ v + ½ v′) + ν (c + c′) .

    H is a cross-entropy, h = Σ_b p̄_b log p̄_b + log B of batch means is zero where all capsules are used, the third term
    is `pose_equivariance`, v and c are `variance_hinge` and `covariance_penalty` of [p, N(g·P)] and [p′, N(P′)].
    Entries of N(P) have a mean square of 1/entries: v asks for that spread, 1/3 for 3 × 3 matrices, and leaves p alone.
    As published it asks all of them for a spread of 1, which it never reaches.

    Args:
        capsules1: (p, P) of one view, as `nn.SelfRouting` gives them: (rows, B), rows that sum to one, and (rows, B,
            ...), with the poses in the shape that `rep` moves.
        capsules2: Those of another view of the same samples.
        elements: g of each sample, from view 1 to view 2; see `pose_equivariance`.
        rep: How one element moves the poses of one sample.
        invariance: λ.
        entropy: λ_h.
        equivariance: λ_e.
        variance: μ.
        covariance: ν.
        published: Whether v asks everything for a spread of 1.
        size: ‖P‖, as for `pose_equivariance`.
        maps: Maps between the layers, as for `map_equivariance`, which is added with the weight `soft`.
        soft: The weight of "maps".
        axis_name: Axis of devices over which rows are spread; statistics are of all rows.

    Returns:
        The loss, and its terms before they are weighted: "invariance", "entropy", "equivariance", "variance",
        "covariance", and "maps" where there are some.

    Raises:
        TypeError: If p or P are not real floating-point numbers.
        ValueError: If the views differ in shape, there is only one row, p and P are not of the same capsules, or the
            elements or the poses do not fit the representation.

    References:
        Durrant and Leontidis, "Capsule network projectors are equivariant and invariant learners" (EquiCaps).

    Examples:
        >>> import jax
        >>> from equijax import groups, reps
        >>> r = groups.SO(3).sample(jax.random.key(0), (64, 2))
        >>> g = jnp.swapaxes(r[:, 1], 1, 2) @ r[:, 0]  # the inverse of R₁ᵀR₂, for P = A R
        >>> views = [(jnp.full((64, 1), 1.0), r[:, None, k]) for k in (0, 1)]
        >>> loss, terms = equicaps(*views, g, reps.Vector())
        >>> print(terms["equivariance"] < 1e-12, terms["entropy"])
        True 0.0
    """
    (p1, poses1), (p2, poses2) = capsules1, capsules2
    p1, p2 = pair(p1, p2, axis_name, least=2, names=("p1", "p2"))
    moved, _, goal = normalized_poses(poses1, poses2, elements, rep, size, axis_name)
    if p1.shape != goal.shape[:2]:
        raise ValueError(f"p1: expected one probability a pose, {goal.shape[:2]}, got {p1.shape}")
    flat1, flat2 = (p.reshape(len(p), -1) for p in (moved, goal))
    both1, both2 = (jnp.concatenate([p, flat], axis=1) for p, flat in ((p1, flat1), (p2, flat2)))
    spread = 1.0 if published else (goal.shape[1] / flat2.shape[1]) ** 0.5
    hinged = (both1, both2) if published else (flat1, flat2)
    terms = {
        "invariance": -jnp.mean(jnp.sum(p2 * _log(p1), axis=1)),
        "entropy": _unused(p1) + _unused(p2),
        "equivariance": jnp.mean((moved - goal) ** 2),
        "variance": (variance_hinge(hinged[0], spread) + variance_hinge(hinged[1], spread)) / 2,
        "covariance": covariance_penalty(both1) + covariance_penalty(both2),
    }
    weights = [invariance, entropy, equivariance, variance, covariance]
    return with_maps(terms, weights, maps, elements, soft, axis_name)


def _unused(p: Float[Array, "rows capsules"]) -> Float[Array, ""]:
    """Σ_b p̄_b log p̄_b + log B of the mean over the rows: 0 where all are used alike, log B where one is used."""
    mean = jnp.mean(p, axis=0)
    return jnp.sum(mean * _log(mean)) + jnp.log(mean.size)


def _log(p):
    """log p, finite at zero."""
    return jnp.log(jnp.maximum(p, jnp.finfo(p.dtype).tiny))

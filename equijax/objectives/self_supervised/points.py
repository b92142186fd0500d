"""Contrast of points: the same point before and after a transformation, and along a flow."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from equijax._validate import floating, positive
from equijax.graphs import nearest_points
from equijax.numerics import matmul, unit
from equijax.objectives._batches import masked_mean
from equijax.objectives.self_supervised.pairs import rows
from equijax.symmetry import Symmetry


def pointwise_infonce(
    features: ArrayLike,
    moved: ArrayLike,
    symmetry: Symmetry | None = None,
    element: PyTree = None,
    *,
    temperature: float | Array = 0.1,
    mask: ArrayLike | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean over points i of −log( e^{z_i·z'_i/τ} / Σ_j e^{z_i·z'_j/τ} ) and of the same with z and z' exchanged.

    z are the features of points x, z' those of g x, taken back by σ(g)⁻¹: what is learned is equivariant, and invariant
    where σ is trivial. One cloud a call; batches by `jax.vmap`.

    Args:
        features: f(x), a row for each point.
        moved: f(g x), in the same order.
        symmetry: Says how the group acts on features, by its `outputs`; without it they are compared as they are.
        element: g.
        temperature: τ > 0.
        mask: Points that there are.

    Returns:
        The loss, 0 where no point is shown, and its terms "accuracy", how often the right one of all points is nearest.

    Raises:
        ValueError: If the temperature is not positive, there is one point, or shapes differ.
        TypeError: If there is a symmetry without an element, or the reverse.

    References:
        Hegde et al. 2024, arXiv:2404.11737 (contrast of points); van den Oord et al. 2018, arXiv:1807.03748.

    Examples:
        >>> from equijax import groups, reps
        >>> turns = Symmetry(groups.SO(3), reps.Vector(), reps.Vector())
        >>> x, g = jax.random.normal(jax.random.key(0), (50, 3)), groups.SO(3).sample(jax.random.key(1))
        >>> loss, terms = pointwise_infonce(x, x @ g.T, turns, g, temperature=0.01)
        >>> print(f"{terms['accuracy']:.2f} {pointwise_infonce(x, x @ g.T)[1]['accuracy'] < 0.5}")
        1.00 True
    """
    positive("temperature", temperature)
    features = rows("features", features, least=2)
    n, back = len(features), _taken_back(floating("moved", moved), symmetry, element)
    if back.shape != features.shape:
        raise ValueError(f"moved: expected shape {features.shape}, as the features, got {back.shape}")
    shown = jnp.ones(n, bool) if mask is None else jnp.asarray(mask)
    logits = matmul(unit(features)[0], unit(back)[0].T) / temperature
    logits = jnp.where(shown & shown[:, None], logits, jnp.finfo(logits.dtype).min)
    right = jnp.diagonal(logits)
    each = [jax.nn.logsumexp(logits, axis=axis) - right for axis in (0, 1)]
    accuracy = masked_mean((jnp.argmax(logits, axis=1) == jnp.arange(n)).astype(logits.dtype), shown)
    return masked_mean((each[0] + each[1]) / 2, shown), {"accuracy": accuracy}


def flow_consistency(
    features: ArrayLike,
    later: ArrayLike,
    points: ArrayLike,
    later_points: ArrayLike,
    flow: ArrayLike,
    symmetry: Symmetry | None = None,
    element: PyTree = None,
    *,
    neighbors: int = 1,
    mask: ArrayLike | None = None,
    later_mask: ArrayLike | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean over points of 1 − cos(z_i, z'(x_i + flow_i)): a point keeps its feature as it moves along the flow.

    z' are the features one frame later, constants, at the nearest point there, or weighted by the inverse distances to
    several of them; with an element, taken back by σ(g)⁻¹. It is zero for equivariant features and a rigid flow.

    Args:
        features: z, of the points now.
        later: Those of the points later; there may be another number of them.
        points: Where the points are.
        later_points: Where they are later.
        flow: How far each goes, in the unit of the positions.
        symmetry, element: As of `pointwise_infonce`, for a scene that moves as a whole.
        neighbors: How many later points to weigh; 1 takes the nearest.
        mask: Points that there are.
        later_mask: Later points that there are.

    Returns:
        The loss, 0 where no point is shown, and its terms: "distance", how far the nearest later point is on average.

    Raises:
        ValueError: If shapes differ, or there are fewer later points than neighbors.
        TypeError: If there is a symmetry without an element, or the reverse.

    References:
        Hegde et al. 2024, arXiv:2404.11737 (equivariance by scene flow).

    Examples:
        >>> x = jax.random.normal(jax.random.key(0), (20, 3))
        >>> z, flow = jnp.sin(3 * x), jnp.ones((20, 3))
        >>> loss, terms = flow_consistency(z, z, x, x + 1, flow)
        >>> print(bool(loss < 1e-6), bool(flow_consistency(z, z, x, x + 1, 0 * flow)[0] > 0.1))
        True True
    """
    given = {"features": features, "later": later, "points": points, "later_points": later_points, "flow": flow}
    features, later, points, later_points, flow = (floating(name, x) for name, x in given.items())
    for name, x, wanted in (
        ("points", points, (len(features), points.shape[1])),
        ("flow", flow, points.shape),
        ("later_points", later_points, (len(later), points.shape[1])),
    ):
        if x.shape != wanted:
            raise ValueError(f"{name}: expected shape {wanted}, got {x.shape}")
    target = jax.lax.stop_gradient(_taken_back(later, symmetry, element))
    near = nearest_points(later_points, points + flow, neighbors, later_mask)
    weights = near.mask / jnp.maximum(near.distances, 1e-6)  # (points, neighbors)
    weights /= jnp.maximum(jnp.sum(weights, axis=1, keepdims=True), 1e-30)
    arrived = jnp.einsum("nk,nkf->nf", weights.astype(target.dtype), target[near.indices], precision="highest")
    cosine = jnp.sum(unit(features)[0] * unit(arrived)[0], axis=1)
    # a point counts where there is a later one, too
    shown = near.mask[:, 0] if mask is None else near.mask[:, 0] & mask
    return masked_mean(1 - cosine, shown), {"distance": masked_mean(near.distances[:, 0], shown)}


def _taken_back(moved, symmetry, element):
    """σ(g)⁻¹ of features."""
    if symmetry is None and element is None:
        return moved
    if symmetry is None or element is None:
        missing = "symmetry" if symmetry is None else "element"
        raise TypeError(f"{missing}: expected one, since features are taken back by an element of a symmetry, got None")
    return symmetry.act_outputs(symmetry.group.inverse(element), moved)

"""The loss of a potential: energies, forces and stresses against what is labeled."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PyTree

from equijax import graphs
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.predict import Prediction, predict
from equijax.models.potential.samples import Batch


def loss(
    prediction: Prediction,
    labels: graphs.Labels,
    graph: graphs.Graph,
    scale: float,
    energy_weight: int | float = 1.0,
    force_weight: int | float = 1.0,
    stress_weight: int | float = 0.0,
    axis_name: str | None = None,
    huber: int | float | None = None,
) -> Float[Array, ""]:
    """w_E mean ρ(ΔE/√n s) + w_F mean ρ(ΔF/s) + w_σ mean ρ(Δσ/s), with the unit s; means over what is labeled.

    ρ(x) is x², or that of Huber. Of forces and stresses it is the mean over components, and each structure counts by
    its weight. Stresses of structures without a periodic axis are left out, labeled or not: see `Prediction`. n is the
    number of atoms of the structure: errors of atoms that add up at random count the same at any size. Inside of
    `jax.shard_map` over `axis_name` the means are those over the structures of all devices.

    Args:
        prediction: Of the model.
        labels: What is known.
        graph: The batch.
        scale: s, that of the model.
        energy_weight: w_E.
        force_weight: w_F.
        stress_weight: w_σ, in Å⁶ since stresses are in eV/Å³: 100 lets 0.1 Å³ of stress count as much as a force.
        axis_name: Of a mesh.
        huber: δ, from which on ρ(x) = δ (2 ‖x‖ - δ), so that a wild label pulls no more than one at δ: in units of s,
            such as 1. None for squares.

    Examples:
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> place = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
        >>> water = graphs.Structure([8, 1, 1], place, energy=-2078.0, forces=np.full((3, 3), 0.1))
        >>> graph, labels = potential.samples(model, [water], batch_size=1).batch([0])
        >>> right = potential.Prediction(labels.energies, labels.forces, labels.stresses, labels.energies)
        >>> off = right._replace(forces=labels.forces + 0.2)
        >>> float(loss(right, labels, graph, scale=0.1)), round(float(loss(off, labels, graph, scale=0.1)), 3)
        (0.0, 4.0)
        >>> round(float(loss(off, labels, graph, scale=0.1, huber=0.5)), 3)
        1.75
    """
    atoms = jax.ops.segment_sum(jnp.asarray(graph.node_mask, jnp.float32), graph.graph_of_node, len(graph.graph_mask))

    def penalty(x):
        x = x / scale
        if huber is None:
            return x**2
        return jnp.where(jnp.abs(x) < huber, x**2, huber * (2 * jnp.abs(x) - huber))

    energy = penalty((prediction.energies - labels.energies) / jnp.sqrt(jnp.maximum(atoms, 1)))
    force = jnp.mean(penalty(prediction.forces - labels.forces), axis=-1)
    stress = jnp.mean(penalty(prediction.stresses - labels.stresses), axis=(-1, -2))
    weights = jnp.asarray(labels.weights)
    terms = [
        (energy_weight, energy * weights, labels.energy_mask),
        (force_weight, force * weights[graph.graph_of_node], labels.force_mask),
        (stress_weight, stress * weights, labels.stress_mask & jnp.any(jnp.asarray(graph.pbc), axis=-1)),
    ]
    total = sum(weight * _mean(values, mask, axis_name) for weight, values, mask in terms if weight)
    return jnp.asarray(total)


def objective(model: EnergyModel, axis_name: str | None = None, **options: Any) -> Callable[[PyTree, Batch], Array]:
    """The loss of a model's parameters on a batch of `Samples`, as `training.fit` takes it.

    Args:
        model: The potential.
        axis_name: As for `loss`.
        **options: Those of `loss`: the weights, and `huber`.

    Examples:
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> place = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
        >>> water = graphs.Structure([8, 1, 1], place, energy=-2078.0, forces=np.full((3, 3), 0.1))
        >>> batch = potential.samples(model, [water], batch_size=1).batch([0])
        >>> params = potential.initialize(model, jax.random.key(0))
        >>> jax.eval_shape(objective(model, force_weight=10.0), params, batch).shape  # a number; for `training.fit`
        ()
    """

    def of_batch(params: PyTree, batch: Batch) -> Array:
        graph, labels = batch
        found = predict(model, params, graph)
        return loss(found, labels, graph, model.scale, axis_name=axis_name, **options)

    return of_batch


def _mean(
    values: Float[Array, "..."], mask: Bool[Array | np.ndarray, "..."], axis_name: str | None
) -> Float[Array, ""]:
    """Of the values where the mask is true, on all devices of the axis together; 0 if there are none."""
    mask = jnp.asarray(mask)
    total, count = jnp.sum(jnp.where(mask, values, 0)), jnp.sum(mask)
    if axis_name is not None:
        total, count = jax.lax.psum((total, count), axis_name)
    return total / jnp.maximum(count, 1)

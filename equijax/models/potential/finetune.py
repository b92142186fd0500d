"""A trained potential for structures of other species or labels: new rows for new species, E0 anew."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array, PyTree

from equijax import graphs
from equijax.models.potential.energy_model import EnergyModel, TakesSpecies
from equijax.models.potential.evaluate import evaluate
from equijax.models.potential.predict import initialize, predict
from equijax.models.potential.samples import of_survey
from equijax.models.potential.training_set import Survey, energies_of_atoms, survey


def adapt(
    model: EnergyModel,
    params: PyTree[Array | np.ndarray],
    structures: Sequence[graphs.Structure],
    *,
    found: Survey | None = None,
    batch_size: int = 5,
    seed: int = 0,
) -> tuple[EnergyModel, PyTree[Array | np.ndarray]]:
    """A trained model, and its parameters, for structures of other species or other labels.

    Species that the model lacks are added behind those that it has: the embedding and the weights by species get rows
    as `initialize` draws them, and a repulsion the covalent radii, at most half of the cut-off. E0 are moved, as
    `atomic_energies` finds them, by what the network leaves of the energies of the structures, so that energies of
    another method or program fit from the first step on. The network says of known species what it said before.

    Args:
        model: The trained model; it takes new species if it has the methods `with_species` and `widened`, as
            `Potential` and `models.NequIP` have.
        params: Its parameters.
        structures: What it is to be trained on.
        found: `survey(structures, model.cutoff)`, where that is known.
        batch_size: Structures in a batch, to predict.
        seed: Of the new rows.

    Raises:
        ValueError: If there are new species for which the structures have no energies, or the model takes none.

    Warns:
        UserWarning: That of `atomic_energies`.

    Examples:
        >>> model, params = potential.load("runs/water")  # doctest: +SKIP
        >>> model, params = adapt(model, params, data.open_structures("ethanol.xyz"))  # doctest: +SKIP
    """
    found = found or survey(structures, model.cutoff)
    model, params = widened(model, params, found.species, seed)
    if not np.isfinite(found.energies).any():
        return model, params
    source = of_survey(model, structures, found, batch_size)
    errors = evaluate(jax.jit(lambda params, graph: predict(model, params, graph)), params, source)
    left = np.full_like(found.energies, np.nan)  # by the network and E0
    left[errors.energy_of] = errors.energies[:, 1] - errors.energies[:, 0]
    moved = energies_of_atoms(found._replace(energies=left))
    table = zip(model.species, model.atomic_energies, strict=True)
    return model.clone(atomic_energies=tuple(e + moved.get(z, 0.0) for z, e in table)), params


def widened(
    model: EnergyModel, params: PyTree[Array | np.ndarray], species: Sequence[int], seed: int = 0
) -> tuple[EnergyModel, PyTree[Array | np.ndarray]]:
    """The model with more species, whose E0 are 0, behind its own, and rows for them.

    Raises:
        ValueError: If the model lacks one of the species and takes no new ones.
    """
    new = tuple(z for z in species if z not in model.species)
    if not new:
        return model, params
    if not isinstance(model, TakesSpecies):
        raise ValueError(
            f"structures: expected species of {sorted(model.species)}, those of the model, got {new}, too; a "
            f"{type(model).__name__} has no method `widened` that would take them"
        )
    other = model.with_species(new)
    return other, model.widened(params, initialize(other, jax.random.key(seed)))

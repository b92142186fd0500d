"""Errors of a potential on structures whose labels are known."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, PyTree

from equijax import _validate, graphs
from equijax.models.potential.predict import Prediction
from equijax.models.potential.samples import Samples


class Errors(NamedTuple):
    """Errors over a test set; NaN of what nothing is labeled with."""

    energy_rmse: float
    """In meV a structure."""
    energy_mae: float
    force_rmse: float
    """In meV/Å a component."""
    force_mae: float
    energies: Float[np.ndarray, "structures 2"]
    """Predicted and true, in eV, less the isolated atoms."""
    forces: Float[np.ndarray, "components 2"]
    """In eV/Å, of the atoms of one structure after the other."""
    energy_per_atom_rmse: float = np.nan
    """In meV an atom."""
    energy_per_atom_mae: float = np.nan
    stress_rmse: float = np.nan
    """In meV/Å³ a component, of structures with a periodic axis."""
    stress_mae: float = np.nan
    stresses: Float[np.ndarray, "components 2"] = np.zeros((0, 2))
    """In eV/Å³."""
    energy_of: Int[np.ndarray, " structures"] = np.zeros(0, int)
    """Which structure of the test set each energy is of."""
    force_of: Int[np.ndarray, " components"] = np.zeros(0, int)
    """Which structure each component of a force is of."""
    force_species: Int[np.ndarray, " components"] = np.zeros(0, int)
    """The atomic number of its atom."""


def evaluate(predict: Callable[[PyTree, graphs.Graph], Prediction], params: PyTree, test: Samples) -> Errors:
    """Errors of a model.

    Args:
        predict: The jitted function (params, graph) -> Prediction.
        params: Parameters.
        test: From `samples` of that model, which refuses species that the model does not know (`predict` gives NaN for
            them, and so would the errors); in its batches of a few shapes.

    Examples:
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> place = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
        >>> water = graphs.Structure([8, 1, 1], place, energy=-2078.0, forces=np.full((3, 3), 0.1))
        >>> no_stress = np.zeros((2, 3, 3))
        >>> right = lambda params, graph: potential.Prediction(
        ...     np.array([-9.8, 0.0]), np.full((8, 3), 0.1), no_stress, None)
        >>> errors = evaluate(right, {}, potential.samples(model, [water], batch_size=1))
        >>> round(errors.energy_mae, 2), round(errors.force_rmse, 2)
        (0.0, 0.0)
    """
    _validate.instance("test", test, Samples, "potential.samples(model, structures, batch_size)")
    energies, forces, stresses, sizes = ([] for _ in range(4))
    for pack in test.packs():
        graph, labels = test.of_packs([pack])
        found = predict(params, graph)
        of = np.array([*pack.members, *[-1] * (len(graph.graph_mask) - len(pack.members))])  # structure of each graph
        of_node = of[graph.graph_of_node]
        species = np.broadcast_to(np.asarray(graph.species)[:, None], labels.forces.shape)
        of_component = np.broadcast_to(of_node[:, None], labels.forces.shape)
        mask = labels.energy_mask
        energies.append(np.stack([found.energies, labels.energies, of], -1)[mask])
        sizes.append(np.bincount(graph.graph_of_node, minlength=len(of))[mask])
        columns = (found.forces, labels.forces, of_component, species)
        forces.append(np.stack(columns, -1)[labels.force_mask].reshape(-1, 4))
        mask = labels.stress_mask & np.any(graph.pbc, axis=-1)
        stresses.append(np.stack([found.stresses, labels.stresses], -1)[mask].reshape(-1, 2))
    # In the order of the structures
    energy, force, stress = (np.concatenate(rows).astype(np.float64) for rows in (energies, forces, stresses))
    atoms = np.concatenate(sizes)
    energy, atoms = (rows[np.argsort(energy[:, 2], kind="stable")] for rows in (energy, atoms))
    force = force[np.argsort(force[:, 2], kind="stable")]
    off = [1e3 * (pair[:, 0] - pair[:, 1]) for pair in (energy, force, stress)]
    errors = {name: _rmse_and_mae(x) for name, x in zip(("energy", "force", "stress"), off, strict=True)}
    errors["energy_per_atom"] = _rmse_and_mae(off[0] / atoms)
    return Errors(
        **{f"{name}_{kind}": x for name, pair in errors.items() for kind, x in zip(("rmse", "mae"), pair, strict=True)},
        energies=energy[:, :2], forces=force[:, :2], stresses=stress, energy_of=energy[:, 2].astype(int),
        force_of=force[:, 2].astype(int), force_species=force[:, 3].astype(int),
    )  # fmt: skip


def _rmse_and_mae(off):
    return (float(np.sqrt(np.mean(off**2))), float(np.mean(np.abs(off)))) if len(off) else (np.nan, np.nan)

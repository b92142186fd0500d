"""What structures say of a model that is trained on them: E0 of its atoms, their neighbors, the unit of energies."""

import warnings
from collections.abc import Sequence

import numpy as np

from equijax import graphs


def atomic_energies(structures: Sequence[graphs.Structure], cutoff: float = 5.0) -> dict[int, float]:
    """E0 by atomic number: the energies of isolated atoms where the structures have them, a fit for the others.

    A structure of one atom that has no neighbor is an isolated atom; of several of one kind the mean is taken. For the
    other species it is the least-squares fit of sums of E0 to the energies, the smallest one where that is not unique.
    These E0 leave little to learn, and are not the energies of isolated atoms: an atom in a molecule is bound. Of
    structures that all have one composition, or few, they mean nothing one by one, only their sums there.

    Structures without an energy tell which species there are.

    Args:
        structures: Two or more of different composition, or each atom alone.
        cutoff: An atom that sees none of its images nearer than this is alone.

    Raises:
        ValueError: If no structure has an energy, or one is not as `graphs.checked` takes it.

    Warns:
        UserWarning: If the compositions do not tell the species apart.

    Examples:
        >>> H, O = (graphs.Structure([z], [[0, 0, 0]], energy=e) for z, e in ((1, -13.6), (8, -2041.0)))
        >>> water = graphs.Structure([8, 1, 1], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]], energy=-2078.0)
        >>> atomic_energies([H, O, water])
        {1: -13.6, 8: -2041.0}
        >>> {z: round(e, 1) for z, e in atomic_energies([H, water]).items()}
        {1: -13.6, 8: -2050.8}
    """
    structures = graphs.each(graphs.checked, structures)
    species = sorted({int(z) for s in structures for z in s.species})
    known = [(s, s.energy) for s in structures if s.energy is not None]
    if not known:
        raise ValueError("structures: expected one with an energy at least, got none")
    # Isolated atoms, by species
    alone: dict[int, list[float]] = {}
    for s, energy in known:
        if len(s.species) == 1 and not len(graphs.from_structure(s, cutoff).senders):
            alone.setdefault(int(s.species[0]), []).append(energy)
    energies = {z: float(np.mean(found)) for z, found in alone.items()}
    # The others by least squares, of what the isolated ones leave of each energy
    rest = [z for z in species if z not in energies]
    if rest:
        counts = np.array([[np.count_nonzero(s.species == z) for z in rest] for s, _ in known], float)
        less = [energy - sum(energies.get(int(z), 0.0) for z in s.species) for s, energy in known]
        fit, _, rank, _ = np.linalg.lstsq(counts, np.array(less))
        if rank < len(rest):
            warnings.warn(
                f"structures: their compositions do not tell the energies of species {rest} apart (rank {rank} of "
                f"{len(rest)}); atomic_energies are then no energies of atoms, and the model is of use at compositions "
                "like these only. Add a structure of each atom alone, or give atomic_energies to the model",
                UserWarning,
                stacklevel=2,
            )
        energies |= dict(zip(rest, fit.tolist(), strict=True))
    return {z: energies[z] for z in species}


def statistics(structures: Sequence[graphs.Structure], cutoff: float) -> dict[str, float]:
    """`mean_neighbors` and `scale` of a training set, as `Potential` takes them.

    Raises:
        ValueError: If no atom has a neighbor, or there are no forces other than 0.

    Examples:
        >>> place = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
        >>> water = graphs.Structure([8, 1, 1], place, energy=-2078.0, forces=np.full((3, 3), 0.1))
        >>> {name: round(value, 3) for name, value in statistics([water], cutoff=1.2).items()}
        {'mean_neighbors': 1.333, 'scale': 0.1}
    """
    structures = graphs.each(graphs.checked, structures)
    edges = sum(len(single.senders) for single in graphs.each(lambda s: graphs.from_structure(s, cutoff), structures))
    forces = np.concatenate([np.zeros((0, 3)), *(s.forces for s in structures if s.forces is not None)])
    if not edges or not forces.any():
        missing = "forces that are not all zero" if edges else f"two atoms nearer to each other than {cutoff}"
        raise ValueError(f"structures: expected {missing}, got none")
    return {
        "mean_neighbors": edges / sum(len(s.species) for s in structures),
        "scale": float(np.sqrt(np.mean(forces**2))),
    }

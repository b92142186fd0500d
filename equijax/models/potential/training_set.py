"""What structures say of a model that is trained on them: E0 of its atoms, their neighbors, the unit of energies."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from equijax import graphs

OUTLIER = 1000.0  # a force so many times the typical one stands for a calculation that failed
HELD = 2**30  # bytes of edges that are kept in memory, beyond which neighbor lists are made again for each batch


class Survey(NamedTuple):
    """What is known of each of n structures after they were read once."""

    cutoff: float
    sizes: Int[np.ndarray, "n 2"]
    """Atoms and edges."""
    species: tuple[int, ...]
    counts: Int[np.ndarray, "n species"]
    """Atoms by species."""
    energies: Float[np.ndarray, " n"]
    """NaN where there is none, as below."""
    forces: Float[np.ndarray, " n"]
    """Root mean square of the components."""
    peaks: Float[np.ndarray, " n"]
    """Largest component of a force."""
    stresses: Bool[np.ndarray, " n"]
    """Whether there is a stress, and a periodic axis."""
    held: list[tuple[graphs.Graph, graphs.Structure]] | None
    """The structures with their edges, where these fit in memory."""
    where: Callable[[int], str] | None = None
    """What a structure is called, where it is of a file."""

    def labeled(self) -> Bool[np.ndarray, " n"]:
        """Whether a structure has a label at all."""
        return np.isfinite(self.energies) | np.isfinite(self.forces) | self.stresses


def survey(structures: Sequence[graphs.Structure], cutoff: float, held: int = HELD) -> Survey:
    """Read all structures once, and make their neighbor lists.

    Args:
        structures: A list, or a sequence that reads them from a file, as `data.open_extended_xyz` gives.
        cutoff: Longest edge in Å.
        held: Bytes of edges that may stay in memory; none do where they are more.

    Raises:
        ValueError: If there are no structures, or one is not as `graphs.checked` takes it or has coincident atoms.

    Examples:
        >>> place = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
        >>> water = graphs.Structure([8, 1, 1], place, energy=-2078.0, forces=np.full((3, 3), 0.1))
        >>> found = survey([water], cutoff=1.2)
        >>> found.sizes.tolist(), found.species, found.counts.tolist(), found.forces.round(3).tolist()
        ([[3, 4]], (1, 8), [[2, 1]], [0.1])
    """
    kept: list[tuple[graphs.Graph, graphs.Structure]] | None = []
    taken = 0

    def one(structure: graphs.Structure) -> tuple[Any, ...]:
        nonlocal kept, taken
        structure = graphs.checked(structure)
        single = graphs.from_structure(structure, cutoff)
        if kept is not None:
            kept.append((single, structure))
            taken += sum(np.asarray(a).nbytes for a in single[:-1])
            kept = None if taken > held else kept
        size, forces = (len(single.species), len(single.senders)), structure.forces
        energy = np.nan if structure.energy is None else structure.energy
        mean, peak = (np.nan, np.nan) if forces is None else (np.sqrt(np.mean(forces**2)), np.abs(forces).max())
        stress = structure.stress is not None and any(structure.pbc)
        return size, np.unique(structure.species, return_counts=True), energy, mean, peak, stress

    rows = graphs.each(one, structures)
    if not rows:
        raise ValueError("structures: expected at least one, got none")
    sizes, kinds, energies, forces, peaks, stresses = map(list, zip(*rows, strict=True))
    species = sorted({int(z) for found, _ in kinds for z in found})
    counts = np.zeros((len(rows), len(species)), int)
    for row, (found, count) in zip(counts, kinds, strict=True):
        row[np.searchsorted(species, found)] = count
    return Survey(
        float(cutoff), np.array(sizes), tuple(species), counts, np.array(energies, float), np.array(forces, float),
        np.array(peaks, float), np.array(stresses), kept, getattr(structures, "where", None),
    )  # fmt: skip


def energies_of_atoms(found: Survey) -> dict[int, float]:
    """What `atomic_energies` does, of structures that were read before."""
    species, known = found.species, np.isfinite(found.energies)
    if not known.any():
        raise ValueError("structures: expected one with an energy at least, got none")
    counts, energies = found.counts[known], found.energies[known]
    # Isolated atoms, by species
    alone = (found.sizes[known] == (1, 0)).all(axis=1)
    e0 = {z: float(np.mean(energies[of])) for z, of in zip(species, (counts > 0).T & alone, strict=True) if of.any()}
    # The others by least squares, of what the isolated ones leave of each energy
    rest = [k for k, z in enumerate(species) if z not in e0]
    if rest:
        less = energies - counts @ np.array([e0.get(z, 0.0) for z in species])
        fit, _, rank, _ = np.linalg.lstsq(counts[:, rest].astype(float), less)
        if rank < len(rest):
            warnings.warn(
                f"structures: their compositions do not tell the energies of species {[species[k] for k in rest]} "
                f"apart (rank {rank} of {len(rest)}); atomic_energies are then no energies of atoms, and the model is "
                "of use at compositions like these only. Add a structure of each atom alone, or give atomic_energies "
                "to the model",
                UserWarning,
                stacklevel=3,
            )
        e0 |= {species[k]: float(energy) for k, energy in zip(rest, fit, strict=True)}
    return {z: e0[z] for z in species}


def units(found: Survey) -> dict[str, float]:
    """What `statistics` does, of structures that were read before."""
    forces = np.isfinite(found.forces) & (found.forces > 0)
    if not found.sizes[:, 1].any() or not forces.any():
        missing = (
            "forces that are not all zero"
            if found.sizes[:, 1].any()
            else f"two atoms nearer to each other than {found.cutoff}"
        )
        raise ValueError(f"structures: expected {missing}, got none")
    wild = outliers(found)
    if len(wild):
        warnings.warn(
            f"structures: {names(wild, found.where)} have forces up to {np.nanmax(found.peaks[wild]):.3g} eV/Å, over "
            f"{OUTLIER:.0f} times the median of {np.median(found.forces[forces]):.3g}, and do not set the scale; leave "
            "them out, as max_force of potential.fit does, or train with huber, which bounds what they do",
            UserWarning,
            stacklevel=3,
        )
    usual = np.isfinite(found.forces)
    usual[wild] = False
    atoms = found.sizes[usual, 0]
    return {
        "mean_neighbors": float(found.sizes[:, 1].sum() / found.sizes[:, 0].sum()),
        "scale": float(np.sqrt(np.sum(found.forces[usual] ** 2 * atoms) / atoms.sum())),
    }


def outliers(found: Survey) -> Int[np.ndarray, " outliers"]:
    """Indices of structures whose largest force is a thousand times the typical one, the median over structures."""
    forces = found.forces[np.isfinite(found.forces) & (found.forces > 0)]
    if not len(forces):
        return np.zeros(0, int)
    return np.flatnonzero(np.nan_to_num(found.peaks) > OUTLIER * np.median(forces))


def names(indices: Sequence[int] | Int[np.ndarray, " m"], where: Callable[[int], str] | None = None) -> str:
    """Structures by number, for messages.

    Examples:
        >>> names([3, 5])
        'structures[3], structures[5]'
        >>> names(range(100))
        'structures[0], structures[1], structures[2] and 97 more'
    """
    indices = [int(k) for k in indices]
    most = len(indices) if len(indices) < 5 else 3
    shown = ", ".join(where(k) if where else f"structures[{k}]" for k in indices[:most])
    return shown + (f" and {len(indices) - most} more" if len(indices) > most else "")


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
    return energies_of_atoms(survey(structures, cutoff, held=0))


def statistics(structures: Sequence[graphs.Structure], cutoff: float) -> dict[str, float]:
    """`mean_neighbors` and `scale` of a training set, as `Potential` takes them.

    Raises:
        ValueError: If no atom has a neighbor, or there are no forces other than 0.

    Warns:
        UserWarning: If forces are a thousand times the typical one: which structures they are of. These do not count.

    Examples:
        >>> place = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
        >>> water = graphs.Structure([8, 1, 1], place, energy=-2078.0, forces=np.full((3, 3), 0.1))
        >>> {name: round(value, 3) for name, value in statistics([water], cutoff=1.2).items()}
        {'mean_neighbors': 1.333, 'scale': 0.1}
    """
    return units(survey(structures, cutoff, held=0))

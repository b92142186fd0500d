"""Structures of atoms with energies and forces: a shipped set, a published one, and readers of files."""

from equijax.data.molecules.datasets import Dataset, acetylacetone, read_acac_dft
from equijax.data.molecules.extended_xyz import read_extended_xyz
from equijax.data.molecules.labels import from_ase
from equijax.data.molecules.open_structures import open_structures
from equijax.data.molecules.structures import Structures, Subset

__all__ = [
    "Dataset",
    "Structures",
    "Subset",
    "acetylacetone",
    "from_ase",
    "open_structures",
    "read_acac_dft",
    "read_extended_xyz",
]

"""Structures of atoms with energies and forces: a shipped set, a published one, and a reader of extended XYZ."""

from equijax.data.molecules.datasets import Dataset, acetylacetone, read_acac_dft
from equijax.data.molecules.extended_xyz import read_extended_xyz

__all__ = ["Dataset", "acetylacetone", "read_acac_dft", "read_extended_xyz"]

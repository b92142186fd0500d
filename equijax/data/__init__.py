"""Real data that the package ships, and readers. Nothing is downloaded."""

from equijax.data.extended_xyz import read_extended_xyz
from equijax.data.molecules import Dataset, acetylacetone, read_acac_dft

__all__ = ["Dataset", "acetylacetone", "read_acac_dft", "read_extended_xyz"]

"""Real data that the package ships, and readers. Nothing is downloaded."""

from equijax.data.digits import Digits, affine_digits, digits, pad
from equijax.data.extended_xyz import read_extended_xyz
from equijax.data.molecules import Dataset, acetylacetone, read_acac_dft

__all__ = [
    "Dataset",
    "Digits",
    "acetylacetone",
    "affine_digits",
    "digits",
    "pad",
    "read_acac_dft",
    "read_extended_xyz",
]

"""Real data that the package ships, readers, and generators. Nothing is downloaded."""

from equijax.data.charged_particles import ChargedParticles, Windows, charged_particles, initial_states, simulate
from equijax.data.digits import Digits, affine_digits, digits, pad
from equijax.data.extended_xyz import read_extended_xyz
from equijax.data.molecules import Dataset, acetylacetone, read_acac_dft

__all__ = [
    "ChargedParticles",
    "Dataset",
    "Digits",
    "Windows",
    "acetylacetone",
    "affine_digits",
    "charged_particles",
    "digits",
    "initial_states",
    "pad",
    "read_acac_dft",
    "read_extended_xyz",
    "simulate",
]

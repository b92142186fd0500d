"""Real data that the package ships, readers, and generators. Nothing is downloaded."""

from equijax.data.images.digits import Digits, affine_digits, digits, pad
from equijax.data.molecules.datasets import Dataset, acetylacetone, read_acac_dft
from equijax.data.molecules.extended_xyz import read_extended_xyz
from equijax.data.particles.charged import ChargedParticles, Windows, charged_particles, initial_states, simulate

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

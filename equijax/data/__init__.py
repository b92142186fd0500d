"""Data to learn from, by subject: molecules, particles, images, solids. Shipped, read from files, or generated; none is
downloaded.
"""

from equijax.data.images import (
    Digits,
    MovingDigits,
    affine_digits,
    digits,
    flowing_digits,
    pad,
    picture_crops,
    rotating_digits,
)
from equijax.data.molecules import Dataset, acetylacetone, read_acac_dft, read_extended_xyz
from equijax.data.particles import ChargedParticles, Windows, charged_particles, initial_states, simulate
from equijax.data.solids import SOLIDS, Solids, solids

__all__ = [
    "SOLIDS",
    "ChargedParticles",
    "Dataset",
    "Digits",
    "MovingDigits",
    "Solids",
    "Windows",
    "acetylacetone",
    "affine_digits",
    "charged_particles",
    "digits",
    "flowing_digits",
    "initial_states",
    "pad",
    "picture_crops",
    "read_acac_dft",
    "read_extended_xyz",
    "rotating_digits",
    "simulate",
    "solids",
]

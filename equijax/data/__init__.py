"""Data to learn from, by subject: molecules, particles, images, solids, motion, latent causes. Shipped, read from
files, or generated; none is downloaded.
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
from equijax.data.latent import (
    InterventionExtrapolation,
    Interventions,
    LinearSEM,
    OrbitProjections,
    Orbits,
    intervention_extrapolation,
    linear_sem,
    orbit_projections,
)
from equijax.data.molecules import Dataset, acetylacetone, read_acac_dft, read_extended_xyz
from equijax.data.motion import CHAIN, Articulated, Link, MotionCapture, articulated, motion_capture, windows
from equijax.data.particles import (
    ChargedParticles,
    ChargedTrajectories,
    Springs,
    Windows,
    charged_particles,
    charged_trajectories,
    initial_states,
    simulate,
    springs,
)
from equijax.data.solids import SOLIDS, Solids, solids

__all__ = [
    "CHAIN",
    "SOLIDS",
    "Articulated",
    "ChargedParticles",
    "ChargedTrajectories",
    "Dataset",
    "Digits",
    "InterventionExtrapolation",
    "Interventions",
    "LinearSEM",
    "Link",
    "MotionCapture",
    "MovingDigits",
    "OrbitProjections",
    "Orbits",
    "Solids",
    "Springs",
    "Windows",
    "acetylacetone",
    "affine_digits",
    "articulated",
    "charged_particles",
    "charged_trajectories",
    "digits",
    "flowing_digits",
    "initial_states",
    "intervention_extrapolation",
    "linear_sem",
    "motion_capture",
    "orbit_projections",
    "pad",
    "picture_crops",
    "read_acac_dft",
    "read_extended_xyz",
    "rotating_digits",
    "simulate",
    "solids",
    "springs",
    "windows",
]

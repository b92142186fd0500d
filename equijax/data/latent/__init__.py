"""Vectors whose causes are known: poses behind a mixing that nobody can read."""

from equijax.data.latent.extrapolation import InterventionExtrapolation, Interventions, intervention_extrapolation
from equijax.data.latent.orbits import OrbitProjections, Orbits, orbit_projections
from equijax.data.latent.structural import LinearSEM, linear_sem

__all__ = [
    "InterventionExtrapolation",
    "Interventions",
    "LinearSEM",
    "OrbitProjections",
    "Orbits",
    "intervention_extrapolation",
    "linear_sem",
    "orbit_projections",
]

"""Vectors whose causes are known: poses behind a mixing that nobody can read."""

from equijax.data.latent.orbits import OrbitProjections, Orbits, orbit_projections

__all__ = ["OrbitProjections", "Orbits", "orbit_projections"]

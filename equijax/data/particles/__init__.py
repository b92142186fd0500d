"""Particles that move, simulated."""

from equijax.data.particles.charged import ChargedParticles, Windows, charged_particles, initial_states, simulate
from equijax.data.particles.trajectories import ChargedTrajectories, Springs, charged_trajectories, springs

__all__ = [
    "ChargedParticles",
    "ChargedTrajectories",
    "Springs",
    "Windows",
    "charged_particles",
    "charged_trajectories",
    "initial_states",
    "simulate",
    "springs",
]

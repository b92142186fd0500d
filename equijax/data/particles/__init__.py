"""Particles that move, simulated."""

from equijax.data.particles.charged import ChargedParticles, Windows, charged_particles, initial_states, simulate

__all__ = ["ChargedParticles", "Windows", "charged_particles", "initial_states", "simulate"]

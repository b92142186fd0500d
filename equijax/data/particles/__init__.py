"""Particles that move."""

"""Losses that encourage a symmetry."""

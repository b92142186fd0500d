"""Structures of atoms with energies and forces."""

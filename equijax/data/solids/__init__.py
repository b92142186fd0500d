"""Solids as points on their surfaces."""

from equijax.data.solids.shapes import SOLIDS, Solids, solids

__all__ = ["SOLIDS", "Solids", "solids"]

"""Losses that encourage a symmetry: on a function, on weights, and on several groups at once."""

from equijax.objectives.symmetry.equivariance import equivariance_penalty
from equijax.objectives.symmetry.projection import (
    LayerSymmetry,
    projection_penalties,
    projection_penalty,
    proximal_step,
)
from equijax.objectives.symmetry.strengths import Strengths, equal_strengths, tune

__all__ = [
    "LayerSymmetry",
    "Strengths",
    "equal_strengths",
    "equivariance_penalty",
    "projection_penalties",
    "projection_penalty",
    "proximal_step",
    "tune",
]

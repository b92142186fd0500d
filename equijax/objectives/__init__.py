"""Losses that encourage a symmetry: softly, several at once, with strengths that tune themselves."""

from equijax.objectives.equivariance import equivariance_penalty
from equijax.objectives.projection import LayerSymmetry, projection_penalties, projection_penalty, proximal_step
from equijax.objectives.strengths import Strengths, equal_strengths, tune

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

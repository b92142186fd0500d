"""Losses that encourage a symmetry: softly, several at once, with strengths that tune themselves."""

from equijax.objectives.symmetry import (
    LayerSymmetry,
    Strengths,
    equal_strengths,
    equivariance_penalty,
    projection_penalties,
    projection_penalty,
    proximal_step,
    tune,
)

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

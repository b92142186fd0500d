"""Losses that encourage a symmetry: on a function, on weights, on several groups at once, as a constraint on data."""

from equijax.objectives.symmetry.constrained import (
    Transformations,
    dual_step,
    invariance_constrained,
    metropolis_hastings,
)
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
    "Transformations",
    "dual_step",
    "equal_strengths",
    "equivariance_penalty",
    "invariance_constrained",
    "metropolis_hastings",
    "projection_penalties",
    "projection_penalty",
    "proximal_step",
    "tune",
]

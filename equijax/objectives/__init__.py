"""Losses that encourage a symmetry: softly, several at once, with strengths that tune themselves; and losses that learn
one without labels, from views of the same samples.
"""

from equijax.objectives.self_supervised import (
    covariance_penalty,
    nt_xent,
    siamese_cosine,
    target_decay,
    variance_hinge,
    vicreg,
)
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
    "covariance_penalty",
    "equal_strengths",
    "equivariance_penalty",
    "nt_xent",
    "projection_penalties",
    "projection_penalty",
    "proximal_step",
    "siamese_cosine",
    "target_decay",
    "tune",
    "variance_hinge",
    "vicreg",
]

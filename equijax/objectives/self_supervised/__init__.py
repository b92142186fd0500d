"""Losses that learn codes without labels, from two or more views of each sample."""

from equijax.objectives.self_supervised.contrastive import nt_xent
from equijax.objectives.self_supervised.siamese import siamese_cosine, target_decay
from equijax.objectives.self_supervised.vicreg import covariance_penalty, variance_hinge, vicreg

__all__ = [
    "covariance_penalty",
    "nt_xent",
    "siamese_cosine",
    "target_decay",
    "variance_hinge",
    "vicreg",
]

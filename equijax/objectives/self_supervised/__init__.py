"""Losses that learn codes without labels: from two or more views of each sample, from points, from what was done."""

from equijax.objectives.self_supervised.capsules import equicaps
from equijax.objectives.self_supervised.contrastive import nt_xent
from equijax.objectives.self_supervised.equivariance import map_equivariance, pose_equivariance, rotational_size
from equijax.objectives.self_supervised.memory import MemoryBank, inter_image, memory_bank, update_bank
from equijax.objectives.self_supervised.occlusion import occlusion_invariance
from equijax.objectives.self_supervised.parameters import (
    augself,
    augself_generator,
    balanced_labels,
    transform_classification,
)
from equijax.objectives.self_supervised.points import flow_consistency, pointwise_infonce
from equijax.objectives.self_supervised.positives import draw_pairs, pair_contrastive, transitive_pairs
from equijax.objectives.self_supervised.sequence import seq_jepa, sequence_tokens
from equijax.objectives.self_supervised.siamese import siamese_cosine, target_decay
from equijax.objectives.self_supervised.sie import sie
from equijax.objectives.self_supervised.vicreg import covariance_penalty, variance_hinge, vicreg

__all__ = [
    "MemoryBank",
    "augself",
    "augself_generator",
    "balanced_labels",
    "covariance_penalty",
    "draw_pairs",
    "equicaps",
    "flow_consistency",
    "inter_image",
    "map_equivariance",
    "memory_bank",
    "nt_xent",
    "occlusion_invariance",
    "pair_contrastive",
    "pointwise_infonce",
    "pose_equivariance",
    "rotational_size",
    "seq_jepa",
    "sequence_tokens",
    "siamese_cosine",
    "sie",
    "target_decay",
    "transform_classification",
    "transitive_pairs",
    "update_bank",
    "variance_hinge",
    "vicreg",
]

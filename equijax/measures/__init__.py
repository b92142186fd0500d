"""How far from symmetric, as a number: pure functions that can be jitted, differentiated and used as a loss."""

from equijax.measures.equivariance import equivariance_error
from equijax.measures.lie_derivative import lie_derivative
from equijax.measures.pose import RotationScore, pose_score, relative_rotation, rotation_score
from equijax.measures.probe import R2, LinearProbe, r2, r2_centered, r2_floor, r2_scores, ridge
from equijax.measures.retrieval import (
    Chance,
    Retrieval,
    prediction_retrieval_error,
    retrieval,
    retrieval_chance,
)

__all__ = [
    "R2",
    "Chance",
    "LinearProbe",
    "Retrieval",
    "RotationScore",
    "equivariance_error",
    "lie_derivative",
    "pose_score",
    "prediction_retrieval_error",
    "r2",
    "r2_centered",
    "r2_floor",
    "r2_scores",
    "relative_rotation",
    "retrieval",
    "retrieval_chance",
    "ridge",
    "rotation_score",
]

"""How far from symmetric, as a number: pure functions that can be jitted, differentiated and used as a loss."""

from equijax.measures.actions import ActionDefects, action_defects, action_spectrum
from equijax.measures.equivariance import equivariance_error
from equijax.measures.lie_derivative import lie_derivative
from equijax.measures.lie_error import LieError, LieLayers, lie_error, lie_layers
from equijax.measures.loss_share import LossShare, loss_share
from equijax.measures.orbit import Orbit, invariance_score, orbit
from equijax.measures.pose import RotationScore, pose_score, relative_rotation, rotation_score
from equijax.measures.probe import R2, LinearProbe, r2, r2_centered, r2_floor, r2_scores, ridge
from equijax.measures.retrieval import Chance, Retrieval, prediction_retrieval_error, retrieval, retrieval_chance
from equijax.measures.sweep import Sweep, sweep
from equijax.measures.worst import WorstCase, consistency, worst_case

__all__ = [
    "R2",
    "ActionDefects",
    "Chance",
    "LieError",
    "LieLayers",
    "LinearProbe",
    "LossShare",
    "Orbit",
    "Retrieval",
    "RotationScore",
    "Sweep",
    "WorstCase",
    "action_defects",
    "action_spectrum",
    "consistency",
    "equivariance_error",
    "invariance_score",
    "lie_derivative",
    "lie_error",
    "lie_layers",
    "loss_share",
    "orbit",
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
    "sweep",
    "worst_case",
]

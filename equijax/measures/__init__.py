"""How far from symmetric, as a number: pure functions that can be jitted, differentiated and used as a loss."""

from equijax.measures.actions import ActionDefects, action_defects, action_spectrum
from equijax.measures.compare import Geodesics, cka, geo_topological, geodesics, rdm, rdm_correlation
from equijax.measures.compatibility import average_compatibility, compatibility_matrix
from equijax.measures.environments import EnvironmentInvariance, environment_invariance
from equijax.measures.equivariance import equivariance_error
from equijax.measures.gaussians import ClassGaussians, class_gaussians
from equijax.measures.interaction import InteractionBasis, interaction_basis
from equijax.measures.irreps_content import IrrepsContent, irreps_content
from equijax.measures.lie_derivative import lie_derivative
from equijax.measures.lie_error import LieError, LieLayers, lie_error, lie_layers
from equijax.measures.loss_share import LossShare, loss_share
from equijax.measures.orbit import Orbit, invariance_score, orbit
from equijax.measures.pose import RotationScore, pose_score, relative_rotation, rotation_score
from equijax.measures.probe import R2, LinearProbe, r2, r2_centered, r2_floor, r2_scores, ridge
from equijax.measures.randomization import RandomizationTest, randomization_test
from equijax.measures.relative import choose_anchors, relative, stitch
from equijax.measures.retrieval import Chance, Retrieval, prediction_retrieval_error, retrieval, retrieval_chance
from equijax.measures.sweep import Sweep, sweep
from equijax.measures.variance_explained import variance_explained
from equijax.measures.worst import WorstCase, consistency, worst_case

__all__ = [
    "R2",
    "ActionDefects",
    "Chance",
    "ClassGaussians",
    "EnvironmentInvariance",
    "Geodesics",
    "InteractionBasis",
    "IrrepsContent",
    "LieError",
    "LieLayers",
    "LinearProbe",
    "LossShare",
    "Orbit",
    "RandomizationTest",
    "Retrieval",
    "RotationScore",
    "Sweep",
    "WorstCase",
    "action_defects",
    "action_spectrum",
    "average_compatibility",
    "choose_anchors",
    "cka",
    "class_gaussians",
    "compatibility_matrix",
    "consistency",
    "environment_invariance",
    "equivariance_error",
    "geo_topological",
    "geodesics",
    "interaction_basis",
    "invariance_score",
    "irreps_content",
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
    "randomization_test",
    "rdm",
    "rdm_correlation",
    "relative",
    "relative_rotation",
    "retrieval",
    "retrieval_chance",
    "ridge",
    "rotation_score",
    "stitch",
    "sweep",
    "variance_explained",
    "worst_case",
]

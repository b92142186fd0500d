"""An interatomic potential: its network, its training, and both on many devices."""

from equijax.models.potential import parallel
from equijax.models.potential.fit import (
    Errors,
    Samples,
    Trained,
    atomic_energies,
    evaluate,
    fit,
    for_structures,
    loss,
    objective,
    samples,
    statistics,
)
from equijax.models.potential.network import Potential
from equijax.models.potential.predict import Prediction, baseline, equivariance, initialize, load, predict

__all__ = [
    "Errors",
    "Potential",
    "Prediction",
    "Samples",
    "Trained",
    "atomic_energies",
    "baseline",
    "equivariance",
    "evaluate",
    "fit",
    "for_structures",
    "initialize",
    "load",
    "loss",
    "objective",
    "parallel",
    "predict",
    "samples",
    "statistics",
]

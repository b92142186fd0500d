"""An interatomic potential: its network, its training, and both on many devices."""

from equijax.models.potential import committee, derivatives, dynamics, exported, parallel, repulsion
from equijax.models.potential.export import export
from equijax.models.potential.fit import (
    Errors,
    Samples,
    Trained,
    evaluate,
    fit,
    for_structures,
    loss,
    objective,
    samples,
)
from equijax.models.potential.network import Potential
from equijax.models.potential.predict import Prediction, baseline, equivariance, initialize, load, predict
from equijax.models.potential.training_set import atomic_energies, statistics

__all__ = [
    "Errors",
    "Potential",
    "Prediction",
    "Samples",
    "Trained",
    "atomic_energies",
    "baseline",
    "committee",
    "derivatives",
    "dynamics",
    "equivariance",
    "evaluate",
    "export",
    "exported",
    "fit",
    "for_structures",
    "initialize",
    "load",
    "loss",
    "objective",
    "parallel",
    "predict",
    "repulsion",
    "samples",
    "statistics",
]

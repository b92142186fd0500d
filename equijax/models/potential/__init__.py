"""An interatomic potential: its network, its training from a file or structures, and both on many devices."""

from equijax.models.potential import committee, derivatives, dynamics, exported, parallel, repulsion
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.evaluate import Errors, evaluate
from equijax.models.potential.export import export
from equijax.models.potential.finetune import adapt
from equijax.models.potential.fit import Trained, fit, for_structures, split
from equijax.models.potential.network import Potential
from equijax.models.potential.objective import loss, objective
from equijax.models.potential.predict import Prediction, baseline, equivariance, initialize, load, predict
from equijax.models.potential.samples import Samples, samples
from equijax.models.potential.training_set import Survey, atomic_energies, statistics, survey

__all__ = [
    "EnergyModel",
    "Errors",
    "Potential",
    "Prediction",
    "Samples",
    "Survey",
    "Trained",
    "adapt",
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
    "split",
    "statistics",
    "survey",
]

"""An interatomic potential: its network, its training, and both on many devices."""

from equijax.models.potential.network import Potential
from equijax.models.potential.predict import Prediction, baseline, equivariance, initialize, load, predict

__all__ = ["Potential", "Prediction", "baseline", "equivariance", "initialize", "load", "predict"]

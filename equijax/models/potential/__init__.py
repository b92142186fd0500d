"""An interatomic potential: its network, its training, and both on many devices."""

from equijax.models.potential.network import Potential, Prediction, baseline, equivariance, initialize, load, predict

__all__ = ["Potential", "Prediction", "baseline", "equivariance", "initialize", "load", "predict"]

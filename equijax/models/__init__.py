"""Models, one file a paper, made of the layers of `equijax.nn` and the transforms only."""

from equijax.models.potential import Potential, Prediction, baseline, predict

__all__ = ["Potential", "Prediction", "baseline", "predict"]

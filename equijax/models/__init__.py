"""Models, one file a paper, made of layers of `equijax.nn` and transforms only; how they are trained and kept."""

from equijax.models import checkpoint, parallel, potential, training
from equijax.models.potential import Potential

__all__ = ["Potential", "checkpoint", "parallel", "potential", "training"]

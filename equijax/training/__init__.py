"""Training, of any model and loss: optimizer, loop, checkpoints, meshes."""

from equijax.training import checkpoint

__all__ = ["checkpoint"]

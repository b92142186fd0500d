"""Training, of any model and loss: the loop, the optimizer, batches, checkpoints, meshes."""

from equijax.training import checkpoint
from equijax.training.batches import epochs, prefetch, shuffled
from equijax.training.log import Record, Spent
from equijax.training.loop import Result, fit
from equijax.training.mesh import axis_of, replicate, split
from equijax.training.optimizer import cosine, optimizer, scale_by_progress, stack, stacked, unstack
from equijax.training.step import Found, State, gradient, start, update

__all__ = [
    "Found",
    "Record",
    "Result",
    "Spent",
    "State",
    "axis_of",
    "checkpoint",
    "cosine",
    "epochs",
    "fit",
    "gradient",
    "optimizer",
    "prefetch",
    "replicate",
    "scale_by_progress",
    "shuffled",
    "split",
    "stack",
    "stacked",
    "start",
    "unstack",
    "update",
]

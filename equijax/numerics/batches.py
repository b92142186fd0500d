"""Statistics of a batch that lies on several devices."""

from collections.abc import Sequence

import jax
from jaxtyping import Array, Shaped

AxisName = str | Sequence[str] | None
"""Mesh axes over which a batch is spread, None where it is not."""


def global_batch(x: Shaped[Array, "rows ..."], axis_name: AxisName) -> Shaped[Array, "all_rows ..."]:
    """Rows of all devices along the mesh axis `axis_name`, in the order of the devices; x itself if that is None.

    Every statistic over a batch is of these rows, so that a loss on several devices is the loss on one. Its gradient
    by shared parameters is the mean over the devices (`jax.lax.pmean`) of their gradients.
    """
    return x if axis_name is None else jax.lax.all_gather(x, axis_name, tiled=True)

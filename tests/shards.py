"""A loss or a statistic of a batch over four devices, held against that of one."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import numpy as np
from jax.sharding import PartitionSpec

AXIS = "rows"


def assert_shards_agree(
    loss: Callable[..., Any], params: Any, batches: tuple[Any, ...], *, gradient: bool = True, tolerance: float = 1e-12
) -> None:
    """loss(params, *batches, axis_name) and its gradient are on four devices what they are on one.

    Leaves of `batches` have the rows first, a multiple of four.
    """
    mesh = jax.make_mesh((4,), (AXIS,), axis_types=(jax.sharding.AxisType.Auto,))
    rows, same = PartitionSpec(AXIS), PartitionSpec()

    def wanted(axis_name, params, *batches):
        values = loss(params, *batches, axis_name)
        slope = jax.grad(lambda params: _scalar(loss(params, *batches, axis_name)))(params) if gradient else None
        return values, jax.tree.map(lambda leaf: leaf if axis_name is None else jax.lax.pmean(leaf, AXIS), slope)

    shards = jax.shard_map(
        lambda *args: wanted(AXIS, *args),
        mesh=mesh,
        in_specs=(same, *(rows for _ in batches)),
        out_specs=same,
        check_vma=False,
    )
    chex.assert_trees_all_close(
        jax.tree.map(np.asarray, jax.jit(shards)(params, *batches)),
        jax.tree.map(np.asarray, wanted(None, params, *batches)),
        rtol=tolerance,
        atol=tolerance,
    )


def _scalar(values: Any) -> Any:
    """The loss, of a loss alone or of (loss, terms)."""
    return values[0] if isinstance(values, tuple) else values

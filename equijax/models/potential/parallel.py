"""Potentials on many devices: batches split by structure to train, one large structure split by atom to run.

A mesh is one axis of devices, of one host or of many: `jax.make_mesh((jax.device_count(),), ("devices",))`.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, PyTree

from equijax import graphs, training
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.objective import objective as objective_of_one
from equijax.models.potential.predict import Prediction
from equijax.models.potential.predict import predict as predict_one
from equijax.models.potential.samples import Batch

_OF_ALL = ("cells", "pbc", "graph_mask")  # arrays of a graph in shards that each device holds whole


def split_graph(graph: graphs.Graph, mesh: Mesh) -> graphs.Graph:
    """A graph of `graphs.partition` with one shard on each device.

    Raises:
        ValueError: If it is of another number of shards, or the mesh has several axes.
    """
    edge, devices = np.arange(len(graph.receivers)), mesh.size
    nodes, edges = len(graph.species) / devices, len(edge) / devices
    if np.any(graph.receivers // nodes != edge // edges):
        raise ValueError(
            f"graph: expected one of graphs.partition(graph, {devices}), whose edges end in their own shard"
        )
    sharded = training.split({name: x for name, x in graph._asdict().items() if name not in _OF_ALL}, mesh)
    return graphs.Graph(**sharded, **training.replicate({name: getattr(graph, name) for name in _OF_ALL}, mesh))


def objective(model: EnergyModel, mesh: Mesh, **options: Any) -> Callable[[PyTree, Batch], Array]:
    """`potential.objective` on all devices of a mesh, each with its structures: the loss is that of the whole batch.

    Parameters are on every device, sums over the batch are taken across devices. Parameters enter as `training.stack`
    has them, so that their gradient is summed as a few large arrays.

    Args:
        model: The potential.
        mesh: Of one axis.
        **options: Those of `potential.loss`.

    Returns:
        The function (params, batch) -> loss, as `training.fit` takes it, for batches of
        `Samples.batches(seed, shards=mesh.size)`, put on the devices by `training.split`.
    """
    axis = training.axis_of(mesh)
    one = objective_of_one(model, axis_name=axis, **options)

    def of_batch(params: PyTree, batch: Batch) -> Array:
        def of_shard(stacks: dict[str, Array], batch: Batch) -> Array:
            return one(training.unstack(stacks, params), batch)

        everywhere, of_device = PartitionSpec(), PartitionSpec(axis)
        summed = jax.shard_map(of_shard, mesh=mesh, in_specs=(everywhere, of_device), out_specs=everywhere)
        return summed(training.stack(params), batch)

    return of_batch


def predict(model: EnergyModel, mesh: Mesh):
    """`potential.predict` of one large structure, its atoms and the edges that end there split over a mesh.

    Features of all atoms are collected on each device once a layer; what is made of edges, nearly all of the memory,
    stays where it is.

    Args:
        model: The potential.
        mesh: Of one axis.

    Returns:
        The function (params, graph) -> Prediction, to be jitted, for a graph of `graphs.partition`, put on the devices
        by `split_graph`; forces and node energies are split as its nodes are.
    """
    axis = training.axis_of(mesh)
    of_shard: Any = PartitionSpec(axis)
    of_all: Any = PartitionSpec()
    graph = graphs.Graph(*(of_all if name in _OF_ALL else of_shard for name in graphs.Graph._fields))
    result = Prediction(energies=of_all, forces=of_shard, stresses=of_all, node_energies=of_shard)

    def one(params, graph):
        return predict_one(model, params, graph, axis_name=axis)

    return jax.shard_map(one, mesh=mesh, in_specs=(of_all, graph), out_specs=result)

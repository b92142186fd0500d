"""Potentials on many devices: batches split by structure to train, one large structure split by atom to run.

A mesh is one axis of devices, of one host or of many: `jax.make_mesh((jax.device_count(),), ("devices",))`.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from equijax import graphs
from equijax.models.potential import fit
from equijax.models.potential.network import Potential
from equijax.models.potential.predict import Prediction
from equijax.models.potential.predict import predict as predict_one

_OF_ALL = ("cells", "pbc", "graph_mask")  # arrays of a partitioned graph that each device holds whole


def split(tree: Any, mesh: Mesh) -> Any:
    """Arrays of the host on the devices of a mesh, equal shares of their first axis on each.

    Every process of a run gives the same whole arrays, and keeps the shares of its own devices.

    Raises:
        ValueError: If the mesh has several axes, or does not divide a first axis.
    """
    axis, devices = _axis(mesh), mesh.size
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        if np.ndim(x) < 1 or np.shape(x)[0] % devices:
            raise ValueError(
                f"tree{jax.tree_util.keystr(path)}: expected a first axis that the {devices} devices of the mesh "
                f"divide, got shape {np.shape(x)}; pad it, or take a mesh of fewer devices"
            )
    return _put(tree, NamedSharding(mesh, PartitionSpec(axis)))


def replicate(tree: Any, mesh: Mesh) -> Any:
    """Arrays of the host on each device of a mesh: parameters, the state of an optimizer."""
    return _put(tree, NamedSharding(mesh, PartitionSpec()))


def split_graph(graph: graphs.Graph, mesh: Mesh) -> graphs.Graph:
    """A graph of `graphs.partition` with one part on each device.

    Raises:
        ValueError: If it is of another number of parts, or the mesh has several axes.
    """
    edge, devices = np.arange(len(graph.receivers)), mesh.size
    nodes, edges = len(graph.species) / devices, len(edge) / devices
    if np.any(graph.receivers // nodes != edge // edges):
        raise ValueError(
            f"graph: expected one of graphs.partition(graph, {devices}), whose edges end in their own part"
        )
    parted = split({name: x for name, x in graph._asdict().items() if name not in _OF_ALL}, mesh)
    return graphs.Graph(**parted, **replicate({name: getattr(graph, name) for name in _OF_ALL}, mesh))


def gradient(model: Potential, like: Any, mesh: Mesh, **weights: float):
    """`fit.gradient` on all devices of a mesh, each with its structures: loss and gradient are those of the batch.

    Parameters are on every device, sums over the batch are taken across devices.

    Args:
        model: The potential.
        like: Parameters of the model, for their shapes.
        mesh: Of one axis.
        **weights: Those of `fit.loss`.

    Returns:
        The function (stacked parameters, graph, labels) -> (loss, stacked gradient), to be jitted, for a batch of
        `fit.Samples.batch(indices, parts=mesh.size)`, put on the devices by `split`.
    """
    axis = _axis(mesh)
    one = fit.gradient(model, like, axis_name=axis, **weights)
    return jax.shard_map(one, mesh=mesh, in_specs=(PartitionSpec(), PartitionSpec(axis), PartitionSpec(axis)),
                         out_specs=PartitionSpec())  # fmt: skip


def predict(model: Potential, mesh: Mesh):
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
    axis = _axis(mesh)
    parted: Any = PartitionSpec(axis)
    of_all: Any = PartitionSpec()
    graph = graphs.Graph(*(of_all if name in _OF_ALL else parted for name in graphs.Graph._fields))
    result = Prediction(energies=of_all, forces=parted, stresses=of_all, node_energies=parted)

    def one(params, graph):
        return predict_one(model, params, graph, axis_name=axis)

    return jax.shard_map(one, mesh=mesh, in_specs=(of_all, graph), out_specs=result)


def _axis(mesh):
    if len(mesh.axis_names) != 1:
        raise ValueError(
            f"mesh: expected one axis, got {mesh.axis_names}; jax.make_mesh((jax.device_count(),), ('devices',))"
        )
    return mesh.axis_names[0]


def _put(tree, sharding):
    return jax.tree.map(lambda x: jax.make_array_from_callback(np.shape(x), sharding, np.asarray(x).__getitem__), tree)

"""Energies, forces and stresses of structures, padded as their graph is."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float

from equijax.graphs.graph import Graph, Structure


class Labels(NamedTuple):
    """What is known of the B structures of a graph; zero where the mask is False."""

    energies: Float[Array | np.ndarray, " B"]
    forces: Float[Array | np.ndarray, "N 3"]
    stresses: Float[Array | np.ndarray, "B 3 3"]
    energy_mask: Bool[Array | np.ndarray, " B"]
    force_mask: Bool[Array | np.ndarray, " N"]
    stress_mask: Bool[Array | np.ndarray, " B"]


def labels(structures: Sequence[Structure], graph: Graph) -> Labels:
    """Labels of the structures that `graph` was made of, in the same order and with the same padding, in float64.

    Subtract large constants (isolated atoms) from the energies before jax makes them float32.

    Raises:
        ValueError: If the structures are not those of the graph.
    """
    counts = [len(s.species) for s in structures]
    found = np.bincount(graph.graph_of_node[graph.node_mask]).tolist()
    if counts != found:
        raise ValueError(f"structures: expected those of the graph, with {found} atoms, got {counts}")

    def pad(values, blank, size):
        rows = [
            zero if value is None else np.reshape(value, zero.shape) for value, zero in zip(values, blank, strict=True)
        ]
        known = np.repeat([value is not None for value in values], [len(row) for row in rows])
        joined = np.concatenate(rows)
        padding = np.zeros((size - len(joined), *joined.shape[1:]))
        return np.concatenate([joined, padding]), np.concatenate([known, np.zeros(len(padding), bool)])

    nodes, graphs = len(graph.species), len(graph.graph_mask)
    energies, energy_mask = pad([s.energy for s in structures], [np.zeros(1)] * len(counts), graphs)
    forces, force_mask = pad([s.forces for s in structures], [np.zeros((n, 3)) for n in counts], nodes)
    stresses, stress_mask = pad([s.stress for s in structures], [np.zeros((1, 3, 3))] * len(counts), graphs)
    return Labels(energies, forces, stresses, energy_mask, force_mask, stress_mask)

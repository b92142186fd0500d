"""Energies, forces and stresses of structures, padded as their graph is."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float

from equijax.graphs.graph import Graph
from equijax.graphs.structure import Structure


class Labels(NamedTuple):
    """What is known of the B structures of a graph; zero where the mask is False."""

    energies: Float[Array | np.ndarray, " B"]
    forces: Float[Array | np.ndarray, "N 3"]
    stresses: Float[Array | np.ndarray, "B 3 3"]
    energy_mask: Bool[Array | np.ndarray, " B"]
    force_mask: Bool[Array | np.ndarray, " N"]
    stress_mask: Bool[Array | np.ndarray, " B"]
    weights: Float[Array | np.ndarray, " B"]
    """`Structure.weight`."""


def labels(structures: Sequence[Structure], graph: Graph) -> Labels:
    """Labels of the structures that `graph` was made of, in the same order and with the same padding, in float64.

    Subtract large constants (isolated atoms) from the energies before jax makes them float32.

    Raises:
        ValueError: If the structures are not those of the graph, or a label has not the shape of `Structure`.

    Examples:
        >>> from equijax import graphs
        >>> pair = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 0.74]]), energy=-31.7)
        >>> found = labels([pair], graphs.batch([pair], cutoff=1.0))
        >>> found.energies, found.energy_mask
        (array([-31.7,   0. ]), array([ True, False]))
        >>> found.forces.shape, bool(found.force_mask.any())
        ((8, 3), False)
    """
    counts = [len(s.species) for s in structures]
    found = np.bincount(graph.graph_of_node[graph.node_mask]).tolist()
    if counts != found:
        raise ValueError(f"structures: expected those of the graph, with {found} atoms, got {counts}")

    def pad(name, shapes, row, size):
        """The labels of that name, (size, *row), and which rows are known."""
        out, mask, end = np.zeros((size, *row)), np.zeros(size, bool), 0
        for k, (structure, shape) in enumerate(zip(structures, shapes, strict=True)):
            value, begin = getattr(structure, name), end
            end += math.prod(shape) // math.prod(row)
            if value is None:
                continue
            if np.shape(value) != shape:
                raise ValueError(f"structures[{k}].{name}: expected shape {shape}, got {np.shape(value)}")
            out[begin:end], mask[begin:end] = value, True
        return out, mask

    nodes, graphs = len(graph.species), len(graph.graph_mask)
    energies, energy_mask = pad("energy", [()] * len(counts), (), graphs)
    forces, force_mask = pad("forces", [(n, 3) for n in counts], (3,), nodes)
    stresses, stress_mask = pad("stress", [(3, 3)] * len(counts), (3, 3), graphs)
    weights = np.zeros(graphs)
    weights[: len(counts)] = [structure.weight for structure in structures]
    return Labels(energies, forces, stresses, energy_mask, force_mask, stress_mask, weights)

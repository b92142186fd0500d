"""Structures as graphs of fixed shape: neighbor lists, padding and masks, labels, and shards for many devices.

A `Structure` is made a `Graph` by `from_structure`, several of them one padded `Graph` by `batch`.
"""

from equijax.graphs.graph import Graph, batch, bucket, concatenate, edge_lengths, edge_vectors, from_structure
from equijax.graphs.neighbors import Neighbors, image_counts, neighbor_list, traced_neighbor_list
from equijax.graphs.partition import first_node, partition, whole
from equijax.graphs.structure import Structure, checked, each, known_species, species_index
from equijax.graphs.targets import Labels, labels

__all__ = [
    "Graph",
    "Labels",
    "Neighbors",
    "Structure",
    "batch",
    "bucket",
    "checked",
    "concatenate",
    "each",
    "edge_lengths",
    "edge_vectors",
    "first_node",
    "from_structure",
    "image_counts",
    "known_species",
    "labels",
    "neighbor_list",
    "partition",
    "species_index",
    "traced_neighbor_list",
    "whole",
]

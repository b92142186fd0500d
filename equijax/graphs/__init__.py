"""Structures as graphs of fixed shape: neighbor lists, padding and masks, labels, and shards for many devices.

A `Structure` is made a `Graph` by `from_structure`, several of them one padded `Graph` by `batch`. `pack` says which
structures of any sizes go together in batches of a few `shapes`; `bucket` rounds a size that is not known before.
Of scattered points without species there are `farthest_points` and the patches around them, `nearest_points`.
"""

from equijax.graphs.graph import (
    Graph,
    batch,
    bucket,
    concatenate,
    edge_lengths,
    edge_vectors,
    from_structure,
    with_padding,
)
from equijax.graphs.neighbors import image_counts, neighbor_list
from equijax.graphs.packing import Pack, Shape, pack, padding, shapes, windows
from equijax.graphs.partition import first_node, partition, whole
from equijax.graphs.patches import FarthestPoints, Patches, farthest_points, nearest_points
from equijax.graphs.structure import Structure, checked, each, known_species, species_index
from equijax.graphs.targets import Labels, labels
from equijax.graphs.traced_neighbors import Bins, Neighbors, Room, room, traced_neighbor_list

__all__ = [
    "Bins",
    "FarthestPoints",
    "Graph",
    "Labels",
    "Neighbors",
    "Pack",
    "Patches",
    "Room",
    "Shape",
    "Structure",
    "batch",
    "bucket",
    "checked",
    "concatenate",
    "each",
    "edge_lengths",
    "edge_vectors",
    "farthest_points",
    "first_node",
    "from_structure",
    "image_counts",
    "known_species",
    "labels",
    "nearest_points",
    "neighbor_list",
    "pack",
    "padding",
    "partition",
    "room",
    "shapes",
    "species_index",
    "traced_neighbor_list",
    "whole",
    "windows",
    "with_padding",
]

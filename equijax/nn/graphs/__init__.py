"""Layers of graphs: messages, edges, all pairs, radial functions."""

from equijax.nn.graphs.all_pairs import AllPairs, differences, off_diagonal, particles, with_diagonal
from equijax.nn.graphs.edges import EdgeConvolution, EdgeDense, Edges, GraphEdges
from equijax.nn.graphs.local_frames import LocalFrames, carried, tensor_size, turn
from equijax.nn.graphs.message_passing import MessagePassing, ZonalConvolution, aggregate
from equijax.nn.graphs.motion import InteractionReasoning, MotionLayer, mean_of_all
from equijax.nn.graphs.path_convolution import PathConvolution
from equijax.nn.graphs.radial import RadialBasis, bessel_basis, polynomial_cutoff

__all__ = [
    "AllPairs",
    "EdgeConvolution",
    "EdgeDense",
    "Edges",
    "GraphEdges",
    "InteractionReasoning",
    "LocalFrames",
    "MessagePassing",
    "MotionLayer",
    "PathConvolution",
    "RadialBasis",
    "ZonalConvolution",
    "aggregate",
    "bessel_basis",
    "carried",
    "differences",
    "mean_of_all",
    "off_diagonal",
    "particles",
    "polynomial_cutoff",
    "tensor_size",
    "turn",
    "with_diagonal",
]

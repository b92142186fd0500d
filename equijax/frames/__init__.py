"""Frames, which move with their points, and the transforms that make any function symmetric with them.

A frame is a function `frame(group, points, mask) -> (elements, weights, info)` of one sample: group elements along a
leading axis, weights that sum to one, and `Info`. At g x the elements are g times those at x, with the same weights.
"""

from equijax.frames.average import canonicalize, frame_average
from equijax.frames.combine import guarded, heaviest, product, stopped
from equijax.frames.gram_schmidt import pivoted, qr
from equijax.frames.pairs import weighted_pairs
from equijax.frames.permutations import sorting
from equijax.frames.pose import Frame, Info, centroid
from equijax.frames.principal import pca

__all__ = [
    "Frame",
    "Info",
    "canonicalize",
    "centroid",
    "frame_average",
    "guarded",
    "heaviest",
    "pca",
    "pivoted",
    "product",
    "qr",
    "sorting",
    "stopped",
    "weighted_pairs",
]

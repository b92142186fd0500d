"""Frames, which move with their points, and the transforms that make any function symmetric with them.

A frame is a function `frame(group, points, mask) -> (elements, weights, info)` of one sample: group elements along a
leading axis, weights that sum to one, and `Info`. At g x the elements are g times those at x, with the same weights.
"""

from equijax.frames.average import canonicalize, frame_average
from equijax.frames.base import Frame, Info, centroid
from equijax.frames.combine import guarded, heaviest, product, stopped
from equijax.frames.coordinates import coordinates_from_distances, invariant_coordinates
from equijax.frames.gram_schmidt import pivoted, qr
from equijax.frames.lifts import lorentz, whitened
from equijax.frames.pairs import weighted_pairs
from equijax.frames.permutations import sorting
from equijax.frames.principal import pca
from equijax.frames.scored import scored
from equijax.frames.span import span_head, span_projection

__all__ = [
    "Frame",
    "Info",
    "canonicalize",
    "centroid",
    "coordinates_from_distances",
    "frame_average",
    "guarded",
    "heaviest",
    "invariant_coordinates",
    "lorentz",
    "pca",
    "pivoted",
    "product",
    "qr",
    "scored",
    "sorting",
    "span_head",
    "span_projection",
    "stopped",
    "weighted_pairs",
    "whitened",
]

"""Frames, which move with their points, and the transforms that make any function symmetric with them.

A frame is a function `frame(group, points, mask) -> (elements, weights, info)` of one sample: group elements along a
leading axis, weights that sum to one, and `Info`. At g x the elements are g times those at x, with the same weights.
`frame_average` averages a function over all elements, `canonicalize` takes the only one.

====================  ==============================================  ============================================
frame                 groups                                          module
====================  ==============================================  ============================================
`pca`                 SO, O, SE, E, Similarity, about an axis too     principal: principal axes
`weighted_pairs`      the same                                        pairs: all pairs of points, continuous
`pivoted`, `qr`       the same                                        gram_schmidt: axes along some of the points
`centroid`            Translation                                     base: the mean
`sorting`             Permutation                                     permutations: rows in order
`polyphase`           Shift                                           polyphase: the phase of largest energy
`scored`              finite groups                                   scored: by scores from a network
`lorentz`             Lorentz                                         lifts: the rest frame, then rotations
`whitened`            GLPlus, SL, Affine                              lifts: unit covariance, then rotations
====================  ==============================================  ============================================

Of other frames (module combine): `stopped`, `guarded`, `heaviest`, `product`. Beside frames: `invariant_coordinates`
and `coordinates_from_distances` (coordinates), `span_head` and `span_projection` (span).
"""

from equijax.frames.average import canonicalize, frame_average
from equijax.frames.base import Frame, Info, centroid
from equijax.frames.combine import guarded, heaviest, product, stopped
from equijax.frames.coordinates import coordinates_from_distances, invariant_coordinates
from equijax.frames.cyclic import least_rotation
from equijax.frames.gram_schmidt import pivoted, qr
from equijax.frames.lifts import lorentz, whitened
from equijax.frames.pairs import weighted_pairs
from equijax.frames.permutations import sorting
from equijax.frames.polyphase import polyphase
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
    "least_rotation",
    "lorentz",
    "pca",
    "pivoted",
    "polyphase",
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

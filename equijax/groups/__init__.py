"""What a symmetry is: groups with their products, exponentials, Haar samples and quadrature nodes.

Groups are static and hashable; their elements are arrays. Bigger groups are made of smaller ones: `SE(n)` is
`Semidirect(Translation(n), SO(n))`.
"""

from equijax.groups.base import AffineElement, Element, FiniteGroup, Group, linear_part, static
from equijax.groups.composite import SE, Composite, E, Product, Scaled, Semidirect, Similarity
from equijax.groups.finite import (
    Cyclic,
    Dihedral,
    Icosahedral,
    Octahedral,
    Permutation,
    Polyhedral,
    Shift,
    Tetrahedral,
)
from equijax.groups.orthogonal import SO, O
from equijax.groups.vector import Scaling, Translation

__all__ = [
    "SE",
    "SO",
    "AffineElement",
    "Composite",
    "Cyclic",
    "Dihedral",
    "E",
    "Element",
    "FiniteGroup",
    "Group",
    "Icosahedral",
    "O",
    "Octahedral",
    "Permutation",
    "Polyhedral",
    "Product",
    "Scaled",
    "Scaling",
    "Semidirect",
    "Shift",
    "Similarity",
    "Tetrahedral",
    "Translation",
    "linear_part",
    "static",
]

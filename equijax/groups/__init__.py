"""What a symmetry is: groups with their products, exponentials, Haar samples and quadrature nodes.

Groups are static and hashable; their elements are arrays. Bigger groups are made of smaller ones: `SE(n)` is
`Semidirect(Translation(n), SO(n))`.
"""

from equijax.groups.axial import Axial
from equijax.groups.base import FiniteGroup, Group, check_element
from equijax.groups.composite import Composite, Product
from equijax.groups.elements import AffineElement, Element, linear_part, static
from equijax.groups.finite import (
    Cyclic,
    Dihedral,
    FiniteMatrices,
    Icosahedral,
    Octahedral,
    Permutation,
    Polyhedral,
    Shift,
    Tetrahedral,
)
from equijax.groups.general_linear import SL
from equijax.groups.indefinite import IndefiniteOrthogonal
from equijax.groups.lorentz import Lorentz
from equijax.groups.matrices import Matrices
from equijax.groups.orthogonal import SO, O
from equijax.groups.parts import Embedded, Part, Whole
from equijax.groups.power import Power, PowerElement
from equijax.groups.quadrature import effective_size
from equijax.groups.scaled import GLPlus, Scaled
from equijax.groups.semidirect import SE, Affine, E, Semidirect, Similarity
from equijax.groups.unitary import SU, Sp, U, complex_form, real_form
from equijax.groups.vector import Scaling, Translation

__all__ = [
    "SE",
    "SL",
    "SO",
    "SU",
    "Affine",
    "AffineElement",
    "Axial",
    "Composite",
    "Cyclic",
    "Dihedral",
    "E",
    "Element",
    "Embedded",
    "FiniteGroup",
    "FiniteMatrices",
    "GLPlus",
    "Group",
    "Icosahedral",
    "IndefiniteOrthogonal",
    "Lorentz",
    "Matrices",
    "O",
    "Octahedral",
    "Part",
    "Permutation",
    "Polyhedral",
    "Power",
    "PowerElement",
    "Product",
    "Scaled",
    "Scaling",
    "Semidirect",
    "Shift",
    "Similarity",
    "Sp",
    "Tetrahedral",
    "Translation",
    "U",
    "Whole",
    "check_element",
    "complex_form",
    "effective_size",
    "linear_part",
    "real_form",
    "static",
]

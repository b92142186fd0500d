"""How a symmetry acts on arrays: scalars, vectors, points, tensors, spherical features, permutations, images."""

from equijax.reps.base import Rep
from equijax.reps.combine import Dual, Ignore, Joint, Product, Quadrature, Sum, TensorProduct
from equijax.reps.complex import Complex, ComplexTensor
from equijax.reps.decomposition import Decomposition, character, decompose
from equijax.reps.finite import Element, Index, Permutation, Regular, Shift
from equijax.reps.geometric import Homogeneous, Position, Scalar, Tensor, Vector
from equijax.reps.image import Image
from equijax.reps.intertwiners import BlockBasis, block_basis, equivariant_matrix, intertwiners, project, summands
from equijax.reps.irreducible import Irrep, irrep, irreps
from equijax.reps.pieces import Pieces
from equijax.reps.sequence import Sequence
from equijax.reps.solver import dimension, permutes_coordinates
from equijax.reps.spherical import Irreps, Spherical
from equijax.reps.subgroups import Induced, Restricted, induce, restrict

__all__ = [
    "BlockBasis",
    "Complex",
    "ComplexTensor",
    "Decomposition",
    "Dual",
    "Element",
    "Homogeneous",
    "Ignore",
    "Image",
    "Index",
    "Induced",
    "Irrep",
    "Irreps",
    "Joint",
    "Permutation",
    "Pieces",
    "Position",
    "Product",
    "Quadrature",
    "Regular",
    "Rep",
    "Restricted",
    "Scalar",
    "Sequence",
    "Shift",
    "Spherical",
    "Sum",
    "Tensor",
    "TensorProduct",
    "Vector",
    "block_basis",
    "character",
    "decompose",
    "dimension",
    "equivariant_matrix",
    "induce",
    "intertwiners",
    "irrep",
    "irreps",
    "permutes_coordinates",
    "project",
    "restrict",
    "summands",
]

"""How a symmetry acts on arrays: scalars, vectors, points, tensors, spherical features, permutations, images."""

from equijax.reps.base import Rep
from equijax.reps.combine import Dual, Ignore, Joint, Product, Quadrature, Sum, TensorProduct
from equijax.reps.finite import Element, Index, Permutation, Regular, Shift
from equijax.reps.geometric import Position, Scalar, Tensor, Vector
from equijax.reps.image import Image
from equijax.reps.intertwiners import BlockBasis, block_basis, equivariant_matrix, intertwiners, project, summands
from equijax.reps.solver import dimension, permutes_coordinates
from equijax.reps.spherical import Irreps, Spherical

__all__ = [
    "BlockBasis",
    "Dual",
    "Element",
    "Ignore",
    "Image",
    "Index",
    "Irreps",
    "Joint",
    "Permutation",
    "Position",
    "Product",
    "Quadrature",
    "Regular",
    "Rep",
    "Scalar",
    "Shift",
    "Spherical",
    "Sum",
    "Tensor",
    "TensorProduct",
    "Vector",
    "block_basis",
    "dimension",
    "equivariant_matrix",
    "intertwiners",
    "permutes_coordinates",
    "project",
    "summands",
]

"""All equivariant linear maps between two representations, of any group of matrices or finite group."""

import functools
import math
from typing import NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from equijax import groups
from equijax._validate import floating
from equijax.groups import Group
from equijax.reps.base import Rep, expect_group, expect_rep
from equijax.reps.combine import Product, Sum
from equijax.reps.geometric import Scalar
from equijax.reps.solver import dimension, maps_between
from equijax.reps.spherical import Irreps

T = TypeVar("T", Array, np.ndarray)


@functools.cache
def intertwiners(group: Group, source: Rep, target: Rep) -> Float[np.ndarray, "maps rows columns"]:
    """An orthonormal basis of the linear maps W with ρ_target(g) W = W ρ_source(g) for every g.

    It is enough that W commutes with a basis of the Lie algebra, dρ_target(E) W = W dρ_source(E), and with one element
    of each further component: linear equations, solved on the host in float64, once. The group need not be compact, nor
    the representations orthogonal. Sums are solved block by block.

    The basis does not depend on the linear algebra library: it is the Gram-Schmidt process on the first linearly
    independent columns of the projector on the solutions. Coefficients in a checkpoint keep their meaning. In sums they
    are ordered by the distinct terms of the target and of the source as they first appear, then by the copies of each.

    Args:
        group: The group.
        source: Representation of the arguments of the maps, linear and of finite dimension.
        target: Representation of their values.

    Returns:
        Array of shape (maps, dim of target, dim of source), read-only, with orthonormal rows when flattened.

    Raises:
        TypeError: If `source` or `target` is no representation, or one that is not linear.
        ValueError: If one of them does not act for this group, or there are too many unknowns.

    References:
        Finzi, Welling and Wilson 2021, arXiv:2104.09459, theorem 1.

    Examples:
        >>> from equijax import groups, reps
        >>> reps.intertwiners(groups.O(3), reps.Vector(), reps.Tensor(2)).shape
        (0, 9, 3)
        >>> reps.intertwiners(groups.SO(3), reps.Vector(), reps.Tensor(2)).shape
        (1, 9, 3)

        Vectors of n atoms, in space and among the atoms: the map of each, and the sum over all atoms.

        >>> atoms = groups.Product(groups.O(3), groups.Permutation(4))
        >>> vectors = reps.Product(reps.Vector(), reps.Permutation())
        >>> reps.intertwiners(atoms, vectors, vectors).shape
        (2, 12, 12)
    """
    maps = block_basis(group, source, target)
    basis = np.zeros((maps.dim, maps.height, maps.width))
    for rows, bases, pieces in zip(maps.rows, maps.bases, maps.split(basis), strict=True):
        for columns, block, piece in zip(maps.columns, bases, pieces, strict=True):
            for i, j in np.ndindex(piece.shape[:2]):
                piece[i, j][:, rows[i][:, None], columns[j]] = block
    basis.flags.writeable = False
    return basis


def equivariant_matrix(
    group: Group, source: Rep, target: Rep, coefficients: Float[Array | np.ndarray, " maps"]
) -> Float[Array, "rows columns"]:
    """The equivariant linear map W = Σ_k c_k B_k over the basis B of `intertwiners`, in the dtype of the coefficients.

    All copies of a representation in a sum share one small basis: the basis of the sum is never written out.

    Raises:
        ValueError: If there is not one coefficient for each map.

    Examples:
        >>> from equijax import groups, reps
        >>> mean = reps.equivariant_matrix(groups.Permutation(2), reps.Permutation(), reps.Scalar(), jnp.ones(1))
        >>> np.testing.assert_allclose(mean, [[0.5**0.5, 0.5**0.5]], rtol=1e-6)
    """
    maps, c = block_basis(group, source, target), floating("coefficients", coefficients)
    if c.shape != (maps.dim,):
        raise ValueError(f"coefficients: {source} to {target} takes {maps.dim}, one a map, got shape {c.shape}")

    def expand(weights, basis):
        block = jnp.einsum("ijk,kab->iajb", weights, basis.astype(c.dtype), precision="highest")
        # (copies of the target · dim, copies of the source · dim)
        return block.reshape(block.shape[0] * block.shape[1], -1)

    bands = [
        jnp.concatenate([expand(*pair) for pair in zip(pieces, bases, strict=True)], axis=1)
        for pieces, bases in zip(maps.split(c), maps.bases, strict=True)
    ]
    back = [np.argsort(order) for order in maps.orders]
    return _reorder(jnp.concatenate(bands), *back)


def project(
    group: Group, source: Rep, target: Rep, w: Float[Array | np.ndarray, "rows columns"]
) -> Float[Array, "rows columns"]:
    """The equivariant linear map next to the matrix `w`, P w = Σ_k B_k ⟨B_k, w⟩ over the basis B of `intertwiners`.

    ½ ‖w − P w‖² is the projection penalty; for orthogonal representations ‖w − P w‖² is half of the average of
    ‖ρ_target(g) w ρ_source(g)⁻¹ − w‖² over the group.

    Examples:
        >>> from equijax import groups, reps
        >>> near = reps.project(groups.SO(2), reps.Vector(), reps.Vector(), jnp.array([[1.0, 0.0], [0.0, 3.0]]))
        >>> np.testing.assert_allclose(near, [[2.0, 0.0], [0.0, 2.0]], atol=1e-6)
    """
    maps, w = block_basis(group, source, target), floating("w", w)
    if w.shape != (maps.height, maps.width):
        raise ValueError(f"w: expected shape {(maps.height, maps.width)} for {source} to {target}, got {w.shape}")
    coefficients = []
    ends = [np.cumsum([places.size for places in found])[:-1] for found in (maps.rows, maps.columns)]
    for rows, bases, band in zip(maps.rows, maps.bases, jnp.split(_reorder(w, *maps.orders), ends[0]), strict=True):
        for columns, basis, block in zip(maps.columns, bases, jnp.split(band, ends[1], axis=1), strict=True):
            block = block.reshape(*rows.shape, *columns.shape)
            found = jnp.einsum("iajb,kab->ijk", block, basis.astype(w.dtype), precision="highest")
            coefficients.append(found.reshape(-1))
    return equivariant_matrix(group, source, target, jnp.concatenate(coefficients))


def summands(rep: Rep) -> list[Rep]:
    """The representations that a sum consists of, one after the other; of `Irreps`, each copy of each irrep.

    Examples:
        >>> from equijax import reps
        >>> reps.summands(reps.Sum(reps.Vector(), reps.Irreps("2x0e+1o")))
        [Vector(), Irreps('0e'), Irreps('0e'), Irreps('1o')]
    """
    if isinstance(rep, Sum):
        return [term for summand in rep.reps for term in summands(summand)]
    if isinstance(rep, Irreps):
        return [Irreps(f"{degree}{'e' if p == 1 else 'o'}") for mul, degree, p in rep.terms for _ in range(mul)]
    return [rep]


class BlockBasis(NamedTuple):
    """The equivariant maps between two sums, by their distinct terms in the order in which they first appear.

    Coefficients are ordered by distinct term of the target, then of the source, then copy of each, then map.

    Attributes:
        rows: For each distinct term of the target, the places of its copies, shape (copies, dim).
        columns: The same for the source.
        bases: For each pair of distinct terms, a basis of the maps, shape (maps, dim of target, dim of source).
    """

    rows: list[Int[np.ndarray, "_ _"]]
    columns: list[Int[np.ndarray, "_ _"]]
    bases: list[list[Float[np.ndarray, "_ _ _"]]]

    @property
    def height(self) -> int:
        """Dimension of the target."""
        return sum(places.size for places in self.rows)

    @property
    def width(self) -> int:
        """Dimension of the source."""
        return sum(places.size for places in self.columns)

    @property
    def dim(self) -> int:
        """Number of maps."""
        pairs = zip(self.rows, self.bases, strict=True)
        return sum(len(i) * len(j) * len(b) for i, bases in pairs for j, b in zip(self.columns, bases, strict=True))

    @property
    def orders(self) -> list[np.ndarray]:
        """Places of rows and columns, with the copies of a term next to each other."""
        return [np.concatenate([places.ravel() for places in found]) for found in (self.rows, self.columns)]

    def split(self, x: T) -> list[list[T]]:
        """Views of `x` along its leading axis `dim`, shape (copies, copies, maps, ...) for each pair of terms."""
        start = 0
        found: list[list[T]] = []
        for rows, bases in zip(self.rows, self.bases, strict=True):
            found.append([])
            for columns, basis in zip(self.columns, bases, strict=True):
                shape = (len(rows), len(columns), len(basis))
                found[-1].append(x[start : start + math.prod(shape)].reshape(*shape, *x.shape[1:]))
                start += math.prod(shape)
        return found


@functools.cache
def block_basis(group: Group, source: Rep, target: Rep) -> BlockBasis:
    """How the maps between two representations are made of those between the terms of which they are sums.

    Args:
        group: The group.
        source: Representation of the arguments of the maps, linear and of finite dimension.
        target: Representation of their values.

    Raises:
        TypeError: If `source` or `target` is no representation, or one that is not linear.
        ValueError: If one of them does not act for this group, or there are too many unknowns.

    Examples:
        >>> from equijax import groups, reps
        >>> vectors = reps.Sum(*[reps.Vector()] * 4)
        >>> maps = reps.block_basis(groups.O(3), vectors, vectors)
        >>> maps.dim, maps.bases[0][0].shape  # of the 16 maps from 4 vectors to 4, one small basis
        (16, (1, 3, 3))
    """
    expect_group("group", group)
    for name, rep in (("source", source), ("target", target)):
        expect_rep(name, rep)
        try:
            rep.check(group)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from None
    (sources, columns), (targets, rows) = _distinct(group, source), _distinct(group, target)
    return BlockBasis(rows, columns, [[_maps(group, into, out) for into in sources] for out in targets])


def _maps(group: Group, source: Rep, target: Rep) -> Float[np.ndarray, "maps rows columns"]:
    """The maps between two terms; those between outer products are outer products of those between the factors."""
    if not (isinstance(group, groups.Product) and isinstance(source, Product) and isinstance(target, Product)):
        return maps_between(group, source, target)
    triples = zip(group.groups, source.reps, target.reps, strict=True)
    factors = [intertwiners(factor, into or Scalar(), out or Scalar()) for factor, into, out in triples]
    return functools.reduce(_outer, factors)


def _outer(a: Float[np.ndarray, "k m n"], b: Float[np.ndarray, "l r s"]) -> Float[np.ndarray, "k*l m*r n*s"]:
    """All Kronecker products of one map each."""
    (k, m, n), (count, r, s) = a.shape, b.shape
    return np.einsum("kmn,lrs->klmrns", a, b).reshape(k * count, m * r, n * s)


def _distinct(group: Group, rep: Rep) -> tuple[list[Rep], list[np.ndarray]]:
    """The distinct terms of a sum in the order in which they first appear, and the places of all copies of each."""
    places: dict[Rep, list[np.ndarray]] = {}
    start = 0
    for term in summands(rep):
        stop = start + dimension(group, term)
        places.setdefault(term, []).append(np.arange(start, stop))
        start = stop
    return list(places), [np.stack(found) for found in places.values()]


def _reorder(w: Array, rows: np.ndarray, columns: np.ndarray) -> Array:
    for axis, order in enumerate((rows, columns)):
        if (np.diff(order) != 1).any():
            w = jnp.take(w, order, axis=axis)
    return w

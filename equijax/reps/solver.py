"""The equivariant maps between two representations that are no sums: linear equations, solved on the host."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from equijax.groups import Group, Part
from equijax.reps.base import Rep
from equijax.reps.combine import Dual, TensorProduct
from equijax.reps.geometric import Scalar, Tensor, Vector

MOST_UNKNOWNS = 5000  # entries of a map that depend on each other
_ZERO = 1e-11  # of an eigenvalue over the largest one; those of constraints that hold are at 1e-16
_PIVOT = 1e-6


@functools.cache
def maps_between(group: Group, source: Rep, target: Rep) -> Float[np.ndarray, "maps rows columns"]:
    """An orthonormal basis of the equivariant maps, shape (maps, dim of target, dim of source).

    With matrices A of the target and B of the source, for each generator, these are the W with A W = W B: the null
    space of the matrix M of these equations, found as that of Mᵀ M, block by block.

    Raises:
        ValueError: If too many unknowns depend on each other.
    """
    from scipy import sparse

    rows, columns = dimension(group, target), dimension(group, source)
    gram = sparse.csr_array((rows * columns, rows * columns))  # of the equations A W = W B of all pairs (A, B)
    for a, b in _generators(group, target, source):
        size = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0)) or 1
        equations = sparse.kron(a / size, sparse.eye_array(columns)) - sparse.kron(sparse.eye_array(rows), b.T / size)
        gram += equations.T @ equations
    blocks = _independent(gram)
    largest = max(map(len, blocks), default=0)
    if largest > MOST_UNKNOWNS:
        raise ValueError(
            f"source, target: maps from {source} to {target} have {largest} entries that depend on each other, more "
            f"than {MOST_UNKNOWNS}; write the representations as reps.Sum of smaller ones, which are solved one by one"
        )
    return _canonical(_null_space(gram, blocks)).T.reshape(-1, rows, columns)


def _independent(gram: Any) -> list[np.ndarray]:
    """Unknowns that equations connect, together: many small sets where the algebra is sparse, as that of tensors is."""
    from scipy.sparse.csgraph import connected_components

    gram = abs(gram)
    _, labels = connected_components(gram > 1e-15 * gram.max(), directed=False)
    return np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels))[:-1]) if len(labels) else []


def _null_space(gram: Any, blocks: list[np.ndarray]) -> Float[np.ndarray, "entries maps"]:
    """Orthonormal columns that span the null space of a sparse positive semidefinite matrix."""
    limit = _ZERO * max(gram.max(), 1) if blocks else 0
    found = [np.zeros((gram.shape[0], 0))]
    for places in blocks:
        values, vectors = np.linalg.eigh(gram[places][:, places].toarray())
        null = vectors[:, values <= limit]
        found.append(np.zeros((gram.shape[0], null.shape[1])))
        found[-1][places] = null
    return np.concatenate(found, axis=1)


def _canonical(null: Float[np.ndarray, "entries maps"]) -> Float[np.ndarray, "entries maps"]:
    """The orthonormal basis of a column space that depends on the space alone.

    It is the Gram-Schmidt process on the columns of the projector null nullᵀ, from the first to the last, leaving out
    those that depend on the ones before. The columns are written in the basis `null`, where they are its rows.
    """
    count = null.shape[1]
    turns = np.zeros((count, 0))
    for row in null:
        if turns.shape[1] == count:
            break
        rest = row - turns @ (turns.T @ row)
        rest = rest - turns @ (turns.T @ rest)  # twice, against rounding
        if np.linalg.norm(rest) > _PIVOT:
            turns = np.column_stack([turns, rest / np.linalg.norm(rest)])
    basis = null @ turns
    return np.where(np.abs(basis) < 1e-14, 0.0, basis)


def _generators(group: Group, *reps: Rep) -> Iterator[tuple[Float[np.ndarray, "_ _"], ...]]:
    """Matrices of all representations for each basis element of the algebra and each discrete generator."""
    for part in group.parts().values():
        yield from zip(*(_matrices(group, part, rep) for rep in reps), strict=True)


@functools.cache
def _matrices(group: Group, part: Part, rep: Rep) -> Float[np.ndarray, "generators dim dim"]:
    """dρ of a basis of the algebra of a part of a group, or ρ of the generators of a discrete part."""
    if isinstance(rep, Dual):
        inner = _matrices(group, part, rep.rep)
        return np.swapaxes(-inner if part.dim else np.linalg.inv(inner), 1, 2)
    if isinstance(rep, Tensor):
        sign = (Scalar(pseudo=True),) if rep.pseudo else ()
        return _matrices(group, part, TensorProduct(*sign, *(Vector(),) * rep.rank) if rep.rank else Scalar(rep.pseudo))
    if isinstance(rep, TensorProduct):
        factors = [_matrices(group, part, factor) for factor in rep.reps]
        return functools.reduce(_sum if part.dim else _kronecker, factors)
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        program = (_differential if part.dim else _values).lower(group, part, rep).compile()
        return np.asarray(program())  # a number also while something else is being traced


# each program runs once: it need not be fast
_program = functools.partial(jax.jit, static_argnums=(0, 1, 2), compiler_options={"xla_backend_optimization_level": 0})


@_program
def _differential(group: Group, part: Part, rep: Rep) -> Float[Array, "generators dim dim"]:
    """dρ of a basis of the algebra of a part."""
    identity = group.identity()
    return jax.vmap(lambda tangent: jax.jvp(rep.matrix, (identity,), (tangent,))[1])(part.tangents())


@_program
def _values(group: Group, part: Part, rep: Rep) -> Float[Array, "generators dim dim"]:
    """ρ of the generators of a discrete part."""
    return jax.vmap(rep.matrix)(part.generators())


def _kronecker(a: Float[np.ndarray, "g m m"], b: Float[np.ndarray, "g n n"]) -> Float[np.ndarray, "g m*n m*n"]:
    """ρ ⊗ σ for each generator."""
    return np.einsum("gij,gab->giajb", a, b).reshape(len(a), a.shape[1] * b.shape[1], -1)


def _sum(a: Float[np.ndarray, "g m m"], b: Float[np.ndarray, "g n n"]) -> Float[np.ndarray, "g m*n m*n"]:
    """dρ ⊗ 1 + 1 ⊗ dσ for each generator."""
    left = _kronecker(a, np.broadcast_to(np.eye(b.shape[1]), b.shape))
    return left + _kronecker(np.broadcast_to(np.eye(a.shape[1]), a.shape), b)


def permutes_coordinates(group: Group, rep: Rep) -> bool:
    """Whether every element of the group permutes the coordinates: a function of each number alone then commutes.

    So it is for scalars, and for `Permutation` and `Regular` with their tensor products.

    Examples:
        >>> from equijax import groups, reps
        >>> reps.permutes_coordinates(groups.Cyclic(4), reps.Regular(groups.Cyclic(4)))
        True
        >>> reps.permutes_coordinates(groups.SO(3), reps.Vector())
        False
    """
    for part in group.parts().values():
        matrices = _matrices(group, part, rep)
        if part.dim and matrices.any():
            return False
        if not part.dim and not (np.isin(matrices, (0, 1)).all() and (matrices.sum(-1) == 1).all()):
            return False
    return True


@functools.cache
def dimension(group: Group, rep: Rep) -> int:
    """Dimension of a linear representation of a group.

    Examples:
        >>> from equijax import groups, reps
        >>> reps.dimension(groups.SO(3), reps.Tensor(2))
        9
    """
    return rep.dim_of(group) if rep.dim is None else rep.dim

"""All equivariant linear maps between two representations, of any group of matrices or finite group."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax.groups import Group
from equijax.reps.base import Rep
from equijax.reps.combine import Dual, Sum, TensorProduct
from equijax.reps.geometric import Scalar, Tensor, Vector

MOST_UNKNOWNS = 5000  # entries of the map between two representations that are no sums
_ZERO = 1e-11  # of an eigenvalue over the largest one; those of constraints that hold are at 1e-16
_PIVOT = 1e-6


@functools.cache
def intertwiners(group: Group, source: Rep, target: Rep) -> Float[np.ndarray, "maps rows columns"]:
    """An orthonormal basis of the linear maps W with ρ_target(g) W = W ρ_source(g) for every g.

    It is enough that W commutes with a basis of the Lie algebra, dρ_target(E) W = W dρ_source(E), and with one element
    of each further component: linear equations, solved on the host in float64, once. The group need not be compact, nor
    the representations orthogonal. Sums are solved block by block.

    The basis does not depend on the linear algebra library: it is the Gram-Schmidt process on the first linearly
    independent columns of the projector on the solutions. Coefficients in a checkpoint keep their meaning.

    Args:
        group: The group.
        source: Representation of the arguments of the maps, linear and of finite dimension.
        target: Representation of their values.

    Returns:
        Array of shape (maps, dim of target, dim of source), read-only, with orthonormal rows when flattened.

    Raises:
        TypeError: If a representation is not linear.
        ValueError: If there are too many unknowns.

    References:
        Finzi, Welling and Wilson 2021, arXiv:2104.09459, theorem 1.

    Examples:
        >>> from equijax import groups, reps
        >>> reps.intertwiners(groups.O(3), reps.Vector(), reps.Tensor(2)).shape
        (0, 9, 3)
        >>> reps.intertwiners(groups.SO(3), reps.Vector(), reps.Tensor(2)).shape
        (1, 9, 3)
    """
    sources, targets = _terms(source), _terms(target)
    columns = np.cumsum([0, *(_dimension(group, rep) for rep in sources)])
    rows = np.cumsum([0, *(_dimension(group, rep) for rep in targets)])
    found = []
    for i, out in enumerate(targets):
        for j, into in enumerate(sources):
            block = _block(group, into, out)
            whole = np.zeros((len(block), rows[-1], columns[-1]))
            whole[:, rows[i] : rows[i + 1], columns[j] : columns[j + 1]] = block
            found.append(whole)
    basis = np.concatenate(found)
    basis.flags.writeable = False
    return basis


def project(group: Group, source: Rep, target: Rep, w: Float[Array, "rows columns"]) -> Float[Array, "rows columns"]:
    """The equivariant linear map next to the matrix `w`, P w = Σ_k B_k ⟨B_k, w⟩ over the basis B of `intertwiners`.

    ½ ‖w − P w‖² is the projection penalty; for orthogonal representations ‖w − P w‖² is half of the average of
    ‖ρ_target(g) w ρ_source(g)⁻¹ − w‖² over the group.
    """
    basis = intertwiners(group, source, target)
    if jnp.shape(w) != basis.shape[1:]:
        raise ValueError(f"w: expected shape {basis.shape[1:]} for {source} to {target}, got {jnp.shape(w)}")
    maps = jnp.asarray(basis, jnp.result_type(w))
    return jnp.tensordot(jnp.tensordot(maps, w, 2, precision="highest"), maps, 1, precision="highest")


@functools.cache
def _block(group: Group, source: Rep, target: Rep) -> np.ndarray:
    rows, columns = _dimension(group, target), _dimension(group, source)
    unknowns = rows * columns
    if unknowns > MOST_UNKNOWNS:
        raise ValueError(
            f"source, target: maps from {source} to {target} have {unknowns} entries, more than {MOST_UNKNOWNS}; "
            "write the representations as reps.Sum of smaller ones, which are solved one by one"
        )
    gram = np.zeros((rows, columns, rows, columns))  # of the equations A W = W B, summed over all pairs (A, B)
    of_rows, of_columns = np.eye(rows), np.eye(columns)
    for a, b in _generators(group, target, source):
        size = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0)) or 1
        a, b = a / size, b / size
        gram += np.einsum("ij,ab->iajb", a.T @ a, of_columns) + np.einsum("ij,ab->iajb", of_rows, b @ b.T)
        mixed = np.einsum("ij,ab->iajb", a, b)
        gram -= mixed + mixed.transpose(2, 3, 0, 1)
    values, vectors = np.linalg.eigh(gram.reshape(unknowns, unknowns))
    null = vectors[:, values <= _ZERO * max(values[-1], 1)] if unknowns else vectors
    return _canonical(null).T.reshape(-1, rows, columns)


def _canonical(null: np.ndarray) -> np.ndarray:
    """The orthonormal basis of a column space that depends on the space alone."""
    count = null.shape[1]
    turns = np.zeros((count, 0))
    for row in null:  # the columns of the projector null nullᵀ, in the basis `null`
        if turns.shape[1] == count:
            break
        rest = row - turns @ (turns.T @ row)
        rest = rest - turns @ (turns.T @ rest)
        if np.linalg.norm(rest) > _PIVOT:
            turns = np.column_stack([turns, rest / np.linalg.norm(rest)])
    basis = null @ turns
    return np.where(np.abs(basis) < 1e-14, 0.0, basis)


def _generators(group: Group, *reps: Rep) -> Iterator[tuple[np.ndarray, ...]]:
    """Matrices of all representations for each basis element of the algebra and each discrete generator."""
    for part in group.parts().values():
        yield from zip(*(_matrices(group, part, rep) for rep in reps), strict=True)


@functools.cache
def _matrices(group: Group, part: Any, rep: Rep) -> np.ndarray:
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
        program = (_differential if part.dim else _values).lower(group, part, rep).compile(_QUICK)
        return np.asarray(program())  # a number also while something else is being traced


_QUICK = {"xla_backend_optimization_level": 0}  # each program runs once


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _differential(group, part, rep):
    identity = group.identity()
    return jax.vmap(lambda tangent: jax.jvp(rep.matrix, (identity,), (tangent,))[1])(part.tangents())


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _values(group, part, rep):
    return jax.vmap(rep.matrix)(getattr(part, "generators", part.elements)())


def _kronecker(a, b):
    """ρ ⊗ σ for each generator."""
    return np.einsum("gij,gab->giajb", a, b).reshape(len(a), a.shape[1] * b.shape[1], -1)


def _sum(a, b):
    """dρ ⊗ 1 + 1 ⊗ dσ for each generator."""
    left = _kronecker(a, np.broadcast_to(np.eye(b.shape[1]), b.shape))
    return left + _kronecker(np.broadcast_to(np.eye(a.shape[1]), a.shape), b)


def _terms(rep: Rep) -> list[Rep]:
    return [term for part in rep.reps for term in _terms(part)] if isinstance(rep, Sum) else [rep]


@functools.cache
def _dimension(group: Group, rep: Rep) -> int:
    return rep.dim_of(group) if rep.dim is None else rep.dim

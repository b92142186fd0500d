"""The equivariant maps between two representations that are no sums: linear equations, solved on the host."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from equijax.groups import Group, Part
from equijax.reps.base import Rep, own_element
from equijax.reps.combine import Dual, Product, TensorProduct
from equijax.reps.geometric import Scalar, Tensor, Vector
from equijax.reps.tables import Tabulated, places_in

MOST_UNKNOWNS = 5000  # entries of a map that depend on each other
MOST_NUMBERS = 2 * 10**8  # entries of the equations that are not zero, together
_ZERO = 1e-11  # of an eigenvalue over the largest one; those of constraints that hold are at 1e-16
_PIVOT = 1e-6
_TOGETHER = 2 * 10**7  # numbers in matrices that are solved at once
_SMALL = 1e-15  # of an entry of a unit vector


@functools.cache
def maps_between(group: Group, source: Rep, target: Rep) -> Float[np.ndarray, "maps rows columns"]:
    """An orthonormal basis of the equivariant maps.

    With matrices A of the target and B of the source, for each generator, these are the W with A W = W B. One generator
    after the other keeps what it leaves alone of the space that is left by those before. Its equations are sparse, as
    those of tensors are, and fall into independent sets of unknowns; only what is connected is solved in full.

    Raises:
        ValueError: If there are too many numbers in the equations, or unknowns that depend on each other; seen before
            they are allocated.
    """
    from scipy import sparse

    rows, columns = dimension(group, target), dimension(group, source)
    pairs = list(generators(group, target, source))
    numbers = max((a.nnz * columns + b.nnz * rows for a, b in pairs), default=0)
    if numbers > MOST_NUMBERS:
        raise ValueError(
            f"source, target: an equation for the maps from {source} to {target} has {numbers:.1e} numbers that are "
            f"not zero, more than {MOST_NUMBERS:.0e}; take smaller representations, or write them as reps.Sum of some"
        )

    def largest(size: int) -> None:
        if size > MOST_UNKNOWNS:
            raise ValueError(
                f"source, target: maps from {source} to {target} have {size} entries that depend on each other, more "
                f"than {MOST_UNKNOWNS}; write the representations as reps.Sum of smaller ones, which are solved apart"
            )

    space: Any = sparse.eye_array(rows * columns, format="csr")  # orthonormal columns
    for a, b in pairs:
        if not space.shape[1]:
            break
        size = max(abs(a).max(), abs(b).max()) or 1
        equations = sparse.kron(a / size, sparse.eye_array(columns)) - sparse.kron(sparse.eye_array(rows), b.T / size)
        rest = equations.tocsr() @ space
        space = space @ _null_space(rest.T @ rest, largest)
        space.data[abs(space.data) < _SMALL] = 0
        space.eliminate_zeros()
    if (numbers := math.prod(space.shape)) > MOST_NUMBERS:
        raise ValueError(
            f"source, target: {space.shape[1]} maps from {source} to {target} have {numbers:.1e} numbers together, "
            f"more than {MOST_NUMBERS:.0e}; take smaller representations, or write them as reps.Sum of some"
        )
    return canonical(space.toarray()).T.reshape(-1, rows, columns)


def _null_space(gram: Any, largest: Callable[[int], None]) -> Any:
    """Orthonormal columns that span the null space of a sparse positive semidefinite matrix, sparse.

    Unknowns that entries connect are solved together, sets of the same size at once. `largest` is told the size of the
    largest set before anything is allocated.
    """
    from scipy import sparse
    from scipy.sparse.csgraph import connected_components

    n, limit = gram.shape[0], _ZERO * max(abs(gram).max(), 1)
    _, labels = connected_components(abs(gram) > 1e-15 * abs(gram).max(), directed=False)  # of each unknown its set
    sizes = np.bincount(labels)
    largest(int(sizes.max(initial=0)))
    order = np.argsort(labels, kind="stable")
    starts = np.cumsum(sizes) - sizes
    inside = np.empty(n, int)  # of each unknown its place in its set
    inside[order] = np.arange(n) - starts[labels[order]]
    gram = gram.tocoo()
    inner = labels[gram.row] == labels[gram.col]
    i, j, numbers = gram.row[inner], gram.col[inner], gram.data[inner]
    found = []
    for sets in _alike(sizes):
        size = sizes[sets[0]]
        which = np.full(len(sizes), -1)
        which[sets] = np.arange(len(sets))
        chosen = which[labels[i]] >= 0
        blocks = np.zeros((len(sets), size, size))
        blocks[which[labels[i[chosen]]], inside[i[chosen]], inside[j[chosen]]] = numbers[chosen]
        values, vectors = np.linalg.eigh(blocks)
        block, place = np.nonzero(values <= limit)
        members = order[starts[sets][block][:, None] + np.arange(size)]  # (maps, size)
        columns = np.broadcast_to(np.arange(len(block))[:, None], members.shape)
        entries = (vectors[block, :, place].ravel(), (members.ravel(), columns.ravel()))
        found.append(sparse.csc_array(entries, shape=(n, len(block))))
    return sparse.hstack(found, format="csc")


def _alike(sizes: Int[np.ndarray, " sets"]) -> Iterator[Int[np.ndarray, " _"]]:
    """Sets of one size, as many as fit in memory together."""
    for size in np.unique(sizes):
        sets = np.flatnonzero(sizes == size)
        yield from np.array_split(sets, -(-len(sets) * size**2 // _TOGETHER))


def canonical(null: Float[np.ndarray, "entries maps"]) -> Float[np.ndarray, "entries maps"]:
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


def generators(group: Group, *reps: Rep) -> Iterator[tuple[Any, ...]]:
    """Matrices of all representations for each basis element of the algebra and each discrete generator, sparse."""
    for part in group.parts().values():
        yield from zip(*(_matrices(group, part, rep) for rep in reps), strict=True)


@functools.cache
def _matrices(group: Any, part: Any, rep: Rep) -> list[Any]:
    """dρ of a basis of the algebra of a part of a group, or ρ of the generators of a discrete part; sparse."""
    from scipy import sparse

    if isinstance(rep, Dual):
        inner = _matrices(group, part, rep.rep)
        return [-a.T if part.dim else sparse.csr_array(np.linalg.inv(a.toarray()).T) for a in inner]
    if isinstance(rep, Tensor):
        sign = (Scalar(pseudo=True),) if rep.pseudo else ()
        return _matrices(group, part, TensorProduct(*sign, *(Vector(),) * rep.rank) if rep.rank else Scalar(rep.pseudo))
    if isinstance(rep, TensorProduct):
        factors = [_matrices(group, part, factor) for factor in rep.reps]
        together = sparse.kronsum if part.dim else sparse.kron  # dρ ⊗ 1 + 1 ⊗ dσ, or ρ ⊗ σ
        return [
            functools.reduce(functools.partial(_product, together), of_each) for of_each in zip(*factors, strict=True)
        ]
    if isinstance(rep, Product):  # the generator is one of a factor: 1 ⊗ ρ ⊗ 1
        pairs = list(zip(group.groups, [term or Scalar() for term in rep.reps], strict=True))
        before, after = (_size(pairs[: part.slot]), _size(pairs[part.slot + 1 :]))
        matrices = _matrices(pairs[part.slot][0], part.part, pairs[part.slot][1])
        return [sparse.kron(sparse.kron(sparse.eye_array(before), a), sparse.eye_array(after), "csr") for a in matrices]
    return [sparse.csr_array(matrix) for matrix in _dense(group, part, rep)]


def _size(pairs: list[tuple[Group, Rep]]) -> int:
    """Dimension of an outer product of representations."""
    return math.prod(dimension(group, rep) for group, rep in pairs)


def _product(together: Any, a: Any, b: Any) -> Any:
    """ρ ⊗ σ of one generator; SciPy's Kronecker sum of A and B is 1 ⊗ A + B ⊗ 1."""
    return together(b, a, format="csr") if together.__name__ == "kronsum" else together(a, b, format="csr")


def _dense(group: Group, part: Part, rep: Rep) -> Float[np.ndarray, "generators dim dim"]:
    """As `_matrices`, by the representation itself."""
    with jax.enable_x64(True), jax.default_device(jax.devices("cpu")[0]):
        if isinstance(rep, Tabulated) and rep.group.is_finite and not part.dim:
            elements = own_element(rep.group, jax.jit(part.generators).lower().compile()())
            found = rep.tabulate(places_in(rep.group, elements, len(jax.tree.leaves(elements)[0])))
            if found is not None:
                return found
        program = (_differential if part.dim else _values).lower(group, part, rep).compile()
        return np.asarray(program())  # a number also while something else is being traced


# each program runs once: it need not be fast
_program = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@functools.partial(_program, static_argnums=(0, 1, 2))
def _differential(group: Group, part: Part, rep: Rep) -> Float[Array, "generators dim dim"]:
    """dρ of a basis of the algebra of a part."""
    identity = group.identity()
    return jax.vmap(lambda tangent: jax.jvp(rep.matrix, (identity,), (tangent,))[1])(part.tangents())


@functools.partial(_program, static_argnums=(0, 1, 2))
def _values(group: Group, part: Part, rep: Rep) -> Float[Array, "generators dim dim"]:
    """ρ of the generators of a discrete part."""
    return jax.vmap(rep.matrix)(part.generators())


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
        for matrix in _matrices(group, part, rep):
            if part.dim and abs(matrix).max():
                return False
            if not part.dim and not (np.isin(matrix.data, (0, 1)).all() and (matrix.sum(-1) == 1).all()):
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

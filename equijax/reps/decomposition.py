"""Any representation of a compact group as a sum of irreducible ones, with the change of basis; characters."""

import functools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax.groups import SO, Element, Group, O
from equijax.reps.base import Rep, expect_group, expect_rep
from equijax.reps.combine import Sum
from equijax.reps.intertwiners import intertwiners
from equijax.reps.irreducible import irrep, irreps
from equijax.reps.solver import dimension, generators


class Decomposition(NamedTuple):
    """What a representation ρ consists of: Q ρ(g) Q⁻¹ = ⊕ m_i ρ_i(g)."""

    multiplicities: dict[Rep, int]  # m_i of each irreducible representation that occurs, in the order of `irreps`
    change: Float[np.ndarray, "dim dim"]  # Q

    @property
    def rep(self) -> Sum:
        """⊕ m_i ρ_i, equal ones next to each other."""
        return Sum(*(term for term, count in self.multiplicities.items() for _ in range(count)))


def character(rep: Rep, g: Element) -> Float[Array, ""]:
    """χ(g) = tr ρ(g), which depends on the class of g and determines the representation of a compact group.

    Raises:
        TypeError: If `rep` is no linear representation of finite dimension.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import reps
        >>> float(reps.character(reps.Vector(), jnp.diag(jnp.array([-1.0, 1.0, 1.0]))))
        1.0
    """
    expect_rep("rep", rep)
    return jnp.trace(rep.matrix(g))


def decompose(group: Group, rep: Rep) -> Decomposition:
    """Multiplicities of the irreducible representations in any one of finite dimension, and the change of basis.

        Q ρ(g) Q⁻¹ = ⊕ m_i ρ_i(g) ,  and  Q⁻¹ = Qᵀ  where ρ is orthogonal.

    The rows of Q come from the equivariant maps B_k from ρ to each ρ_i, made orthonormal in the inner product
    M = Σ_i (d_i / c_i) Σ_k B_kᵀ B_k that ρ leaves alone, with d_i the dimension of ρ_i and c_i = 1, 2 or 4 that of the
    maps that commute with it. Solved on the host in float64; Q depends on the representation alone.

    Args:
        group: A finite group of at most 1000 elements, or SO(2), O(2), SO(3), O(3).
        rep: Representation of the group, linear and of finite dimension.

    Raises:
        TypeError: If `rep` is no linear representation.
        ValueError: If the irreducible representations of the group are not known, or `rep` is no sum of them.

    References:
        Serre 1977, Linear Representations of Finite Groups, section 2.6.

    Examples:
        >>> from equijax import groups, reps
        >>> reps.decompose(groups.O(3), reps.Tensor(2)).multiplicities
        {Irreps('0e'): 1, Irreps('1e'): 1, Irreps('2e'): 1}
    """
    expect_group("group", group)
    expect_rep("rep", rep)
    terms, change = _decompose(group, rep)
    return Decomposition(dict(terms), change.copy())


@functools.cache
def _decompose(group, rep):
    rep.check(group)
    size = dimension(group, rep)
    metric, found = np.zeros((size, size)), []
    for term in _candidates(group, rep):
        maps = intertwiners(group, rep, term)  # (m c, d, size)
        if len(maps):
            commuting = intertwiners(group, term, term)  # (c, d, d)
            metric += len(commuting[0]) / len(commuting) * np.einsum("kia,kib->ab", maps, maps)
            found.append((term, maps, commuting))
    total = sum(len(maps) // len(commuting) * maps.shape[1] for _, maps, commuting in found)
    if total != size:
        raise ValueError(
            f"rep: {rep} of {group} has dimension {size}, and irreducible representations in it {total}; "
            "it is no sum of them, or no representation"
        )
    inverse = np.linalg.inv(metric)
    rows = [copy for _, maps, commuting in found for copy in _copies(maps, commuting, inverse)]
    terms = tuple((term, len(maps) // len(commuting)) for term, maps, commuting in found)
    return terms, np.concatenate(rows) if rows else np.zeros((0, 0))


def _copies(maps, commuting, inverse):
    """Maps W_1, ..., W_m onto one copy each, W_i M⁻¹ W_jᵀ = δ_ij, by Gram-Schmidt over the maps that commute."""
    rest = maps
    for _ in range(len(maps) // len(commuting)):
        sizes = np.einsum("kia,ab,kib->k", rest, inverse, rest)
        rest = rest / np.sqrt(np.where(sizes > 1e-6, sizes, 1))[:, None, None]
        copy = rest[np.flatnonzero(sizes > 1e-6)[0]]  # of norm 1
        span = np.einsum("cij,ja->cia", commuting, copy) * np.sqrt(len(copy))  # orthonormal
        for _ in range(2):
            rest = rest - np.einsum("kc,cia->kia", np.einsum("kia,ab,cib->kc", rest, inverse, span), span)
        copy = copy * np.sqrt(len(copy))
        yield np.where(np.abs(copy) < 1e-14, 0.0, copy)


def _candidates(group, rep):
    """The irreducible representations that can occur: all of a finite group, or those of the weights in ρ."""
    if group.is_finite:
        return irreps(group)
    if group not in (SO(2), O(2), SO(3), O(3)):
        raise ValueError(
            f"group: the irreducible representations of {group} have no names here; expected a finite group, "
            "SO(2), O(2), SO(3) or O(3)"
        )
    algebra = generators(SO(group.size), rep)  # of SO(2), or about x, y and z
    casimir = -sum(matrix.toarray() @ matrix.toarray() for (matrix,) in algebra)  # k² or l (l + 1)
    values = np.sqrt(np.maximum(np.linalg.eigvals(casimir).real + (0.25 if group.size == 3 else 0), 0))
    degrees = np.unique(np.round(values - (0.5 if group.size == 3 else 0)).astype(int))
    if group.size == 2:
        return [term for term in irreps(group, int(degrees.max(initial=0))) if term.frequency in degrees]
    if group == SO(3):
        return [irrep(group, int(degree)) for degree in degrees]
    return [irrep(group, f"{degree}{parity}") for degree in degrees for parity in "eo"]

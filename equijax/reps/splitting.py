"""The irreducible real representations of any finite group, found by splitting functions on the group; on the host."""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from equijax.groups import Group
from equijax.groups.constants import snap
from equijax.reps.solver import canonical
from equijax.reps.tables import inverses, listed, products

_TOLERANCE = 1e-7  # of characters, which differ by more than 0.01 where they are not equal
_TYPES = {(1, 1): "real", (2, 0): "complex", (4, -2): "quaternionic"}  # by the norm of the character and its indicator


class Found(NamedTuple):
    """An irreducible representation: its matrices in the order of the elements, and its real type."""

    matrices: Float[np.ndarray, "order dim dim"]
    type: str

    @property
    def character(self) -> Float[np.ndarray, " order"]:
        return np.trace(self.matrices, axis1=1, axis2=2)


@functools.cache
def all_irreps(group: Group) -> tuple[Found, ...]:
    """Every irreducible real representation of a finite group once, sorted by dimension and character.

    Functions on the group, F(h) → F(g⁻¹ h), hold every irreducible representation. A random symmetric map among those
    that commute with the group, C(h, h') = a(h⁻¹ h') with a(k) = a(k⁻¹), has one of them as each of its eigenspaces,
    with probability one. Of equal ones the first is kept; the group's own matrices, where they are irreducible, and
    those times the determinant are kept as they are.

    Raises:
        ValueError: If the group is not finite, or has too many elements.
    """
    found: list[Found] = []
    for matrices in [*_own(group), *_eigenspaces(group)]:
        character = np.trace(matrices, axis1=1, axis2=2)
        if any(np.abs(other.character - character).max() < _TOLERANCE for other in found):
            continue
        kind = real_type(group, character)
        if kind is not None:
            found.append(Found(snap(matrices), kind))
    copies = {"real": 1, "complex": 2, "quaternionic": 4}
    if sum(irrep.matrices.shape[1] ** 2 // copies[irrep.type] for irrep in found) != group.order:
        raise ValueError(
            f"group: the irreducible representations of {group} were not found, its elements may not be a group"
        )
    return tuple(sorted(found, key=lambda irrep: (irrep.matrices.shape[1], *-irrep.character.round(6))))


def real_type(group: Group, character: Float[np.ndarray, " order"]) -> str | None:
    """ "real", "complex" or "quaternionic" by the character of an irreducible real representation, None if it is not.

    The maps that commute with it are ℝ, ℂ or ℍ, of dimension ⟨χ, χ⟩ = Σ χ(g)² / order = 1, 2 or 4, and the indicator
    of Frobenius and Schur Σ χ(g²) / order is 1, 0 or −2: one sum for ℝ, the two conjugate ones for ℂ, twice −1 for ℍ.

    References:
        Serre 1977, Linear Representations of Finite Groups, section 13.2.
    """
    squares = np.diagonal(products(group))
    numbers = float(np.mean(character**2)), float(np.mean(character[squares]))
    if np.abs(np.subtract(numbers, np.round(numbers))).max() > 1e-5:
        raise ValueError(f"group: a character of {group} has the norm {numbers[0]:.3g}, which is no integer: no group")
    return _TYPES.get((round(numbers[0]), round(numbers[1])))


def _own(group):
    """The trivial representation; of matrices also the determinant, the matrices, and both times each other."""
    order = len(listed(group))
    yield np.ones((order, 1, 1))
    if group.size is not None:
        matrices = listed(group).reshape(order, group.size, group.size)
        sign = np.sign(np.linalg.det(matrices))[:, None, None]
        yield from (sign, matrices, sign * matrices)


def _eigenspaces(group):
    """Matrices of the group on each eigenspace of a random symmetric map that commutes with left translations."""
    table, back = products(group), inverses(group)
    weights = np.random.default_rng(0).normal(size=len(table))
    values, vectors = np.linalg.eigh((weights + weights[back])[table[back]])  # a(h⁻¹ h')
    jumps = np.flatnonzero(np.diff(values) > _TOLERANCE * np.abs(values).max()) + 1
    for space in np.split(vectors, jumps, axis=1):
        basis = canonical(space)  # (order, dim)
        yield np.stack([basis.T @ basis[source] for source in table[back]])  # (g F)(h) = F(g⁻¹ h)

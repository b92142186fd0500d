"""Irreducible real representations of finite groups and of rotations, by the names of the field."""

import functools
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from equijax._validate import integer
from equijax.groups import SO, Cyclic, Dihedral, Element, Group, O, Polyhedral, linear_part, static
from equijax.numerics.linear_algebra import det
from equijax.reps.base import Rep, check_group, expect_group
from equijax.reps.spherical import Irreps
from equijax.reps.splitting import Found, all_irreps
from equijax.reps.tables import Tabulated, listed, place_of

Label: TypeAlias = int | str | tuple[int, int]


@static
class Irrep(Tabulated):
    """An irreducible real representation, on the last axis, by an orthogonal matrix; `irrep` and `irreps` make it.

    | group | label | matrix |
    | --- | --- | --- |
    | `SO(2)`, `Cyclic(n)` | frequency k | turn by k times the angle; 1, or ±1 at k = n/2, in one dimension |
    | `O(2)`, `Dihedral(n)` | (j, k) | the same, and diag(1, −1) for that mirror; j = 1: times det in one dimension |
    | polyhedral groups | "A1", "E", "T1", ..., and "g" or "u" | see `irreps` |
    | other finite groups | place in `irreps(group)` | |

    Raises:
        ValueError: If the group has no such irreducible representation, or none of its own are known.

    Examples:
        >>> from equijax import groups, reps
        >>> reps.Irrep(groups.Polyhedral("octahedron"), "T1").dim
        3
    """

    group: Group
    label: Label

    def __post_init__(self):
        if self.label not in (known := _labels(self.group, self.label)):
            some = ", ".join(map(repr, known[:12])) + (", ..." if len(known) > 12 else "")
            raise ValueError(f"label: {self.group} has the irreducible representations {some}; got {self.label!r}")

    @property
    def dim(self) -> int:
        if isinstance(self.group, _PLANAR):
            return 1 if self._is_sign else 2
        return _listed(self.group)[self.label].matrices.shape[1]

    @property
    def type(self) -> str:
        """ "real", "complex" or "quaternionic": the maps that commute with it are ℝ, ℂ or ℍ."""
        if isinstance(self.group, _PLANAR):
            return "real" if self._is_sign or not isinstance(self.label, int) else "complex"
        return _listed(self.group)[self.label].type

    def matrix(self, g: Element) -> Float[Array, "dim dim"]:
        if not isinstance(self.group, _PLANAR):
            return jnp.asarray(_listed(self.group)[self.label].matrices)[place_of(self.group, g)]
        a, k = linear_part(g), self.frequency
        if a.shape != (2, 2):
            raise ValueError(f"g: {self} needs a 2 x 2 matrix as linear part, got shape {a.shape}")
        c, s = _power(a[0, 0], a[1, 0], k)  # cos kθ, sin kθ of the first column (cos θ, sin θ)
        sign = jnp.sign(det(a)) if isinstance(self.label, tuple) else jnp.ones((), a.dtype)
        if self._is_sign:
            odd = isinstance(self.label, tuple) and self.label[0]
            return (c * sign if odd else c)[None, None]
        return jnp.stack([jnp.stack([c, -s * sign]), jnp.stack([s, c * sign])])

    def tabulate(self, places: Int[np.ndarray, " count"]) -> Float[np.ndarray, "count dim dim"] | None:
        return None if isinstance(self.group, _PLANAR) else _listed(self.group)[self.label].matrices[places]

    def check(self, group: Group) -> None:
        check_group(self, self.group, group)

    @property
    def frequency(self) -> int:
        """k of a group of the plane."""
        return int(self.label[-1] if isinstance(self.label, tuple) else self.label)

    @property
    def _is_sign(self) -> bool:
        """Whether kθ is a multiple of π for all turns of a group of the plane."""
        return self.frequency in (0, getattr(self.group, "n", 2) / 2 if self.group.is_finite else 0)


def irrep(group: Group, label: Label) -> Rep:
    """The irreducible real representation of a group with this label.

    Labels are as in `Irrep`; of `SO(3)` the degree, and of `O(3)` the degree with its parity as e3nn writes it, "1o".

    Returns:
        An `Irrep`, or of `SO(3)` and `O(3)` an `Irreps` of one term.

    Raises:
        ValueError: If the group has no such irreducible representation, or none of its own are known.

    Examples:
        >>> from equijax import groups, reps
        >>> reps.irrep(groups.SO(2), 3).type, reps.irrep(groups.O(2), (1, 3)).type
        ('complex', 'real')
        >>> reps.irrep(groups.O(3), "2e").dim
        5
    """
    expect_group("group", group)
    if group == SO(3):
        degree = integer("label", label)
        return Irreps(f"{degree}{'eo'[degree % 2]}")
    if group == O(3):
        if len(terms := Irreps(label).terms) != 1 or terms[0][0] != 1:
            raise ValueError(
                f'label: expected the degree and parity of one irreducible representation, "1o", got {label!r}'
            )
        return Irreps(label)
    return Irrep(group, label)


@functools.cache
def irreps(group: Group, highest: int | None = None) -> tuple[Rep, ...]:
    """All irreducible real representations of a group, each once; of an infinite group up to a frequency or degree.

    Closed forms for groups of the plane and of space, and for any other finite group those in the functions on it,
    see `splitting.all_irreps`: sorted by dimension, the trivial one first, then by their characters, the larger first.

    Polyhedral groups have Mulliken's symbols: A, E, T, G and H for one to five dimensions (E in T is of complex type),
    then 1 for the trivial one and for that of axial vectors, 2 for the others, where a letter comes twice, then the
    parity under inversion, g or u, where it is an element; those with u are their partners with g times det.

    Args:
        group: A finite group of at most 1000 elements, or SO(2), O(2), SO(3), O(3).
        highest: The highest frequency or degree, of the infinite ones.

    Raises:
        ValueError: If the group is none of those, `highest` is missing, or is given for a finite group.

    References:
        Serre 1977, Linear Representations of Finite Groups; Mulliken 1933, Phys. Rev. 43, 279.

    Examples:
        >>> from equijax import groups, reps
        >>> [rep.label for rep in reps.irreps(groups.Octahedral())]
        ['A1', 'A2', 'E', 'T1', 'T2']
        >>> [(rep.label, rep.type) for rep in reps.irreps(groups.Cyclic(4))]
        [(0, 'real'), (1, 'complex'), (2, 'real')]
    """
    expect_group("group", group)
    if group in (SO(2), O(2), SO(3), O(3)):
        if highest is None:
            raise ValueError(
                f"highest: {group} has infinitely many irreducible representations; give the last frequency"
            )
        integer("highest", highest)
    elif highest is not None:
        raise ValueError(f"highest: {group} is not one of SO(2), O(2), SO(3) and O(3); leave it out")
    last = highest or 0
    if group == SO(3):
        return tuple(irrep(group, degree) for degree in range(last + 1))
    if group == O(3):
        return tuple(irrep(group, f"{degree}{parity}") for degree in range(last + 1) for parity in "eo")
    return tuple(Irrep(group, label) for label in _labels(group, last))


_PLANAR = (SO, O, Cyclic, Dihedral)


def _labels(group: Group, highest: Any) -> list[Label]:
    """The labels of a group; of an infinite one up to that one."""
    if isinstance(group, (SO, O)) and group.size == 2:
        most = highest[-1] if isinstance(highest, tuple) and highest else highest
        frequencies = list(range(most + 1)) if isinstance(most, int) else [0, 1, 2]
    elif isinstance(group, (Cyclic, Dihedral)):
        frequencies = list(range(group.n // 2 + 1))
    elif group.is_finite:
        return list(_listed(group))
    else:
        raise ValueError(
            f"group: the irreducible representations of {group} have no names here; expected a finite group, "
            "SO(2), O(2), SO(3) or O(3)"
        )
    if isinstance(group, (SO, Cyclic)):
        return list(frequencies)
    flat = (0, group.n / 2 if isinstance(group, Dihedral) else 0)  # where there are two in one dimension
    return [(j, k) for k in frequencies for j in ((0, 1) if k in flat else (1,))]


@functools.cache
def _listed(group: Group) -> dict[Label, Found]:
    """Irreducible representations of a finite group by their labels."""
    found = all_irreps(group)
    names = _mulliken(group, found) if isinstance(group, Polyhedral) else list(range(len(found)))
    return dict(zip(names, found, strict=True))


def _mulliken(group, found):
    """Mulliken's symbols of the irreducible representations of a polyhedral group."""
    matrices = listed(group).reshape(-1, 3, 3)
    sign = np.sign(np.linalg.det(matrices))
    axial = sign * np.trace(matrices, axis1=1, axis2=2)
    inversion = [place for place, matrix in enumerate(matrices) if np.allclose(matrix, -np.eye(3))]
    first = {"A": np.ones(len(matrices)), "T": axial}
    names = []
    for irrep in found:
        letter = "AETGH"[irrep.matrices.shape[1] - 1]
        parity = "gu"[int(irrep.character[inversion[0]] < 0)] if inversion else ""
        even = irrep.character * (sign if parity == "u" else 1)
        same = [r for r in found if len(r.matrices[0]) == len(irrep.matrices[0])]
        twice = len(same) > (2 if inversion else 1)
        number = ("1" if np.allclose(even, first[letter]) else "2") if twice else ""
        names.append(f"{letter}{number}{parity}")
    return names


def _power(c, s, k):
    """(cos kθ, sin kθ) from (cos θ, sin θ), by squaring."""
    real, imaginary = jnp.ones_like(c), jnp.zeros_like(s)
    while k:
        if k % 2:
            real, imaginary = real * c - imaginary * s, real * s + imaginary * c
        c, s, k = c * c - s * s, 2 * c * s, k // 2
    return real, imaginary

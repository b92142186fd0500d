"""Structures of atoms on the host, checked, and the species that a model knows."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equijax.graphs import neighbors

MAX_SPECIES = 118
Made = TypeVar("Made")


class Structure(NamedTuple):
    """Atoms on the host, with labels where there are any; Å and eV.

    What NumPy makes such arrays of is taken too, lists among it: `checked` makes them.

    Examples:
        >>> water = Structure(np.array([8, 1, 1]), np.array([[0.0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]))
        >>> water.pbc
        (False, False, False)
    """

    species: Int[np.ndarray, " n"]
    """Atomic numbers."""
    positions: Float[np.ndarray, "n 3"]
    cell: Float[np.ndarray, "3 3"] | None = None
    """One cell vector a row."""
    pbc: tuple[bool, bool, bool] = (False, False, False)
    energy: float | None = None
    forces: Float[np.ndarray, "n 3"] | None = None
    stress: Float[np.ndarray, "3 3"] | None = None
    """(∂E/∂ε)/volume, tensile positive."""
    weight: float = 1.0
    """Of its labels in a loss."""
    kind: str = ""
    """What files call config_type, for errors by kind."""


def each(make: Callable[[Structure], Made], structures: Sequence[Structure]) -> list[Made]:
    """What `make` makes of each structure; its errors say which one it was, as `structures.where(k)` calls it.

    Raises:
        TypeError: If `structures` is a single structure, or holds anything else.
        ValueError: Those of `make`, with "structures[k]." in front.

    Examples:
        >>> pair = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 0.74]]))
        >>> each(lambda s: len(s.species), [pair, pair])
        [2, 2]
    """
    if isinstance(structures, Structure):
        raise TypeError("structures: expected a sequence of structures, got one; pass [structure]")
    if not isinstance(structures, Iterable):
        raise TypeError(f"structures: expected a sequence of structures, got {structures!r}")
    made = []
    for k, structure in enumerate(structures):
        _expect(f"structures[{k}]", structure)
        try:
            made.append(make(structure))
        except ValueError as error:
            where = getattr(structures, "where", None)
            raise ValueError(f"{where(k)}: {error}" if where else f"structures[{k}].{error}") from error
    return made


def checked(structure: Structure) -> Structure:
    """The structure in arrays of NumPy, as its fields say, made of whatever NumPy makes them of.

    Returns:
        Species in int32, all else in float64, the cell invertible: rows of zeros along open axes become unit vectors.

    Raises:
        TypeError: If it is no structure.
        ValueError: If the structure is empty, its arrays do not fit, or a number is not finite.

    Examples:
        >>> checked(Structure([1, 1], [[0, 0, 0], [0, 0, 0.74]], energy=-31.7)).positions.shape
        (2, 3)
    """
    _expect("structure", structure)
    positions, cell, pbc = neighbors.checked(structure.positions, structure.cell, structure.pbc)
    n = len(positions)
    species = np.asarray(structure.species)
    if species.shape != (n,) or not np.issubdtype(species.dtype, np.integer):
        raise ValueError(f"species: expected {n} atomic numbers, got {species.dtype} of shape {species.shape}")
    if not np.all((species >= 1) & (species <= MAX_SPECIES)):
        raise ValueError(f"species: expected atomic numbers from 1 to {MAX_SPECIES}, got {species}")
    labels = {"energy": (), "forces": (n, 3), "stress": (3, 3)}
    found = {name: _label(name, getattr(structure, name), shape) for name, shape in labels.items()}
    if not (np.ndim(structure.weight) == 0 and np.isfinite(structure.weight) and structure.weight >= 0):
        raise ValueError(f"weight: expected a finite number of at least 0, got {structure.weight}")
    kept: dict[str, Any] = {"weight": float(structure.weight), "kind": structure.kind}
    return Structure(species.astype(np.int32), positions, cell, tuple(pbc.tolist()), **found, **kept)


def species_index(
    species: Int[Array | np.ndarray, "*shape"], table: Sequence[int]
) -> Int[Array | np.ndarray, "*shape"]:
    """Index of each atomic number in `table`; padding, 0, gets index 0.

    Numbers that are not in the table are found in arrays with values only. In traced ones they get index 0, and
    `known_species` tells where.

    Args:
        species: Atomic numbers, NumPy or traced.
        table: The atomic numbers that are known, different from each other.

    Returns:
        int32 array of the same shape.

    Raises:
        ValueError: If the table has an atomic number twice, or a number that is none, or if a number is not in the
            table (arrays with values only).

    Examples:
        >>> species_index(np.array([8, 1, 1, 0]), table=(1, 6, 8))
        array([2, 0, 0, 0], dtype=int32)
    """
    _check_table(table)
    lookup = np.zeros(MAX_SPECIES + 1, np.int32)
    lookup[list(table)] = np.arange(len(table))
    if isinstance(species, jax.core.Tracer):
        return jnp.asarray(lookup)[species]
    species = np.asarray(species)
    unknown = sorted({int(z) for z in species.ravel()} - {0, *table})
    if unknown:
        raise ValueError(
            f"species: atomic numbers {unknown} are unknown to a model of {sorted(table)}; train one on data that "
            "have them all"
        )
    return lookup[species]


def known_species(
    species: Int[Array | np.ndarray, "*shape"], table: Sequence[int]
) -> Bool[Array | np.ndarray, "*shape"]:
    """Whether each atomic number is in `table`, or 0, which is padding; NumPy or traced.

    Raises:
        ValueError: If the table has an atomic number twice, or a number that is none.

    Examples:
        >>> known_species(np.array([8, 1, 7, 0]), table=(1, 6, 8))
        Array([ True,  True, False,  True], dtype=bool)
    """
    _check_table(table)
    return jnp.isin(jnp.asarray(species), np.array([0, *table]))


def _expect(name, structure):
    if not isinstance(structure, Structure):
        kind = type(structure).__name__
        raise TypeError(f"{name}: expected graphs.Structure(species, positions), with a cell or not, got one of {kind}")


def _label(name, value, shape):
    """A label in float64, a float where it is one number; None if there is none."""
    if value is None:
        return None
    value = np.asarray(value, np.float64)
    if value.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {value.shape}")
    if not np.isfinite(value).all():
        raise ValueError(f"{name}: expected finite numbers, got {value}; None stands for one that is not known")
    return float(value) if shape == () else value


def _check_table(table):
    if len(set(table)) != len(table) or not all(1 <= z <= MAX_SPECIES for z in table):
        raise ValueError(f"table: expected different atomic numbers from 1 to {MAX_SPECIES}, got {tuple(table)}")

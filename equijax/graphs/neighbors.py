"""Exact neighbor lists on the host.

An edge e has a receiver i, a sender j and an integer image shift S, and stands for the vector

    r_e = x_j + S H - x_i ,   ‖r_e‖ < cutoff ,

with the rows of H the cell vectors. Each pair appears in both directions, an atom and its own image too.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

import jax
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Int

Rows: TypeAlias = ArrayLike | Sequence[Sequence[int | float]]  # one vector a row
Flags: TypeAlias = bool | Sequence[bool | np.bool] | np.ndarray | None  # one an axis, or one for all; None for False

PADDED_EDGE = (0.6, 0.0, 0.8)  # its length and direction have derivatives
COINCIDENT = 1e-6  # distance over the cutoff below which atoms coincide, with no direction from one to the other
ROUNDING = 1e-5  # relative error of the heights of a cell in float32
MOST_IMAGES = 2 * 10**7  # of the atoms of one structure within the cutoff: some gigabytes
FARTHEST = 1e150  # distance over the cutoff whose square is still a number
MOST_CELLS = 2**30  # that an atom may be away from the cell: shifts are 32-bit integers


def neighbor_list(
    positions: Rows, cell: Rows | None, pbc: Flags, cutoff: float
) -> tuple[Int[np.ndarray, " edges"], Int[np.ndarray, " edges"], Int[np.ndarray, "edges 3"]]:
    """All edges of one structure, on the host: SciPy's k-d tree over the atoms and their images.

    Right for every cell, however small, flat or skew, for atoms outside of it, and however far atoms lie apart. Edges
    come in pairs: where i sends to j, j sends to i, at distances that round to the cutoff too.

    Args:
        positions: (n, 3), in the unit of the cutoff.
        cell: (3, 3), one cell vector a row, or None without periodicity. Rows along open axes may be zero.
        pbc: Which axes are periodic, three booleans or one.
        cutoff: Edges are shorter than this.

    Returns:
        senders (edges,), receivers (edges,) and shifts (edges, 3), int32, sorted by receiver, then sender, then shift.

    Raises:
        ValueError: If there is no atom, a position is not finite, two atoms coincide, the cell is singular or so small
            that millions of its images lie within the cutoff, an atom is too many cells away from it, or the cutoff is
            not positive.

    Examples:
        >>> senders, receivers, shifts = neighbor_list(np.zeros((1, 3)), np.eye(3), (True, False, False), 1.5)
        >>> shifts.tolist()  # an atom sees its own images
        [[-1, 0, 0], [1, 0, 0]]
    """
    x, cell, pbc = checked(positions, cell, pbc)
    check_cutoff(cutoff)
    from scipy.spatial import KDTree  # whose import takes half a second

    unit = unit_of(cutoff)
    x, cell, cutoff = x / unit, cell / unit, cutoff / unit

    if np.abs(x).max() > FARTHEST * cutoff:
        atom = np.argmax(np.abs(x).max(axis=1))
        raise ValueError(f"positions: atom {atom} is at {x[atom] / cutoff} cut-offs, where squares overflow")

    # pairs of an atom and an image that may be nearer than the cutoff
    wrapped, home, atoms, steps, images = _images(x, cell, pbc, cutoff)
    slack = 1e-9 * cutoff + 8 * np.finfo(float).eps * np.abs(x).max()  # of what was rounded on the way
    near = KDTree(wrapped).sparse_distance_matrix(KDTree(images), cutoff + slack, output_type="ndarray")
    receivers, senders = near["i"], atoms[near["j"]]
    shifts = steps[near["j"]] - home[senders] + home[receivers]

    # those that are, by their vectors (pairs, 3) from the positions as they are given
    vectors = x[senders] - x[receivers] + shifts @ cell
    distances = np.linalg.norm(vectors, axis=1)
    edges = (distances < cutoff) & (near["i"] != near["j"])  # the images begin with the atoms themselves
    senders, receivers, shifts, distances = (a[edges] for a in (senders, receivers, shifts, distances))
    if len(distances) and distances.min() < COINCIDENT * cutoff:
        closest = np.argmin(distances)
        raise ValueError(
            f"positions: atoms {receivers[closest]} and {senders[closest]} coincide (image shift "
            f"{shifts[closest].tolist()}, distance {unit * distances[closest]:.1e}); remove one of them, or check the "
            "unit of the positions and the cell"
        )
    order = np.lexsort((*shifts.T[::-1], senders, receivers))  # the last key counts most
    return tuple(a[order].astype(np.int32) for a in (senders, receivers, shifts))


def _images(positions, cell, pbc, cutoff):
    """The atoms in the cell, and those of their images that may be nearer than the cutoff to one of them.

    Returns:
        positions in the cell (n, 3); the cells (n, 3) that the atoms are in; and for every image, the atoms first, the
        atom, the cells (images, 3) that it was moved by, and its position.
    """
    inverse = np.linalg.inv(cell)
    home = np.where(pbc, np.floor(positions @ inverse), 0)  # (n, 3), the cell that each atom is in
    if np.abs(home).max() > MOST_CELLS:
        atom = np.argmax(np.abs(home).max(axis=1))
        raise ValueError(f"positions: atom {atom} is {np.abs(home[atom]).max():.0e} cells away; wrap it into the cell")
    wrapped = positions - home @ cell
    reach = np.where(pbc, cutoff * np.linalg.norm(inverse, axis=0), 0)  # the cutoff over the heights of the cell
    if len(positions) * np.prod(2 * np.ceil(reach) + 1) > MOST_IMAGES:
        heights = 1 / np.linalg.norm(inverse[:, pbc], axis=0) / cutoff
        shown = ", ".join(f"{height:.1g}" for height in heights)
        raise ValueError(
            f"cell: its heights are [{shown}] of the cutoff along the periodic axes, so "
            f"that over {MOST_IMAGES:,} images lie within the cutoff; check the units, or take a smaller cutoff"
        )
    atoms, steps, images = np.arange(len(positions)), np.zeros_like(home, dtype=int), wrapped
    for axis in np.flatnonzero(pbc):  # copies along one axis after the other, of those from before
        along = images @ inverse[:, axis]  # in heights of the cell
        count = math.ceil(reach[axis])
        kept = [(atoms, steps, images)]
        for step in (*range(-count, 0), *range(1, count + 1)):
            inside = np.abs(along + step - 0.5) < reach[axis] + 0.5 + ROUNDING
            moved = steps[inside]
            moved[:, axis] = step
            kept.append((atoms[inside], moved, images[inside] + step * cell[axis]))
        atoms, steps, images = map(np.concatenate, zip(*kept, strict=True))
    return wrapped, home.astype(int), atoms, steps, images


def image_counts(cell: Rows | None, pbc: Flags, cutoff: float) -> tuple[int, int, int]:
    """Images needed on either side along each axis: ⌈cutoff / h_a⌉ with h_a the height of the cell, 0 if it is open.

    The height h_a is the distance of the two faces of the cell that axis a connects.

    Examples:
        >>> image_counts(np.diag([4.0, 4.0, 9.0]), (True, True, False), cutoff=5.0)
        (2, 2, 0)
    """
    _, cell, pbc = checked(np.zeros((1, 3)), cell, pbc)
    check_cutoff(cutoff)
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    first, second, third = np.where(pbc, np.ceil(cutoff / heights), 0).astype(int).tolist()
    return first, second, third


def checked(
    positions: Rows, cell: Rows | None, pbc: Flags
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "3 3"], Bool[np.ndarray, "3"]]:
    """Positions and an invertible cell in float64, and whether each axis is periodic.

    Rows of zeros along open axes become unit vectors.

    Raises:
        ValueError: If the arrays do not have these shapes or are not finite, or the cell is singular.
    """
    positions = np.asarray(positions, dtype=np.float64)
    if positions.ndim != 2 or positions.shape[1] != 3:
        raise ValueError(f"positions: expected shape (n, 3), one atom a row, got {positions.shape}")
    if len(positions) == 0:
        raise ValueError("positions: expected at least one atom, got an empty structure")
    if not np.isfinite(positions).all():
        atom = np.argwhere(~np.isfinite(positions))[0, 0]
        raise ValueError(f"positions: expected finite numbers, got {positions[atom]} for atom {atom}")
    flags = np.asarray(False if pbc is None else pbc, dtype=bool)
    if flags.shape not in ((), (1,), (3,)):
        raise ValueError(f"pbc: expected three booleans or one, got {pbc}")
    pbc = np.broadcast_to(flags, (3,))
    cell = np.zeros((3, 3)) if cell is None else np.array(cell, dtype=np.float64)
    if cell.shape != (3, 3):
        raise ValueError(f"cell: expected shape (3, 3), one cell vector a row, got {cell.shape}")
    missing = ~cell.any(axis=1)
    if (missing & pbc).any():
        raise ValueError(
            f"cell: row {np.argmax(missing & pbc)} is zero though that axis is periodic, pbc {pbc.tolist()}"
        )
    if missing.any():  # unit vectors at right angles to the others: the null space of the rows that are there
        cell[missing] = np.linalg.svd(cell)[2][3 - missing.sum() :]
    lengths = np.linalg.norm(cell, axis=1)
    if not abs(np.linalg.det(cell)) > 1e-6 * np.prod(lengths):
        raise ValueError(f"cell: expected three independent vectors, got {cell.tolist()}; pass pbc=False if it is open")
    return positions, cell, pbc


def unit_of(cutoff):
    """The largest power of two up to the cutoff, a unit that rounds no length and lets no square overflow."""
    return math.ldexp(1, math.frexp(cutoff)[1] - 1)


def check_cutoff(cutoff):
    if isinstance(cutoff, jax.core.Tracer):
        raise TypeError("cutoff: expected a number that is known when it is traced, got a traced array")
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise ValueError(f"cutoff: expected a positive length, got {cutoff}")

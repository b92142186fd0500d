"""Neighbor lists of fixed capacity that can be traced, and the room that they need."""

import itertools
import math
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equijax import _validate
from equijax.graphs import neighbors
from equijax.graphs.graph import bucket
from equijax.graphs.neighbors import PADDED_EDGE, ROUNDING, Flags, Rows, image_counts

RESOLUTIONS = (1, 2, 3)  # bins a cutoff that `room` tries
BINS_PER_ATOM = 2  # the most; empty bins cost memory
SORTING = 3  # what a candidate from a bin costs, in pairs of a list of all pairs: it is gathered and sorted (measured)


class Neighbors(NamedTuple):
    """Edges of fixed number; those beyond `found` are padding. The first five fields are those of a `Graph`."""

    senders: Int[Array, " capacity"]
    receivers: Int[Array, " capacity"]
    shifts: Int[Array, "capacity 3"]
    vectors: Float[Array, "capacity 3"]
    """From each receiver to its sender, in the dtype of the positions; of length 1 for padding."""
    edge_mask: Bool[Array, " capacity"]
    found: Int[Array, ""]
    """How many edges there are, whether they fit or not; fewer if a bin is too full."""
    overflow: Bool[Array, ""]
    """True if edges are missing: found > capacity, a bin is too full, `images` is too small for the cell, the cell is
    singular, or a position is not finite."""


class Bins(NamedTuple):
    """A grid of bins over the cell, or over the box around the atoms along open axes."""

    counts: tuple[int, int, int]
    """Bins along each axis."""
    reach: tuple[int, int, int]
    """How many bins on either side may hold neighbors."""
    occupancy: int
    """The most atoms that there is room for in a bin."""


class Room(NamedTuple):
    """The static sizes of a `traced_neighbor_list`; hashable."""

    capacity: int
    images: tuple[int, int, int]
    bins: Bins | None


def traced_neighbor_list(
    positions: Float[Array | np.ndarray, "n 3"],
    cell: Float[Array | np.ndarray, "3 3"] | None = None,
    *,
    cutoff: float,
    capacity: int,
    images: tuple[int, int, int] = (0, 0, 0),
    bins: Bins | None = None,
    node_mask: Bool[Array | np.ndarray, " n"] | None = None,
) -> Neighbors:
    """The same edges as `neighbor_list`, in the same order, for use under jit, vmap and scan.

    With `bins` the time and memory grow as the number of atoms: distances are computed to the atoms of the bins around
    each. Without, those of all n² pairs in all images. `room` says which, and gives all sizes. Inside, positions are
    wrapped into the cell, in float32 or better; the shifts refer to the positions as given.

    Args:
        positions: (n, 3).
        cell: (3, 3), one cell vector a row; None without periodicity. Rows along open axes are ignored.
        cutoff: Edges are shorter than this; a number, not a traced array.
        capacity: The most edges that there is room for; take `found` of a first call and some more, or `room`.
        images: How many images on either side along each axis are searched, static; `image_counts` computes it. An
            axis with 0 is open.
        bins: The grid, static, as `room` makes it.
        node_mask: False for padded atoms, which get no edges. Padding edges connect the last atom with itself.

    Returns:
        The edges, their number `found`, and the flag `overflow`. Check the flag: where it is true, edges are missing.

    Raises:
        TypeError: If the positions are not floating-point, the mask is not of booleans, or the cutoff is traced.
        ValueError: If there is no atom, a shape is wrong, the cutoff is not positive, or a periodic axis comes without
            a cell.

    Examples:
        >>> build = jax.jit(lambda x: traced_neighbor_list(x, cutoff=1.0, capacity=3))
        >>> neighbors = build(jnp.array([[0.0, 0, 0], [0, 0, 0.74], [5, 0, 0]]))
        >>> neighbors.senders, neighbors.edge_mask
        (Array([1, 0, 2], dtype=int32), Array([ True,  True, False], dtype=bool))
        >>> int(neighbors.found), bool(neighbors.overflow)
        (2, False)
    """
    positions = _validate.floating("positions", positions)
    _check_shape("positions", positions, (len(positions) if positions.ndim else 0, 3), "(n, 3)")
    positions = positions.astype(jnp.promote_types(positions.dtype, jnp.float32))
    n = positions.shape[0]
    if n == 0:
        raise ValueError("positions: expected at least one atom, got an empty structure")
    neighbors.check_cutoff(cutoff)
    _validate.integer("capacity", capacity)
    if len(images) != 3:
        raise ValueError(f"images: expected three numbers, one an axis, got {images}; image_counts gives them")
    periodic = np.array([_validate.integer("images", count) > 0 for count in images])
    if cell is None and periodic.any():
        raise ValueError(f"cell: expected a cell for the images {images}, got None; pass the cell, or images=(0, 0, 0)")
    if cell is not None:
        _check_shape("cell", cell, (3, 3), "(3, 3)")
    valid = jnp.ones(n, bool)
    if node_mask is not None:
        _check_shape("node_mask", node_mask, (n,), f"({n},)")
        if not jnp.issubdtype(jnp.result_type(node_mask), jnp.bool_):
            raise TypeError(f"node_mask: expected booleans, got {jnp.result_type(node_mask)}; pass node_mask > 0")
        valid = jnp.asarray(node_mask)
    unit = neighbors.unit_of(cutoff)
    positions, cutoff = positions / unit, cutoff / unit
    finite = jnp.all(jnp.isfinite(positions), axis=-1)
    lost, valid = jnp.any(valid & ~finite), valid & finite

    # the positions wrapped into the cell, with the cells that they came from
    home, wrapped, short = jnp.zeros((n, 3), jnp.int32), positions, jnp.zeros((), bool)
    rows = inverse = jnp.zeros((3, 3), positions.dtype)  # with rows @ inverse = 1 on the axes that repeat, else 0
    frame = jnp.eye(3, dtype=positions.dtype)  # the inverse, with lengths across the axes that repeat for the open ones
    if periodic.any():
        some = jnp.asarray(cell, positions.dtype)[periodic] / unit  # (p, 3), for the p axes that repeat
        q, r = jnp.linalg.qr(some.T, mode="complete")  # (3, 3) and (3, p)
        p = len(some)
        inverse = inverse.at[:, periodic].set(jax.scipy.linalg.solve_triangular(r[:p], q[:, :p].T).T)
        frame = inverse.at[:, ~periodic].set(q[:, p:])
        rows = rows.at[periodic].set(some)
        home = jnp.floor(jnp.matmul(wrapped, inverse, precision="highest")).astype(jnp.int32)
        wrapped = wrapped - jnp.matmul(home.astype(positions.dtype), rows, precision="highest")
        reach = cutoff * jnp.linalg.norm(inverse, axis=0)  # (3,), the cutoff over the heights of the cell
        held = np.array(images) if bins is None else np.array(bins.reach) / np.array(bins.counts)
        short = ~jnp.all((reach <= held * (1 + ROUNDING)) | ~periodic)  # NaN, too

    if bins is None:
        receivers, senders, steps, found = _of_all_pairs(wrapped, rows, cutoff, capacity, images, valid)
    else:
        receivers, senders, steps, found, crowded = _of_bins(
            wrapped, rows, frame, cutoff, capacity, periodic, bins, valid
        )
        short = short | crowded
    edge_mask = jnp.arange(capacity) < found
    offsets = jnp.matmul(steps.astype(positions.dtype), rows, precision="highest")
    vectors = wrapped[senders] + offsets - wrapped[receivers]
    shifts = steps - home[senders] + home[receivers]  # of the positions before they were wrapped
    return Neighbors(
        senders=senders.astype(jnp.int32),
        receivers=receivers.astype(jnp.int32),
        shifts=jnp.where(edge_mask[:, None], shifts, 0),
        vectors=jnp.where(edge_mask[:, None], unit * vectors, np.array(PADDED_EDGE)),
        edge_mask=edge_mask,
        found=found,
        overflow=(found > capacity) | short | lost,
    )


def room(positions: Rows, cell: Rows | None, pbc: Flags, cutoff: float, *, spare: float = 0.25) -> Room:
    """Sizes for a `traced_neighbor_list` of these positions, with some room to move; on the host.

    Bins are taken where they lead to fewer distances than all pairs in all images, counted `SORTING` times: it is the
    gathering and sorting of what they hold that takes the time. That is from some hundred atoms on, or some dozens in
    a periodic cell.

    Args:
        positions: (n, 3), as for `neighbor_list`.
        cell: As for `neighbor_list`.
        pbc: As for `neighbor_list`.
        cutoff: Of the list, with its skin.
        spare: How much more than now the edges and the fullest bin may become.

    Raises:
        ValueError: Those of `neighbor_list`, or if `spare` is negative.

    Examples:
        >>> x = np.random.default_rng(0).uniform(0, 20, (800, 3))
        >>> sizes = room(x, 20 * np.eye(3), True, cutoff=4.0)
        >>> sizes.images, sizes.bins.counts
        ((1, 1, 1), (5, 5, 5))
        >>> found = traced_neighbor_list(x, 20 * np.eye(3), cutoff=4.0, **sizes._asdict())
        >>> bool(found.overflow)
        False
    """
    if not spare >= 0:
        raise ValueError(f"spare: expected a number of at least 0, got {spare}")
    edges = len(neighbors.neighbor_list(positions, cell, pbc, cutoff)[0])
    x, cell, pbc = neighbors.checked(positions, cell, pbc)
    images = image_counts(cell, pbc, cutoff)
    capacity = bucket(math.ceil((1 + spare) * edges), 64)
    choices = [_bins(x, cell, pbc, cutoff, resolution, spare) for resolution in RESOLUTIONS]
    candidates = [math.prod(2 * r + 1 for r in b.reach) * b.occupancy for b in choices]
    best = int(np.argmin(candidates))
    pairs = len(x) * math.prod(2 * m + 1 for m in images)
    return Room(capacity, images, choices[best] if SORTING * candidates[best] < pairs else None)


def _of_all_pairs(wrapped, rows, cutoff, capacity, images, valid):
    """Edges of all pairs in all images: receivers, senders, the cells between them, and how many."""
    n = len(wrapped)
    steps = np.array(list(itertools.product(*(range(-m, m + 1) for m in images))), dtype=np.int32)  # (images, 3)
    offsets = jnp.matmul(steps.astype(wrapped.dtype), rows, precision="highest")
    vectors = wrapped[None, :, None] + offsets - wrapped[:, None, None]  # (receiver, sender, image, 3)
    itself = jnp.eye(n, dtype=bool)[..., None] & np.all(steps == 0, axis=-1)
    inside = (jnp.sum(vectors**2, axis=-1) < cutoff**2) & ~itself & valid[:, None, None] & valid[None, :, None]
    # sorted by receiver, sender and image, (capacity,) each
    receivers, senders, image = jnp.nonzero(inside, size=capacity, fill_value=(n - 1, n - 1, len(steps) // 2))
    return receivers, senders, jnp.asarray(steps)[image], jnp.sum(inside, dtype=jnp.int32)


def _of_bins(wrapped, rows, frame, cutoff, capacity, periodic, bins, valid):
    """The same from the atoms in the bins around each, and whether a bin has more than there is room for."""
    n, counts = len(wrapped), np.array(bins.counts)
    total, occupancy = int(np.prod(counts)), _validate.integer("bins.occupancy", bins.occupancy, 1)
    coordinates = jnp.matmul(wrapped, frame, precision="highest")
    place = _bin_of(coordinates, cutoff, periodic, bins, valid)  # (n, 3)
    number = jnp.where(valid, (place[:, 0] * counts[1] + place[:, 1]) * counts[2] + place[:, 2], total)

    # a table of the atoms in each bin, (bins + 1, occupancy), n where there is none; the last row stands for no bin
    order = jnp.argsort(number)
    ordered = number[order]
    first = jnp.searchsorted(ordered, jnp.arange(total + 1))
    rank = jnp.arange(n) - first[ordered]
    table = jnp.full((total + 1, occupancy), n).at[jnp.where(rank < occupancy, ordered, total + 1), rank].set(order)
    table = table.at[total].set(n)
    crowded = jnp.any((rank >= occupancy) & (ordered < total))

    # candidates (n, bins around, occupancy), and the cells (n, bins around, 3) that their bins are away
    around = np.array(list(itertools.product(*(range(-r, r + 1) for r in bins.reach))), dtype=np.int32)
    target = place[:, None] + around
    steps = jnp.where(periodic, target // counts, 0)
    there = jnp.all(periodic | ((target >= 0) & (target < counts)), axis=-1)
    target = target - steps * counts
    target = jnp.where(there, (target[..., 0] * counts[1] + target[..., 1]) * counts[2] + target[..., 2], total)
    candidates = table[target]
    offsets = jnp.matmul(steps.astype(wrapped.dtype), rows, precision="highest")[:, :, None]
    vectors = wrapped[jnp.minimum(candidates, n - 1)] + offsets - wrapped[:, None, None]
    itself = (candidates == jnp.arange(n)[:, None, None]) & jnp.all(steps == 0, axis=-1)[..., None]
    inside = (jnp.sum(vectors**2, axis=-1) < cutoff**2) & (candidates < n) & ~itself & valid[:, None, None]
    found = jnp.sum(inside, dtype=jnp.int32)

    # those that are edges, sorted by receiver, sender and image
    receivers, near, slot = jnp.nonzero(inside, size=capacity, fill_value=(n, 0, 0))
    senders = candidates[receivers, near, slot]
    x, y, z = jnp.moveaxis(jnp.where((receivers < n)[:, None], steps[receivers, near], 0), -1, 0)
    receivers, senders, x, y, z = jax.lax.sort((receivers, senders, x, y, z), num_keys=5)
    last = receivers == n
    receivers, senders = (jnp.where(last, n - 1, a) for a in (receivers, senders))
    return receivers, senders, jnp.stack([x, y, z], axis=-1), found, crowded


def _bin_of(coordinates, cutoff, periodic, bins, valid, xp: ModuleType = jnp):
    """The bin (n, 3) of each atom: by its share of the cell, or of the box around the atoms along open axes."""
    counts = np.array(bins.counts)
    low = xp.min(xp.where(valid[:, None], coordinates, np.inf), axis=0)
    high = xp.max(xp.where(valid[:, None], coordinates, -np.inf), axis=0)
    width = xp.maximum((high - low) / counts, cutoff / np.maximum(np.array(bins.reach), 1)) * (1 + ROUNDING)
    place = xp.where(periodic, coordinates * counts, (coordinates - low) / width)
    return xp.clip(xp.floor(xp.where(valid[:, None], place, 0)), 0, counts - 1).astype(np.int32)


def _bins(x, cell, pbc, cutoff, resolution, spare):
    """A grid of so many bins a cutoff."""
    frame = np.zeros((3, 3))
    frame[:, pbc] = np.linalg.pinv(cell[pbc])
    wrapped = x - np.floor(x @ frame) @ (cell * pbc[:, None])
    frame[:, ~pbc] = np.linalg.qr(cell[pbc].T, mode="complete")[0][:, pbc.sum() :]
    heights = np.where(pbc, 1 / np.linalg.norm(frame, axis=0), np.ptp(wrapped @ frame, axis=0))
    counts = np.maximum(1, np.floor(np.minimum(resolution * heights / cutoff, 1000)).astype(int))
    while np.prod(counts) > max(1, BINS_PER_ATOM * len(x)):
        counts[np.argmax(counts)] = -(-counts.max() // 2)
    around = np.ceil(cutoff * counts / np.where(pbc, heights, 1.0) * (1 - ROUNDING)).astype(int)
    reach = np.where(pbc, around, np.minimum(resolution, counts - 1))
    bins = Bins(tuple(counts.tolist()), tuple(reach.tolist()), 1)
    place = _bin_of(wrapped @ frame, cutoff, pbc, bins, np.ones(len(x), bool), np)
    most = np.unique(place, axis=0, return_counts=True)[1].max()
    return bins._replace(occupancy=math.ceil((1 + spare) * most) + 1)


def _check_shape(name, x, shape, expected):
    if jnp.shape(x) != shape:
        batched = jnp.ndim(x) > len(shape)
        raise ValueError(
            f"{name}: expected shape {expected}, got {jnp.shape(x)}" + "; use jax.vmap for a batch" * batched
        )

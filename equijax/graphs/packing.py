"""Batches of structures of any sizes in a few shapes: which ones go together, and how large the arrays have to be."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from equijax import _validate

ALIKE = 1.3  # sizes up to this factor below the largest are one class, whose order stays as it was
MOST_PADDING = 0.15  # of the edges: structures whose sizes differ by less than this make batches of one number
PART = 4096  # structures among which the first batch with room is looked for, so that time grows with their number
WINDOW = 32  # batches that are packed at a time, out of as many structures as they hold on average
FREE = 0.02  # share of the edges that another shape has to save: it is one more program to compile
LARGER = 0.2  # and that batches of many more structures than asked for have to save: they are fewer steps an epoch


class Shape(NamedTuple):
    """Room in the arrays of a batch, as `graphs.concatenate` takes it: one node and one graph of it are padding."""

    nodes: int
    edges: int
    graphs: int

    def holds(self, nodes: int, edges: int, graphs: int) -> bool:
        """Whether so many fit, beside the node and the graph that are padding."""
        return nodes < self.nodes and edges <= self.edges and graphs < self.graphs


class Pack(NamedTuple):
    """Structures that make a batch, and its shape."""

    members: tuple[int, ...]
    """Their indices, the largest class of sizes first."""
    shape: Shape


def pack(
    sizes: Int[np.ndarray, "n 2"], shapes: Sequence[Shape], order: Sequence[int] | Int[np.ndarray, " m"] | None = None
) -> list[Pack]:
    """Each structure in one batch, by first fit decreasing.

    Structures are taken from the largest to the smallest, and each goes to the first batch that has room. Where none
    has, it opens another one, of the smallest shape that holds it. In the end each batch gets the smallest shape that
    holds what it has. Sizes are compared in classes of a factor of 1.3, in which structures stay in their order, so
    that another order makes other batches.

    Args:
        sizes: Nodes and edges of each structure.
        shapes: Those that batches may have, as `shapes` chooses them.
        order: Indices of the structures to pack, all of them unless given.

    Raises:
        ValueError: If a structure fits in no shape; the message says which one.

    Examples:
        >>> sizes = np.array([[9, 60], [2, 2], [5, 20], [4, 12], [6, 30]])
        >>> for found in pack(sizes, [Shape(8, 32, 4), Shape(12, 64, 4)]):
        ...     print(found.members, found.shape)
        (0, 1) Shape(nodes=12, edges=64, graphs=4)
        (4,) Shape(nodes=8, edges=32, graphs=4)
        (2,) Shape(nodes=8, edges=32, graphs=4)
        (3,) Shape(nodes=8, edges=32, graphs=4)
    """
    sizes, shapes = _checked(sizes), sorted(shapes, key=lambda s: (s.edges, s.nodes))
    if not shapes:
        raise ValueError("shapes: expected at least one, got none")
    indices = np.arange(len(sizes)) if order is None else np.asarray(order, int)
    if not len(indices):
        return []
    parts = -(-len(indices) // PART)
    return [found for k in range(parts) for found in _first_fit(sizes, shapes, indices[k::parts])]


def shapes(sizes: Int[np.ndarray, "n 2"], batch_size: int, most: int = 3) -> tuple[Shape, ...]:
    """A few shapes for batches of so many structures on average, with little padding.

    Where any `batch_size` of the structures fit in room for the average and 15 %, there is one shape for these, and
    each batch but the last one has just as many. Where sizes differ more, batches have as many edges as `batch_size`
    structures on average, or as the largest structure, in up to `most` shapes: of some such sets the one with the
    fewest padded edges in a trial, fewer shapes where they do nearly as well.

    Args:
        sizes: Nodes and edges of each structure.
        batch_size: Structures in a batch, on average.
        most: Shapes at most; each is a program to compile.

    Returns:
        Shapes from the smallest to the largest, which holds every structure.

    Examples:
        >>> shapes(np.array([[3, 6], [3, 6], [3, 4]]), batch_size=2)
        (Shape(nodes=8, edges=16, graphs=3),)
        >>> sizes = np.array([[n, 6 * n] for n in range(2, 121, 2)])
        >>> found = shapes(sizes, batch_size=5)
        >>> padding(sizes, pack(sizes, found)) < 0.15, len(found) <= 3
        (True, True)
    """
    sizes = _checked(sizes)
    batch_size = min(_validate.integer("batch_size", batch_size, 1), len(sizes))
    _validate.integer("most", most, 1)
    mean, largest = batch_size * sizes.mean(axis=0), sizes.max(axis=0)
    together = np.sort(sizes, axis=0)[-batch_size:].sum(axis=0)
    if np.all(together <= mean * (1 + MOST_PADDING)) or batch_size == len(sizes):
        return (_rounded(together[0], together[1], batch_size),)

    # Ladders of capacities in edges, on a trial of two windows that has the largest structures, too
    trial = np.random.default_rng(0).permutation(len(sizes))[: 2 * WINDOW * batch_size]
    trial = np.unique([*trial, *sizes.argmax(axis=0)])
    top = max(1.0, *(largest / mean))
    ladders: list[tuple[float, ...]] = [(f * top,) for f in (1.0, 1.05, 1.1, 1.15, 1.2, 1.3)]
    ladders += [(f, top) for f in (1.0, 1.2)] + [(f, top**0.5, top) for f in (1.0, 1.2)]
    best, least = None, np.inf
    for ladder in ladders if top > 1 else ladders[:6]:
        if len(ladder) > most:
            continue
        loose = [Shape(*(int(1.25 * f * mean[0]) + 2, int(f * mean[1]) + 1, 10**9)) for f in ladder]
        loose[-1] = Shape(max(loose[-1].nodes, largest[0] + 1), max(loose[-1].edges, largest[1]), 10**9)
        for count in range(len(ladder), most + 1):
            tight = _tight(sizes, pack(sizes, loose, trial), count, largest)
            cost = sum(p.shape.edges for p in pack(sizes, tight, trial)) * (1 + FREE * len(tight))
            if len(ladder) == 1:  # all batches as large as the largest structure, where that is more than was asked for
                cost *= 1 + LARGER * (1 - 1 / top)
            if cost < least:
                best, least = tight, cost
    assert best is not None  # the first ladder is of one shape
    return best


def padding(sizes: Int[np.ndarray, "n 2"], packs: Sequence[Pack]) -> float:
    """The share of the edges in batches that is padding.

    Examples:
        >>> padding(np.array([[2, 6], [2, 6]]), [Pack((0, 1), Shape(8, 16, 3))])
        0.25
    """
    real = sum(int(sizes[k, 1]) for p in packs for k in p.members)
    return 1 - real / max(1, sum(p.shape.edges for p in packs))


def windows(
    sizes: Int[np.ndarray, "n 2"], shapes: Sequence[Shape], batch_size: int, seed: int
) -> Callable[[int], Iterator[Pack]]:
    """Batch after batch without end, each epoch in an order of its own, as `training.fit` resumes them.

    An epoch is shuffled, cut into windows of some thirty batches, and these are packed one after the other: what goes
    together changes from epoch to epoch. Where batches have one number of structures, the last ones of an epoch, which
    fill no batch, are left out of it.

    Args:
        sizes: Nodes and edges of each structure.
        shapes: Those of `shapes`.
        batch_size: What they are for.
        seed: Of all orders.

    Returns:
        The function from the number of batches to skip to those after them. Skipping packs them all, in some seconds
        for a million structures.

    Examples:
        >>> sizes = np.array([[3, 6]] * 4)
        >>> order = windows(sizes, shapes(sizes, 2), 2, seed=0)
        >>> first, second, third = itertools.islice(order(0), 3)
        >>> sorted(first.members + second.members), third == next(order(2))
        ([0, 1, 2, 3], True)
    """
    sizes = _checked(sizes)
    batch_size = min(_validate.integer("batch_size", batch_size, 1), len(sizes))
    alike = len(shapes) == 1 and shapes[0].graphs == batch_size + 1
    whole = len(sizes) - len(sizes) % batch_size if alike else len(sizes)

    def of_epoch(epoch: int) -> Iterator[Pack]:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(sizes))[:whole]
        for begin in range(0, whole, WINDOW * batch_size):
            found = pack(sizes, shapes, order[begin : begin + WINDOW * batch_size])
            yield from found if alike else (found[k] for k in rng.permutation(len(found)))

    def from_step(first: int) -> Iterator[Pack]:
        return itertools.islice(itertools.chain.from_iterable(map(of_epoch, itertools.count())), first, None)

    return from_step


def _checked(sizes):
    sizes = np.asarray(sizes)
    if sizes.ndim != 2 or sizes.shape[1] != 2 or not len(sizes):
        raise ValueError(f"sizes: expected nodes and edges of each structure, (n, 2), got shape {sizes.shape}")
    return sizes


def _first_fit(sizes, shapes, indices):
    """`pack` of checked arguments, in a time that grows with the square of the structures."""
    share = (sizes / sizes[indices].max(axis=0).clip(1)).max(axis=1)[indices]  # of the largest, in nodes or edges
    classes = np.floor(np.log(share.clip(1e-9)) / -np.log(ALIKE)).astype(int)
    largest = shapes[-1]
    bins: list[list[Any]] = []  # members, and the room that is left in nodes, edges and graphs
    for k in indices[np.argsort(classes, kind="stable")].tolist():
        nodes, edges = sizes[k].tolist()
        found = next((b for b in bins if nodes < b[1] and edges <= b[2] and b[3] > 1), None)
        if found is None:
            shape = next((s for s in shapes if s.holds(nodes, edges, 1)), None)
            if shape is None:
                raise ValueError(
                    f"sizes: structure {k} has {nodes} atoms and {edges} edges, more than the largest shape, of "
                    f"{largest.nodes - 1} atoms and {largest.edges} edges, has room for; leave it out, take a smaller "
                    "cut-off, or choose shapes for all structures"
                )
            bins.append(found := [[], *shape])
        found[0].append(k)
        found[1:] = found[1] - nodes, found[2] - edges, found[3] - 1
    return [Pack(tuple(members), _smallest(sizes, members, shapes)) for members, *_ in bins]


def _smallest(sizes, members, shapes):
    nodes, edges = sizes[members].sum(axis=0).tolist()
    return next(s for s in shapes if s.holds(nodes, edges, len(members)))


def _tight(sizes, packs, count, largest):
    """Up to `count` shapes that hold these batches, the fewest edges in all; the last one holds every structure."""
    rows = np.array([[*sizes[list(p.members)].sum(axis=0), len(p.members)] for p in packs])
    rows = rows[np.argsort(rows[:, 1], kind="stable")]
    steps = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), 24)).astype(int))[:-1]

    def cut(ends):
        begins = [0, *(e + 1 for e in ends)]
        return [rows[b : e + 1].max(axis=0) for b, e in zip(begins, [*ends, len(rows) - 1], strict=True)]

    def cost(ends):
        begins = [0, *(e + 1 for e in ends)]
        return sum((e + 1 - b) * rows[e, 1] for b, e in zip(begins, [*ends, len(rows) - 1], strict=True))

    ends = min(itertools.combinations(steps.tolist(), min(count, len(steps) + 1) - 1), key=cost)
    found = cut(ends)
    found[-1] = np.maximum(found[-1], [*largest, 1])
    return tuple(dict.fromkeys(_rounded(*row) for row in found))


def _rounded(nodes, edges, graphs):
    """Room for so many, to multiples of 8, and for padding."""
    return Shape(-(-(int(nodes) + 1) // 8) * 8, -(-int(edges) // 8) * 8, int(graphs) + 1)

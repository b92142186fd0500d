"""Batches of structures of any size: nothing is lost, little is padding, and numbers are those without padding."""

import itertools

import numpy as np
import pytest

from equijax import graphs
from equijax.graphs import packing

RNG = np.random.default_rng(0)
ATOMS = np.linspace(2, 120, 60).astype(int)  # sixty structures of 2 to 120 atoms
SETS = {  # nodes and edges, structures in a batch
    "sixty": (np.stack([ATOMS, np.minimum(ATOMS * (ATOMS - 1), 35 * ATOMS)], 1), 5),
    "of any density": (np.stack([ATOMS, (ATOMS * RNG.uniform(5, 60, 60)).astype(int)], 1), 5),
    "one by one": (np.stack([ATOMS, 30 * ATOMS], 1), 1),
    "few are large": (np.array([[9, 90] if k % 99 else [500, 15000] for k in range(900)]), 5),
    "alike": (np.stack([np.full(98, 15), RNG.integers(170, 190, 98)], 1), 5),
    "with atoms alone": (np.array([[15, 180]] * 40 + [[1, 0]] * 3), 5),
    "fewer than a batch": (np.array([[3, 6], [2, 2]]), 5),
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_epochs_have_every_structure_in_batches_with_little_padding(name):
    sizes, batch_size = SETS[name]
    shapes = graphs.shapes(sizes, batch_size)
    assert len(shapes) <= 3
    assert len(graphs.shapes(sizes, batch_size, most=1)) == 1
    order = graphs.windows(sizes, shapes, batch_size, seed=3)
    stream, epochs = order(0), []
    for _ in range(2):
        epoch, left = [], len(sizes)
        if name in ("alike", "with atoms alone"):  # of one number of structures in each batch
            left -= left % batch_size
        while left:
            epoch.append(next(stream))
            left -= len(epoch[-1].members)
        epochs.append(epoch)
        members = [k for pack in epoch for k in pack.members]
        assert len(set(members)) == len(members)
        for pack in epoch:
            assert pack.shape in shapes
            assert pack.shape.holds(*sizes[list(pack.members)].sum(axis=0).tolist(), len(pack.members))
        assert name == "fewer than a batch" or graphs.padding(sizes, epoch) <= 0.15
    one, two = ({pack.members for pack in epoch} for epoch in epochs)
    assert name == "fewer than a batch" or one != two  # other structures go together
    resumed = itertools.islice(order(5), 3)
    assert list(resumed) == list(itertools.islice(order(0), 5, 8))


def test_first_fit_decreasing_by_hand():
    """The largest first, each to the first batch with room, in the smallest shapes; a factor of 1.3 keeps the order."""
    sizes = np.array([[9, 60], [2, 2], [5, 20], [4, 19], [6, 30]])
    shapes = [graphs.Shape(8, 32, 4), graphs.Shape(12, 64, 4)]
    found = graphs.pack(sizes, shapes)
    assert [p.members for p in found] == [(0, 1), (4,), (2,), (3,)]
    assert [p.shape.nodes for p in found] == [12, 8, 8, 8]
    assert [p.members for p in graphs.pack(sizes, shapes[1:])] == [(0, 1), (4, 2), (3,)]
    assert [p.members for p in graphs.pack(sizes, shapes[1:], order=[3, 2])] == [(3, 2)]
    two = [graphs.Shape(12, 64, 2)]  # of one structure each
    assert [p.members for p in graphs.pack(sizes, two)] == [(0,), (4,), (2,), (3,), (1,)]


def test_large_sets_are_packed_in_parts(monkeypatch):
    """Each structure once, and the batches of the whole but for a few: sizes may be sorted."""
    atoms = np.arange(2, 602) // 5 + 1
    sizes = np.stack([atoms, 35 * atoms], 1)
    shapes = graphs.shapes(sizes, 5)
    whole = graphs.pack(sizes, shapes)
    monkeypatch.setattr(packing, "PART", 100)
    parts = graphs.pack(sizes, shapes)
    assert sorted(k for pack in parts for k in pack.members) == list(range(600))
    assert all(len({k % 6 for k in pack.members}) == 1 for pack in parts)
    assert graphs.padding(sizes, parts) < graphs.padding(sizes, whole) + 0.03


def test_a_structure_beyond_the_largest_shape_is_named():
    with pytest.raises(ValueError, match="structure 1 has 30 atoms and 90 edges, more than the largest shape, of 11"):
        graphs.pack(np.array([[5, 9], [30, 90]]), [graphs.Shape(12, 64, 4)])
    with pytest.raises(ValueError, match="shapes: expected at least one"):
        graphs.pack(np.array([[5, 9]]), [])

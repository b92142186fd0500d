"""Host and traced neighbor lists against all images in a loop; supercells, wrapping, overflow, bad input."""

import functools
import inspect
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import graphs
from equijax.graphs import traced_neighbors

SKEW = np.array([[3.2, 0.0, 0.0], [1.0, 3.1, 0.0], [0.7, 0.9, 3.3]])  # heights of 2.9 to 3.3
CUTOFF = 4.0
PERIODIC = [(True, True, True), (True, False, True), (False, True, False), (False, False, False)]


def all_images(positions, cell, pbc, cutoff, reach=(7, 7, 7)):
    """(receiver, sender, shift) of every edge, sorted, the slow way; `reach` counts images of atoms in the cell."""
    home = np.where(pbc, np.floor(positions @ np.linalg.pinv(cell)), 0).astype(int)
    found = []
    for shift in itertools.product(*(range(-n - 1, n + 2) if p else [0] for p, n in zip(pbc, reach, strict=True))):
        moved = np.array(shift) - home + home[:, None]
        vectors = positions + moved @ cell - positions[:, None]
        inside = np.linalg.norm(vectors, axis=-1) < cutoff
        if not any(shift):
            np.fill_diagonal(inside, False)
        found += [(i, j, *moved[i, j]) for i, j in zip(*np.nonzero(inside), strict=True)]
    return np.array(sorted(found), int).reshape(-1, 5)


def edges(senders, receivers, shifts):
    return np.column_stack([receivers, senders, shifts])


@pytest.mark.core
@pytest.mark.parametrize("pbc", PERIODIC)
@pytest.mark.parametrize("n", [1, 4])
def test_host_list_is_exact_in_cells_smaller_than_the_cutoff(pbc, n):
    positions = np.random.default_rng(n).uniform(-6, 6, (n, 3))  # outside of the cell, too
    expected = all_images(positions, SKEW, pbc, CUTOFF)
    np.testing.assert_array_equal(edges(*graphs.neighbor_list(positions, SKEW, pbc, CUTOFF)), expected)
    assert len(expected) > 0 or not any(pbc)


@pytest.mark.core
def test_host_list_is_exact_in_any_cell():
    """Flat, long and skew cells to ratios of 1e6, mixed axes, clouds that explode: against all images, one by one."""
    counts = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cutoff = rng.uniform(0.5, 6)
        lengths = cutoff * np.where(seed % 2, rng.permuted([0.2, *10 ** rng.uniform(0, 6, 2)]), rng.uniform(0.4, 3, 3))
        cell = np.diag(lengths) @ (np.eye(3) + 0.3 * rng.uniform(-1, 1, (3, 3)))
        pbc = rng.random(3) < 0.6
        spread = 10 ** rng.uniform(0, 8) if seed % 3 == 0 else 1.0  # of a cloud, in cut-offs
        centers = spread * cutoff * rng.normal(size=(3, 3))
        positions = np.concatenate([centers, centers + 0.4 * cutoff * rng.normal(size=(3, 3))])
        positions[:2] += rng.integers(-3, 4, (2, 3)) * pbc @ cell  # whole cells away from what they are near to
        reach = np.where(pbc, np.ceil(cutoff * np.linalg.norm(np.linalg.inv(cell), axis=0)), 0).astype(int)
        expected = all_images(positions, cell, pbc, cutoff, reach)
        np.testing.assert_array_equal(edges(*graphs.neighbor_list(positions, cell, pbc, cutoff)), expected)
        counts.append(len(expected))
    assert np.median(counts) > 10


def test_what_killed_or_misled_a_search_by_cells():
    """Two atoms far apart along a diagonal; a flat cell, of which one atom sees ten images."""
    far = graphs.neighbor_list([[0, 0, 0], [1300, 1300, 0.0]], None, False, 4.0)
    assert [len(part) for part in far] == [0, 0, 0]
    flat = graphs.neighbor_list([[0, 0, 0], [0, 0, 2.0]], np.diag([3.0, 2000, 2000]), True, 4.0)
    assert len(flat[0]) == 10
    cloud = 10.0 ** np.arange(0, 100, 2)[:, None] * [1, -1, 1]
    assert len(graphs.neighbor_list(cloud, None, False, 4.0)[0]) == 0
    with pytest.raises(ValueError, match=r"positions: atom 1 is at .*1.e\+180.* cut-offs"):
        graphs.neighbor_list([[0, 0, 0], [0, 1e180, 0]], None, False, 1.0)
    with pytest.raises(ValueError, match=r"positions: atom 0 is 1e\+10 cells away"):
        graphs.neighbor_list([[1e10, 0, 0]], np.eye(3), True, 1.0)
    with pytest.raises(ValueError, match=r"cell: its heights are .* over 20,000,000 images"):
        graphs.neighbor_list([[0, 0, 0.0]], 1e-3 * np.eye(3), True, 1.0)


def test_edges_come_in_pairs_at_a_distance_that_rounds_to_the_cutoff():
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 4, 5):
        cell = 3 * np.eye(3) + 0.5 * rng.normal(size=(3, 3))
        positions = rng.normal(size=(n, 3)) * 50
        cutoff = np.linalg.norm([1, -2, 1] @ cell)  # many atoms see their own images at it, or rounded to less
        senders, receivers, shifts = graphs.neighbor_list(positions, cell, True, cutoff)
        there = set(zip(senders, receivers, map(tuple, shifts), strict=True))
        assert there == {(i, j, tuple(-s for s in shift)) for j, i, shift in there}


def test_supercell():
    positions = np.random.default_rng(0).uniform(0, 3, (3, 3))
    shifts = np.array(list(itertools.product(range(2), range(2), range(2))))
    large = graphs.Structure(
        np.ones(24, int), (positions + (shifts @ SKEW)[:, None]).reshape(-1, 3), 2 * SKEW, (True,) * 3
    )
    small = graphs.Structure(np.ones(3, int), positions, SKEW, (True,) * 3)
    distances = []
    for structure in (small, large):
        graph = graphs.batch([structure], CUTOFF)
        vectors = np.asarray(graph.vectors)[graph.edge_mask]
        distances.append(np.sort(np.linalg.norm(vectors, axis=-1)))
    np.testing.assert_allclose(distances[1], np.repeat(distances[0], 8), atol=1e-5)
    assert distances[0][-1] < CUTOFF


def test_open_axes_may_lack_a_cell_vector():
    positions = np.random.default_rng(0).uniform(0, 3, (3, 3))
    slab = SKEW * [[1], [1], [0]]
    found = graphs.neighbor_list(positions, slab, (True, True, False), CUTOFF)
    expected = all_images(positions, slab, (True, True, False), CUTOFF)
    np.testing.assert_array_equal(edges(*found), expected)


NODES = 12


@chex.assert_max_traces(n=2)
def _traced(positions, cell, mask, images, capacity):
    return graphs.traced_neighbor_list(positions, cell, cutoff=CUTOFF, capacity=capacity, images=images, node_mask=mask)


traced = jax.jit(_traced, static_argnums=(3, 4))


@pytest.mark.parametrize("pbc", [PERIODIC[0], PERIODIC[3]])
def test_traced_list_is_the_host_list_for_every_size_with_one_trace(x64, pbc):
    chex.clear_trace_counter()
    images = graphs.image_counts(SKEW, pbc, CUTOFF)
    compiled = traced._cache_size()
    for n, seed in itertools.product((1, 3, 7, 11), range(3)):
        positions = np.random.default_rng(seed).uniform(-6, 6, (n, 3))
        cell = SKEW * (1 + 0.1 * seed)
        padded, mask = np.zeros((NODES, 3)), np.arange(NODES) < n
        padded[:n] = positions
        found = traced(padded, cell, mask, images, 2048)
        senders, receivers, shifts = graphs.neighbor_list(positions, cell, pbc, CUTOFF)
        kept = int(found.found)
        np.testing.assert_array_equal(edges(*found[:3])[:kept], edges(senders, receivers, shifts))
        assert not found.overflow
        assert found.edge_mask.sum() == kept
        vectors = positions[senders] + shifts @ cell - positions[receivers]
        np.testing.assert_allclose(found.vectors[:kept], vectors, atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(found.vectors[kept:], axis=1), 1)
        assert (found.senders[kept:] == NODES - 1).all()
        assert not found.shifts[kept:].any()
    assert traced._cache_size() == compiled + 1


def test_traced_list_in_float32_along_a_path(x64):
    """Under vmap, with mixed axes, in the lower precision."""
    pbc, positions = (True, False, True), np.random.default_rng(5).uniform(-6, 6, (6, 9, 3))
    images = graphs.image_counts(SKEW, pbc, CUTOFF)
    build = functools.partial(graphs.traced_neighbor_list, cutoff=CUTOFF, capacity=600, images=images)
    found = jax.jit(jax.vmap(build, in_axes=(0, None)))(positions.astype(np.float32), SKEW.astype(np.float32))
    assert not found.overflow.any()
    for k, x in enumerate(positions):
        np.testing.assert_array_equal(
            edges(found.senders[k], found.receivers[k], found.shifts[k])[: found.found[k]],
            edges(*graphs.neighbor_list(x, SKEW, pbc, CUTOFF)),
        )


@functools.partial(jax.jit, static_argnames=("cutoff", "capacity", "images", "bins"))
def by_bins(positions, cell, **sizes):
    return graphs.traced_neighbor_list(positions, cell, **sizes)


@pytest.mark.core
@pytest.mark.parametrize("pbc", PERIODIC)
def test_bins_give_the_host_list(x64, pbc, monkeypatch):
    """Skew cells of four cut-offs and more, atoms outside of them, open axes along which two clouds part."""
    monkeypatch.setattr(traced_neighbors, "SORTING", 0)
    cell, cutoff, free = 4 * SKEW + [[0, 0.3, 0], [-2, 0, 0], [0, 1, 9]], 3.0, ~np.array(pbc)
    filled = np.random.default_rng(9).uniform(0, 1, (200, 3)) @ cell
    sizes = graphs.room(filled, cell, pbc, 1.1 * cutoff, spare=2.0)  # for cells that are a little smaller, too
    for seed, dtype in enumerate((np.float64, np.float32)):
        rng = np.random.default_rng(seed)
        positions = (rng.uniform(0, 1, (200, 3)) + rng.integers(-2, 3, (200, 3)) * pbc) @ cell
        positions += 20 * (rng.random((200, 1)) < 0.5) * (free / max(1, free.sum()))
        skew = cell + 0.1 * rng.normal(size=(3, 3)) * ~free[:, None]
        expected = edges(*graphs.neighbor_list(positions, skew, pbc, cutoff))
        found = by_bins(positions.astype(dtype), skew.astype(dtype), cutoff=cutoff, **sizes._asdict())
        np.testing.assert_array_equal(edges(*found[:3])[: found.found], expected)
        assert not found.overflow
        np.testing.assert_allclose(np.linalg.norm(found.vectors[found.found :], axis=1), 1, atol=1e-6)
        assert len(expected) > 300
    assert np.prod(sizes.bins.counts) >= 30


@pytest.mark.parametrize("counts", [(1, 1, 1), (2, 1, 3)])
def test_bins_in_cells_smaller_than_the_cutoff(x64, counts):
    """Each atom sees many images, of itself too; and what is said when a bin or the cell is too small for the grid."""
    images = graphs.image_counts(SKEW, True, CUTOFF)
    reach = tuple(graphs.image_counts(SKEW / np.array(counts)[:, None], True, CUTOFF))
    sizes = {"cutoff": CUTOFF, "capacity": 900, "images": images, "bins": graphs.Bins(counts, reach, 5)}
    positions = np.random.default_rng(1).uniform(-6, 6, (5, 3))
    found, pairs = by_bins(positions, SKEW, **sizes), by_bins(positions, SKEW, **sizes | {"bins": None})
    jax.tree.map(np.testing.assert_array_equal, found, pairs)
    np.testing.assert_array_equal(
        edges(*found[:3])[: found.found], edges(*graphs.neighbor_list(positions, SKEW, True, CUTOFF))
    )
    assert not found.overflow
    assert by_bins(positions, 0.6 * SKEW, **sizes | {"capacity": 5000}).overflow
    tight = sizes | {"bins": graphs.Bins(counts, reach, 1)}
    assert by_bins(positions, SKEW, **tight).overflow
    assert by_bins(np.where(np.eye(5, 3) > 0, np.nan, positions), SKEW, **sizes).overflow


def test_room_takes_what_costs_less():
    """All pairs for a molecule, bins in a large box or cloud; never more bins than a few for each atom."""
    rng = np.random.default_rng(0)
    assert graphs.room(rng.uniform(0, 5, (15, 3)), None, False, 5.0).bins is None
    sparse = graphs.room(rng.uniform(0, 1e4, (500, 3)), 1e4 * np.eye(3), True, 5.0).bins
    assert np.prod(sparse.counts) <= 1000
    many = graphs.room(rng.uniform(0, 40, (2000, 3)), 40 * np.eye(3), True, 5.0).bins
    assert np.prod(2 * np.array(many.reach) + 1) * many.occupancy < 27 * 2000 / 50
    with pytest.raises(ValueError, match="spare: expected a number of at least 0, got -1"):
        graphs.room(np.zeros((1, 3)), None, False, 5.0, spare=-1.0)


def test_traced_list_takes_cells_without_a_vector_along_open_axes(x64):
    positions = np.random.default_rng(0).uniform(-6, 6, (4, 3))
    for pbc in PERIODIC[1:3]:
        cell = SKEW * np.array(pbc)[:, None]
        images = graphs.image_counts(cell, pbc, CUTOFF)
        build = functools.partial(graphs.traced_neighbor_list, positions, cutoff=CUTOFF, capacity=200, images=images)
        run = jax.jit(build)
        found = run(cell)
        expected = edges(*graphs.neighbor_list(positions, cell, pbc, CUTOFF))
        np.testing.assert_array_equal(edges(*found[:3])[: found.found], expected)
        assert len(expected) > 0
        assert [bool(run(c).overflow) for c in (cell, cell / 2, cell * jnp.nan)] == [False, True, True]


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_the_unit_of_length_does_not_matter(scale):
    positions = np.random.default_rng(0).uniform(-6, 6, (4, 3))
    images = graphs.image_counts(SKEW, True, CUTOFF)
    expected = edges(*graphs.neighbor_list(positions, SKEW, True, CUTOFF))
    host = graphs.neighbor_list(scale * positions, scale * SKEW, True, scale * CUTOFF)
    np.testing.assert_array_equal(edges(*host), expected)
    found = graphs.traced_neighbor_list(
        np.float32(scale * positions), np.float32(scale * SKEW), cutoff=scale * CUTOFF, capacity=400, images=images
    )
    np.testing.assert_array_equal(edges(*found[:3])[: found.found], expected)
    assert not found.overflow


@pytest.mark.core
def test_overflow_is_flagged():
    positions = np.random.default_rng(0).uniform(0, 3, (4, 3)).astype(np.float32)
    for capacity, missing in ((12, False), (11, True)):
        short = jax.jit(functools.partial(graphs.traced_neighbor_list, cutoff=CUTOFF, capacity=capacity))(positions)
        assert short.found == 12
        assert bool(short.overflow) is missing
    build = functools.partial(graphs.traced_neighbor_list, cutoff=CUTOFF, capacity=5000)
    squeezed = jax.jit(functools.partial(build, images=graphs.image_counts(SKEW, True, CUTOFF)))
    for strain, missing in ((1.0, False), (0.6, True)):  # the smaller cell needs more images
        assert bool(squeezed(positions, jnp.float32(strain * SKEW)).overflow) is missing
    positions[3] = np.nan  # a step that diverged; as padding it would not count
    for valid, missing in ((4, True), (3, False)):
        assert bool(squeezed(positions, SKEW, node_mask=np.arange(4) < valid).overflow) is missing


def test_half_precision_has_the_edges_of_its_positions():
    positions, cell = (jnp.asarray(a, jnp.bfloat16) for a in (np.random.default_rng(1).uniform(0, 3, (5, 3)), SKEW))
    build = functools.partial(graphs.traced_neighbor_list, cutoff=CUTOFF, capacity=400, images=(2, 2, 2))
    half, single = build(positions, cell), build(positions.astype(jnp.float32), cell.astype(jnp.float32))
    assert half.found > 20
    jax.tree.map(np.testing.assert_array_equal, half, single)


def test_image_counts():
    cell = np.diag([4.0, 3.9, 20.0])
    assert graphs.image_counts(cell, True, 4.0) == (1, 2, 1)
    assert graphs.image_counts(cell, (True, False, True), 4.0) == (1, 0, 1)
    assert graphs.image_counts(None, False, 4.0) == (0, 0, 0)


def test_a_cell_as_high_as_the_cutoff_does_not_overflow_by_rounding():
    cells = np.random.default_rng(0).normal(size=(30, 3, 3))
    heights = 1 / np.linalg.norm(np.linalg.inv(cells), axis=-2)
    cells = CUTOFF * (1 + 1e-9) * cells / heights[..., None]  # all three heights are the cutoff and a trace
    assert all(graphs.image_counts(cell, True, CUTOFF) == (1, 1, 1) for cell in cells)
    build = functools.partial(graphs.traced_neighbor_list, cutoff=CUTOFF, capacity=500, images=(1, 1, 1))
    found = jax.jit(jax.vmap(build, in_axes=(None, 0)))(jnp.zeros((1, 3)), jnp.float32(cells))
    assert not found.overflow.any()


POINTS = np.random.default_rng(0).uniform(0, 3, (4, 3))
BAD = {
    "positions: expected at least one atom": (np.zeros((0, 3)), None, False, 3.0),
    r"positions: expected shape \(n, 3\)": (np.zeros((4, 2)), None, False, 3.0),
    r"positions: expected finite numbers, .* for atom 1": (
        np.where(np.eye(4)[:, 1:] > 0, np.nan, POINTS),
        None,
        False,
        3.0,
    ),
    r"positions: atoms . and . coincide .* distance 0.0e\+00\); remove one": (POINTS[[0, 1, 2, 1]], None, False, 3.0),
    "coincide .image shift .*1.*": (np.array([[0.1, 0, 0], [3.3, 0, 0]]), SKEW, True, 3.0),
    "cell: row 2 is zero though that axis is periodic": (POINTS, np.diag([5.0, 5.0, 0.0]), True, 3.0),
    "cell: expected three independent vectors": (POINTS, np.ones((3, 3)), True, 3.0),
    r"cell: expected shape \(3, 3\)": (POINTS, np.ones(6), True, 3.0),
    r"pbc: expected three booleans or one, got \(True, False\)": (POINTS, SKEW, (True, False), 3.0),
    "cutoff: expected a positive length, got 0.0": (POINTS, None, False, 0.0),
    "cutoff: expected a positive length, got nan": (POINTS, None, False, float("nan")),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    with pytest.raises(ValueError, match=message):
        graphs.neighbor_list(*BAD[message])


@pytest.mark.parametrize(
    ("message", "change"),
    [
        ("positions: expected at least one atom", {"positions": jnp.zeros((0, 3))}),
        ("cutoff: expected a positive length", {"cutoff": -1.0}),
        ("capacity: expected an integer of at least 0", {"capacity": -1}),
        (r"cell: expected a cell for the images \(1, 1, 1\), got None", {"images": (1, 1, 1)}),
        (r"positions: expected shape \(n, 3\), got \(3,\)", {"positions": jnp.zeros(3)}),
        (r"positions: expected shape \(n, 3\), got \(2, 1\)", {"positions": jnp.zeros((2, 1))}),
        (r"positions: .* got \(5, 2, 3\); use jax.vmap for a batch", {"positions": jnp.zeros((5, 2, 3))}),
        (r"cell: expected shape \(3, 3\), got \(3,\)", {"cell": jnp.ones(3)}),
        (r"node_mask: expected shape \(2,\), got \(1,\)", {"node_mask": jnp.ones(1, bool)}),
        ("node_mask: expected booleans, got float32", {"node_mask": jnp.ones(2)}),
        (r"images: expected three numbers, one an axis, got \(0, 0\)", {"images": (0, 0)}),
    ],
)
def test_bad_input_of_the_traced_list_is_named(message, change):
    arguments = {"positions": jnp.zeros((2, 3)), "cutoff": 3.0, "capacity": 4} | change
    with pytest.raises((ValueError, TypeError), match=message):
        inspect.unwrap(graphs.traced_neighbor_list)(**arguments)  # without the shape checks of the tests


def test_a_traced_cutoff_is_named():
    build = inspect.unwrap(graphs.traced_neighbor_list)
    with pytest.raises(TypeError, match="cutoff: expected a number that is known when it is traced"):
        jax.jit(lambda cutoff: build(jnp.zeros((2, 3)), cutoff=cutoff, capacity=4))(3.0)

"""A potential in one file: the same bits in a process that has no equijax, sizes, bad files, bad input."""

import functools
import json
import os
import resource
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest
from embedded_atoms import EmbeddedAtoms

from equijax import graphs
from equijax.models import potential

MODEL = EmbeddedAtoms(species=(1, 8), atomic_energies=(-13.6, -2041.0))
CELL = np.array([[2.8, 0, 0], [0.3, 5.0, 0], [0, 0.2, 9.0]])
PLACE = np.array([[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 12.0]])
ELSEWHERE = """
import sys
sys.modules["equijax"] = sys.modules["flax"] = None
import numpy as np
import exported
run = exported.load(sys.argv[1])
given = np.load(sys.argv[2])
found = run(given["species"], given["positions"], given["cell"], given["pbc"])
np.savez(sys.argv[3], **found)
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    params = potential.initialize(MODEL, jax.random.key(0))
    path = tmp_path_factory.mktemp("export") / "water.potential"
    return params, potential.export(MODEL, params, path, [(2, 8), (6, 96)])


def test_the_same_bits_in_a_process_without_this_package(file, tmp_path):
    params, path = file
    water = graphs.Structure([8, 1, 1], PLACE, CELL, (True, True, False))
    graph = graphs.batch([water], MODEL.cutoff, nodes=7, edges=96, graphs=2)
    assert graph.edge_mask.sum() >= 10
    want = jax.jit(potential.predict, static_argnums=0)(MODEL, params, graph)
    np.savez(tmp_path / "given.npz", species=water.species, positions=PLACE, cell=CELL, pbc=water.pbc)
    with zipfile.ZipFile(path) as packed:
        packed.extract("exported.py", tmp_path)
        header = json.loads(packed.read("header.json"))
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE)
    names = ("elsewhere.py", path, "given.npz", "found.npz")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([sys.executable, *names], cwd=tmp_path, env=environment, check=True, timeout=300)
    found = np.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(found["forces"], want.forces[:3])
    np.testing.assert_array_equal(found["stress"], want.stresses[0])
    assert found["energy"] == float(want.energies[0]) + potential.baseline(MODEL, water.species).sum()
    assert np.abs(found["stress"]).max() > 0
    assert {"cutoff": 3.0, "species": [1, 8], "precision": "float32"}.items() <= header.items()
    assert header["units"]["forces"] == "eV/Å"


def test_neighbors_of_atoms_that_are_cells_away():
    """In the program's own search, which a process without this package has."""
    pbc = np.array([True, True, False])
    near, far = (
        potential.exported.neighbors(PLACE + steps @ CELL, CELL, pbc, 3.0)
        for steps in (np.zeros((3, 3)), np.array([[0, 0, 0], [7.0, -5, 0], [0, 6, 0]]))
    )
    assert len(near[0]) >= 10
    for one, other in zip(near, far, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)


def test_what_does_not_fit_or_is_not_known_is_named(file, tmp_path):
    run = potential.exported.load(file[1])
    with pytest.raises(
        ValueError, match=r"positions: 7 atoms and 42 edges, more than .* has room for .*2 and 8, 6 and 96"
    ):
        run(np.ones(7, int), 0.5 * np.random.default_rng(0).normal(size=(7, 3)))
    with pytest.raises(ValueError, match=r"species: atomic numbers \[6\] are unknown to a potential of \[1, 8\]"):
        run([6, 1], PLACE[:2])
    slab = CELL * [[1], [1], [0]]
    sheet = functools.partial(run, [8, 1, 1], PLACE, pbc=[True, True, False])
    one, two = sheet(slab), sheet(potential.exported.completed(slab, np.zeros(3, bool)))
    np.testing.assert_array_equal(one["stress"], two["stress"])
    assert np.isfinite(one["stress"]).all()
    assert one["stress"].any()
    for pbc, flat in ((True, slab), ([True, False, False], None), (True, np.ones((3, 3)))):
        with pytest.raises(ValueError, match=r"cell: expected (a vector along the|three independent)"):
            run([8, 1, 1], PLACE, flat, pbc)
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as packed:
        packed.writestr("header.json", json.dumps({"format": potential.exported.FORMAT, "version": 0}))
    with pytest.raises(ValueError, match=r"other.zip: expected .* of version 1, got .* of version 0; export it again"):
        potential.exported.load(other)
    for sizes, message in (([], "sizes: expected pairs"), ([(6, 96), (2, 8)], "that grow"), ([(0, 8)], "at least 1")):
        with pytest.raises(ValueError, match=message):
            potential.export(MODEL, file[0], tmp_path / "never", sizes)
    with pytest.raises(ValueError, match="precision: expected 'float32' or 'float64', got 'half'"):
        potential.export(MODEL, file[0], tmp_path / "never", [(2, 8)], precision="half")


def test_a_full_disk_leaves_the_file_as_it_was(file):
    params, path = file
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OSError, match="too large"):
            potential.export(MODEL, params, path, [(2, 8)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]

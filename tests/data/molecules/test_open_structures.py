"""Files of structures, read frame by frame: names, units and signs of labels, what is missing, what is wrong."""

import pickle
import warnings

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from equijax import data, graphs

CELL = np.diag([3.0, 4.0, 5.0])
HARTREE, GPA = 27.211386245988, 160.21766208


def frame(k=0, **info):
    """An atom and its neighbor, with labels among `info` and columns among `arrays`."""
    return Atoms("OH", [[0, 0, 0.1 * k], [0.9, 0, 0]], cell=CELL, pbc=True, info=info)


@pytest.fixture
def opened(tmp_path):
    def write_and_open(frames, **names):
        path = tmp_path / "set@1.xyz"
        if isinstance(frames, str):
            path.write_text(frames)
        else:
            ase.io.write(path, frames, format="extxyz")
        return data.open_structures(path, **names)

    return write_and_open


def test_frames_are_read_when_they_are_asked_for(opened):
    frames = [frame(k, energy=float(k)) for k in range(7)]
    structures = opened(frames)
    assert len(structures) == 7
    assert [s.energy for s in structures] == list(range(7))  # in their order, to the end
    assert structures[-1].positions[0, 2] == pytest.approx(0.6)
    assert [s.energy for s in structures[2:5]] == [2, 3, 4]
    assert structures[2:5].where(1).endswith("set@1.xyz, frame 3")
    assert pickle.loads(pickle.dumps(structures))[4].energy == 4.0  # as a worker process has it
    with structures.path.open("r+b") as file:  # byte offsets: another frame may be damaged
        file.seek(structures.offsets[2])
        file.write(b"x")
    assert structures[3].energy == 3.0
    with pytest.raises(ValueError, match=r"set@1\.xyz: frame 2: not readable"):
        structures[2]


@pytest.mark.parametrize("kind", ["db", "json", "aselmdb", "traj"])
def test_databases_and_trajectories(tmp_path, kind):
    if kind == "aselmdb":
        pytest.importorskip("ase_db_backends")
    path, frames = tmp_path / f"set.{kind}", [frame(k) for k in range(3)]
    for k, atoms in enumerate(frames):
        atoms.calc = SinglePointCalculator(atoms, energy=-1.5 * k, forces=np.full((2, 3), k), stress=np.arange(6.0))
    if kind == "traj":
        ase.io.write(path, frames)
    else:
        db = ase.db.connect(path)
        for atoms in frames:
            db.write(atoms, config_type="bulk")
        if kind == "aselmdb":
            db.close()
    structures = pickle.loads(pickle.dumps(data.open_structures(path)))
    assert len(structures) == 3
    found = structures[2]
    assert (found.energy, found.forces[1, 2], found.pbc) == (-3.0, 2.0, (True, True, True))
    np.testing.assert_array_equal(found.stress, [[0, 5, 4], [5, 1, 3], [4, 3, 2]])
    assert found.kind == ("" if kind == "traj" else "bulk")


def test_names_and_missing_labels(opened):
    """The first usual name of the file, in all frames; what a frame lacks is None, and masked in a batch."""
    one, two, three = frame(REF_energy=-1.0, energy=-7.0), frame(energy=-8.0), frame(REF_energy=-3.0, config_weight=0.5)
    two.arrays["dft_forces"] = np.ones((2, 3))
    two.info["config_type"] = three.info["config_type"] = "liquid"
    with pytest.warns(UserWarning, match="energy 'REF_energy' are taken, and not 'energy', which are other numbers"):
        structures = opened([one, two, three], weights={"liquid": 3.0})
    found = list(structures)
    assert [s.energy for s in found] == [-1.0, None, -3.0]
    assert [s.forces is None for s in found] == [True, False, True]
    assert [s.weight for s in found] == [1.0, 3.0, 1.5]
    labels = graphs.labels(found, graphs.batch(found, 1.0))
    assert labels.energy_mask.tolist() == [True, False, True, False]
    assert labels.force_mask[:6].tolist() == [False] * 2 + [True] * 2 + [False] * 2
    assert labels.weights.tolist() == [1.0, 3.0, 1.5, 0.0]
    assert opened([one], energy="energy")[0].energy == -7.0


def test_units_and_signs(opened):
    """A virial is minus the derivative by the strain, a gradient minus the force; VASP's pressures are positive."""
    nine, six = [1.0, 6, 5, 6, 2, 4, 5, 4, 3], [1.0, 2, 3, 4, 5, 6]
    tensor = np.array(nine).reshape(3, 3)
    atoms = frame(E=-2.0, total_energy=-1.0, virial=np.array(nine))
    atoms.arrays["gradient"] = np.full((2, 3), 0.5)
    (found,) = opened([atoms], energy_unit="Ha", force_unit="Ha/bohr")
    assert found.energy == pytest.approx(-HARTREE)
    np.testing.assert_allclose(found.forces, -0.5 * HARTREE / 0.529177210903)
    np.testing.assert_allclose(found.stress, -tensor * HARTREE / 60.0)
    for unit, factor in {"eV/Å³": 1.0, "GPa": 1 / GPA, "-kbar": -0.1 / GPA}.items():
        for numbers in (nine, six):
            (found,) = opened([frame(my=np.array(numbers))], stress="my", stress_unit=unit)
            np.testing.assert_allclose(found.stress, factor * tensor)
    for names, message in (
        ({"energy_unit": "erg"}, "energy_unit: expected one of eV, .* got 'erg'"),
        ({"force_unit": "eV"}, "force_unit: expected one of .* over one of Å"),
        ({"stress_unit": "bar"}, "stress_unit: expected one of"),
    ):
        with pytest.raises(ValueError, match=message):
            opened([frame(energy=0.0)], **names)


def test_isotopes_charges_and_atoms_without_a_cell(opened):
    text = '2\nProperties=species:S:1:pos:R:3 energy=1.0 charge=1 spin=3 pbc="F F F"\nD 0 0 0\nH 0 0 0.7\n'
    structures = opened(text)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert structures[0].species.tolist() == [1, 1]
    assert [str(w.message).rpartition(": ")[0].rpartition(": ")[2] for w in found] == [
        "total charges are not used", "spins are not used",
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(text.replace("charge=1 spin=3", "charge=0 spin=1"))[0].energy == 1.0


BAD = {
    r"no energy, forces or stress under a usual name, only \['my_energy', 'numbers', 'positions'\]; pass energy=NAME": [
        Atoms("H", [[0, 0, 0]], info={"my_energy": 1.0})
    ],
    r"frame 1: energy 'energy' expected as finite numbers of .* with nan; remove": [
        frame(energy=0.0),
        frame(energy=np.nan),
    ],
    r"frame 0: stress 'virial' expected as a symmetric tensor": [frame(virial=np.arange(9.0))],
    r'frame 0: periodic along axis 2, but there is no cell vector; add the Lattice, or write pbc="F F F"': (
        '1\nProperties=species:S:1:pos:R:3 energy=1.0 pbc="F F T"\nH 0 0 0\n'
    ),
    r"frame 1: not readable as extended XYZ \(XYZError: expected the number of atoms, got 'H 0": (
        "1\nenergy=1.0\nH 0 0 0\nH 0 0 1\n2\nenergy=1.0\nH 0 0 0\n"
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_frames_are_named_with_the_way_out(opened, message):
    with pytest.raises(ValueError, match=r"set@1\.xyz.*" + message):
        list(opened(BAD[message]))


def test_coincident_atoms_are_named_by_frame(opened):
    atoms = frame(energy=1.0)
    atoms.positions[:] = 0
    structures = opened([frame(energy=0.0), frame(energy=0.0), atoms])
    for some, where in ((structures, r"set@1\.xyz, frame 2"), (data.Subset(structures, [2]), r"set@1\.xyz, frame 2")):
        with pytest.raises(ValueError, match=where + ": positions: atoms 0 and 1 coincide"):
            graphs.each(lambda s: graphs.from_structure(s, 1.0), some)


def test_from_ase():
    atoms = frame(dft_energy=-3.0)
    atoms.arrays["forces"] = np.ones((2, 3))
    found = data.from_ase(atoms)
    assert (found.energy, found.forces[0, 0], found.stress) == (-3.0, 1.0, None)
    assert data.from_ase(Atoms("H", [[0, 0, 0]])).energy is None


def test_left_handed_and_flat_cells(opened):
    """The volume of a virial is positive; a cell too flat for its neighbors is named by frame."""
    left, flat = frame(virial=np.eye(3).ravel()), frame(energy=0.0)
    left.cell[:] = CELL[[1, 0, 2]]
    assert np.linalg.det(left.cell.array) < 0
    flat.cell[2] = [0, 0, 1e-7]
    structures = opened([left, flat])
    np.testing.assert_allclose(structures[0].stress, -np.eye(3) / 60.0)
    with pytest.raises(ValueError, match=r"set@1\.xyz, frame 1: cell: its heights are \[.*\de-.* check the units"):
        graphs.each(lambda s: graphs.from_structure(s, 1.0), structures)

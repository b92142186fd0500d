"""The reader of extended XYZ: labels under any name, periodic cells, files that are not whole."""

import gzip

import numpy as np
import pytest

from equijax import data
from equijax.models import potential

TWO_FRAMES = """2
Lattice="3.0 0.0 0.0 1.0 4.0 0.0 0.0 0.0 5.0" Properties=species:S:1:pos:R:3:forces:R:3 energy=-1.5 pbc="T T F"
O 0.0 0.25 0.5 0.1 0.2 0.3
H 1.0 -0.25 0.5 -0.1 -0.2 -0.3
1
Properties=species:S:1:pos:R:3:forces:R:3 energy=2.0 pbc="F F F"
C 1.0 2.0 3.0 0.0 0.0 0.5
"""
NINE = "1 6 5 6 2 4 5 4 3"
OTHER_NAMES = f"""2
Properties=species:S:1:pos:R:3:dft_forces:R:3 dft_energy=-1.5 dft_stress="{NINE}" stress="{NINE}" voigt="1 2 3 4 5 6"
O 0.0 0.25 0.5 0.1 0.2 0.3
H 1.0 -0.25 0.5 -0.1 -0.2 -0.3
"""


@pytest.fixture
def read(tmp_path):
    def write_and_read(content, **names):
        path = tmp_path / "frames.xyz"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return data.read_extended_xyz(path, **names)

    return write_and_read


def test_frames_of_different_sizes(read):
    first, second = read(TWO_FRAMES)
    np.testing.assert_array_equal(first.species, [8, 1])
    np.testing.assert_array_equal(first.positions, [[0, 0.25, 0.5], [1, -0.25, 0.5]])
    np.testing.assert_array_equal(first.cell, [[3, 0, 0], [1, 4, 0], [0, 0, 5]])
    assert first.pbc == (True, True, False)
    assert first.energy == -1.5
    np.testing.assert_array_equal(first.forces, [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])
    assert (second.cell, second.pbc, second.energy, second.stress) == (None, (False,) * 3, 2.0, None)
    assert second.forces.dtype == second.positions.dtype == np.float64


def test_other_names(read):
    (frame,) = read(OTHER_NAMES, energy="dft_energy", forces="dft_forces", stress="dft_stress")
    assert frame.energy == -1.5
    assert frame.forces[1, 2] == -0.3
    for name in ("dft_stress", "voigt", "stress"):
        (frame,) = read(OTHER_NAMES, energy=None, forces=None, stress=name)
        assert (frame.energy, frame.forces) == (None, None)
        np.testing.assert_array_equal(frame.stress, [[1, 6, 5], [6, 2, 4], [5, 4, 3]])


ATOMS = """1
Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3 config_type=IsolatedAtom energy=-13.6 pbc="T T T"
H 0.0 0.0 0.0
1
Properties=species:S:1:pos:R:3:forces:R:3 config_type=IsolatedAtom energy=-1030.0
C 1.0 2.0 3.0 0.0 0.0 0.0
"""


def test_isolated_atoms_give_their_energies(read):
    """In a small box, too, and without forces; the others are fitted, with a warning where nothing tells them apart."""
    structures = read(ATOMS + TWO_FRAMES)
    assert [(s.cell, s.pbc, s.forces) for s in structures[:2]] == [(None, (False,) * 3, None)] * 2
    found = potential.atomic_energies(structures[:3])
    assert found == {1: -13.6, 6: -1030.0, 8: pytest.approx(-1.5 + 13.6)}
    assert potential.for_structures(structures[:3], exact_alone=True).atomic_energies == tuple(found.values())
    missing = [*structures[1:3], structures[2]._replace(energy=-2.0)]  # none of H alone, and one composition
    with pytest.warns(UserWarning, match=r"species \[1, 8\] apart"):
        potential.atomic_energies(missing)


def test_a_name_with_an_at_sign(tmp_path):
    path = tmp_path / "water@300.xyz"
    path.write_text(TWO_FRAMES)
    assert len(data.read_extended_xyz(path)) == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.xyz"):
        data.read_extended_xyz(tmp_path / "nowhere.xyz")


WHOLE = TWO_FRAMES.encode()
BAD = {
    "the file is empty": (b"\n", {}),
    "the file is compressed; unpack it first": (gzip.compress(WHOLE), {}),
    "frame 0: position of atom 1 is not finite": (TWO_FRAMES.replace("H 1.0", "H nan"), {}),
    "the last line has no end, so the file looks truncated": (WHOLE[:-2], {}),
    "not readable as extended XYZ .*Frame has 1 atoms, expected 2": (WHOLE[: WHOLE.index(b"H 1.0")], {}),
    "not readable as extended XYZ .*UnicodeDecodeError": (b"1\n" + bytes(range(128, 250)) + b"\nH 0 0 0\n", {}),
    "not readable as extended XYZ .*XYZError": (b"hello\nworld\n", {}),
    "frame 0: no energy named 'energy', only .*'dft_energy'.* pass energy=NAME": (OTHER_NAMES, {"forces": None}),
    "frame 0: no forces named 'forces', only .*'dft_forces'.* pass forces=NAME": (OTHER_NAMES, {"energy": None}),
    "frame 1: no energy named 'energy'": (TWO_FRAMES.replace("energy=2.0", ""), {}),
    "frame 1: energy 'energy' expected as finite numbers": (TWO_FRAMES.replace("energy=2.0", "energy=nan"), {}),
    r"frame 0: forces 'momenta' expected .* of shape \(2, 3\), got float64 of shape \(2, 2\)": (
        OTHER_NAMES.replace("dft_forces:R:3", "momenta:R:2:x:R:1"),
        {"energy": None, "forces": "momenta"},
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_files_are_named(read, message):
    content, names = BAD[message]
    with pytest.raises(ValueError, match=r"frames\.xyz.*" + message):
        read(content, **names)

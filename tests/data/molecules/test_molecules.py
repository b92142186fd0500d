"""The shipped set: whole, decorrelated, split without leaks, labeled as stated; and the published set beside it."""

from pathlib import Path

import numpy as np
import pytest

from equijax import data
from equijax.data.molecules import datasets as module

DFT = Path(__file__).parents[4] / "shared" / "data" / "acac-dft"
SPLITS = ("train", "validation", "test_300K", "test_600K", "dihedral")


@pytest.fixture(scope="module")
def shipped():
    return data.acetylacetone()


@pytest.fixture(scope="module")
def published():
    if not DFT.is_dir():
        pytest.skip("the published DFT set is not here: no ../shared/data/acac-dft")
    return data.read_acac_dft(DFT)


def energies(frames):
    return np.array([frame.energy for frame in frames])


def every_frame(dataset):
    return [frame for name in SPLITS for frame in getattr(dataset, name)]


def distances(frame):
    i, j = np.triu_indices(15, 1)
    return np.linalg.norm(frame.positions[i] - frame.positions[j], axis=-1)


@pytest.mark.core
def test_sizes(shipped):
    assert [len(getattr(shipped, name)) for name in SPLITS] == [450, 50, 250, 250, 45]
    assert set(shipped.isolated_atoms) == {1, 6, 8}
    frame = shipped.train[0]
    assert np.bincount(frame.species).tolist() == [0, 8, 0, 0, 0, 0, 5, 0, 2]
    assert frame.positions.shape == frame.forces.shape == (15, 3)
    assert module.SHIPPED.stat().st_size < 1.2e6


def test_a_damaged_file_is_refused(monkeypatch, tmp_path):
    content = bytearray(module.SHIPPED.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(content)
    monkeypatch.setattr(module, "SHIPPED", damaged)
    with pytest.raises(ValueError, match=r"damaged\.npz: the file is damaged: SHA-256 is .* install the package again"):
        data.acetylacetone()


def test_no_frame_comes_twice_even_rotated(shipped):
    """Sets of distances between atoms, which rotations leave alone, differ by more than 0.02 Å somewhere."""
    d = np.array([distances(f) for f in every_frame(shipped)[:-45]])
    closest = min(np.abs(d[k + 1 :] - d[k]).max(axis=1).min() for k in range(len(d) - 1))
    assert closest > 0.02


def test_frames_are_decorrelated(shipped):
    for frames in (shipped.test_300K, shipped.test_600K):
        e = energies(frames) - energies(frames).mean()
        assert abs(np.mean(e[1:] * e[:-1]) / e.var()) < 0.25  # 250 frames: the error of a zero is 0.06


def test_temperatures(shipped):
    """Half of 39 modes hold kT/2 each in a harmonic molecule: 0.50 eV at 300 K and 1.01 eV at 600 K."""
    minimum = energies(shipped.dihedral).min()
    found = [energies(frames).mean() - minimum for frames in (shipped.train, shipped.test_300K, shipped.test_600K)]
    np.testing.assert_allclose(found, [0.50, 0.50, 1.01], rtol=0.1)


def test_dihedral_scan(shipped):
    a, b, c, d = np.moveaxis(np.array([f.positions[:4] for f in shipped.dihedral]), 1, 0)
    m, n = np.cross(b - a, c - b), np.cross(c - b, d - c)
    cosine = np.sum(m * n, axis=-1) / np.linalg.norm(m, axis=-1) / np.linalg.norm(n, axis=-1)
    np.testing.assert_allclose(np.degrees(np.arccos(cosine)), shipped.dihedral_angles, atol=0.2)
    e = energies(shipped.dihedral)
    assert e.argmin() == 0
    assert 0.5 < np.ptp(e) < 0.8


def test_forces_and_torques_vanish(shipped):
    for frame in every_frame(shipped):
        np.testing.assert_allclose(frame.forces.sum(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(np.cross(frame.positions, frame.forces).sum(axis=0), 0, atol=1e-4)


def test_binding(shipped):
    bound = energies(shipped.dihedral).min() - sum(shipped.isolated_atoms[z] for z in shipped.train[0].species.tolist())
    assert -90 < bound < -60  # eV; measured atomization is about 64 eV, and GFN2-xTB overbinds


def test_labels_repeat(shipped):
    pytest.importorskip("tblite", reason="fresh labels need tblite: pip install -e '.[labels]'")
    from equijax.data.molecules import generate_acetylacetone as generator

    frames = [shipped.train[0], shipped.test_600K[-1], shipped.dihedral[20]]
    e, forces = generator.label(np.array([f.positions for f in frames]))
    np.testing.assert_allclose(e, energies(frames), rtol=0, atol=1e-6)
    np.testing.assert_allclose(forces, [f.forces for f in frames], rtol=0, atol=2e-5)


def test_published_set(published):
    assert [len(getattr(published, name)) for name in SPLITS] == [450, 50, 650, 650, 45]
    np.testing.assert_array_equal(published.train[0].species, data.acetylacetone().train[0].species)
    np.testing.assert_allclose(energies(published.train).std(), 0.150, atol=0.01)
    np.testing.assert_allclose(np.sqrt(np.mean([f.forces**2 for f in published.test_600K])), 1.366, atol=1e-3)
    assert published.dihedral[0].forces is None
    assert published.isolated_atoms[8] == -2037.796869412825


def test_a_folder_without_the_published_set_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no train_300K\.xyz, .* pass the folder that holds dataset_acac"):
        data.read_acac_dft(tmp_path)


def test_isolated_atoms_that_are_not_single_are_named(tmp_path):
    comment = 'Properties=species:S:1:pos:R:3:forces:R:3 energy=1.0 pbc="F F F"\n'
    one, two = (f"{n}\n{comment}" + n * "H 0.0 0.0 0.0 0.0 0.0 0.0\n" for n in (1, 2))
    for name in ("train_300K", "test_MD_300K", "test_MD_600K", "test_dihedral"):
        (tmp_path / f"{name}.xyz").write_text(one)
    (tmp_path / "isolated_atoms.xyz").write_text(one + two)
    with pytest.raises(ValueError, match=r"isolated_atoms\.xyz, frame 1: expected one atom, got 2"):
        data.read_acac_dft(tmp_path)

"""Acetylacetone at 300 K and 600 K: the set that the package ships, and the published DFT set in the same form."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equijax.data.molecules.extended_xyz import read_extended_xyz
from equijax.graphs import Structure

SHIPPED = Path(__file__).with_name("acetylacetone_gfn2.npz")
SHA256 = "a1c6d0a0cc7bc4686c6c31fc2015a6692cf6c554a50eae9a6cb451c373d56028"


class Dataset(NamedTuple):
    """Structures of one molecule with energies in eV and forces in eV/Å, split for training and testing."""

    train: list[Structure]
    """450 frames of molecular dynamics at 300 K."""
    validation: list[Structure]
    """50 frames, every tenth of the same trajectory."""
    test_300K: list[Structure]
    test_600K: list[Structure]
    """Frames of independent trajectories."""
    dihedral: list[Structure]
    """A relaxed scan of the torsion C=C–C=O."""
    dihedral_angles: np.ndarray
    """Of that scan, in degrees."""
    isolated_atoms: dict[int, float]
    """Energy in eV by atomic number."""


def acetylacetone() -> Dataset:
    """The shipped set: C5H8O2 in its enol form, labeled with GFN2-xTB; see README.md beside this file.

    Raises:
        ValueError: If the file is not the one that was shipped.

    Examples:
        >>> dataset = acetylacetone()
        >>> len(dataset.train), dataset.train[0].forces.shape
        (450, (15, 3))
    """
    found = hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    if found != SHA256:
        raise ValueError(
            f"{SHIPPED}: the file is damaged: SHA-256 is {found}, expected {SHA256}; install the package again"
        )
    with np.load(SHIPPED) as file:
        arrays = dict(file)

    def structures(name):
        labels = zip(*(arrays[f"{name}/{key}"] for key in ("positions", "energies", "forces")), strict=True)
        return [Structure(arrays["species"], x, energy=float(e), forces=f) for x, e, f in labels]

    train, validation = _split(structures("train_300K"))
    return Dataset(
        train,
        validation,
        test_300K=structures("test_300K"),
        test_600K=structures("test_600K"),
        dihedral=structures("dihedral"),
        dihedral_angles=arrays["dihedral/angles"],
        isolated_atoms=dict(zip(arrays["atoms/species"].tolist(), arrays["atoms/energies"].tolist(), strict=True)),
    )


def read_acac_dft(directory: str | Path) -> Dataset:
    """The published set with PBE-D3 energies and forces (no forces in the dihedral scan), which is not shipped.

    Args:
        directory: Folder `dataset_acac` of github.com/davkovacs/BOTNet-datasets, MIT license.

    Raises:
        FileNotFoundError: If a file of the set is missing.
        ValueError: If a file is not readable, or a frame of isolated atoms has not one atom.

    References:
        Batatia et al. 2022, arXiv:2205.06643.

    Examples:
        >>> dataset = read_acac_dft("BOTNet-datasets/dataset_acac")  # doctest: +SKIP
    """
    directory = Path(directory)
    names = ("train_300K", "test_MD_300K", "test_MD_600K", "test_dihedral", "isolated_atoms")
    paths = {name: directory / f"{name}.xyz" for name in names}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{directory}: no {', '.join(missing)}; pass the folder that holds dataset_acac's files"
        )
    train, validation = _split(read_extended_xyz(paths["train_300K"]))
    scan = read_extended_xyz(paths["test_dihedral"], forces=None)
    atoms = read_extended_xyz(paths["isolated_atoms"], forces=None)
    for k, frame in enumerate(atoms):
        if len(frame.species) != 1:
            raise ValueError(f"{paths['isolated_atoms']}, frame {k}: expected one atom, got {len(frame.species)}")
    return Dataset(
        train,
        validation,
        test_300K=read_extended_xyz(paths["test_MD_300K"]),
        test_600K=read_extended_xyz(paths["test_MD_600K"]),
        dihedral=scan,
        dihedral_angles=np.arange(1.0, 1.0 + 4.0 * len(scan), 4.0),
        isolated_atoms={int(s.species[0]): s.energy for s in atoms if s.energy is not None},
    )


def _split(frames):
    """Training frames, and every tenth for validation."""
    return [f for k, f in enumerate(frames) if k % 10 != 9], frames[9::10]

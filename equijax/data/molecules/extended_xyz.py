"""Structures with energies and forces from extended-XYZ files, by ASE; a file is indexed and never read whole."""

import io
import re
from pathlib import Path

import numpy as np
from jaxtyping import Int

from equijax.data.molecules.labels import Atoms, Labeling
from equijax.data.molecules.structures import Structures, expect_ase
from equijax.graphs import Structure

COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"PK\x03\x04")  # gzip, bzip2, xz, zip
ISOTOPES = re.compile(r"^(\s*)[DT](?=\s)", re.MULTILINE)  # of hydrogen, which ASE does not know by these names


class ExtendedXYZ(Structures):
    """Frames of an extended-XYZ file, each read when it is asked for."""

    def __init__(self, path: str | Path, labeling: Labeling):
        expect_ase()
        self.offsets = index(Path(path))
        super().__init__(path, labeling)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def _atoms(self, k: int) -> Atoms:
        from ase.io.extxyz import read_extxyz

        begin, end = self.offsets[k], self.offsets[k + 1]
        try:
            with self.path.open("rb") as file:
                file.seek(begin)
                text = file.read(end - begin).decode()
            count, _, rest = text.partition("\n")
            comment, _, atoms = rest.partition("\n")
            text = "\n".join([count, comment, ISOTOPES.sub(r"\1H", atoms)])
            return next(iter(read_extxyz(io.StringIO(text), index=slice(0, 1))))
        except Exception as error:  # whatever ASE trips over
            raise ValueError(
                f"{self.path}: frame {k}: not readable as extended XYZ ({type(error).__name__}: {error}); repair "
                "the frame, or if the file is truncated, copy it again"
            ) from error


def index(path: Path) -> Int[np.ndarray, " frames_and_one"]:
    """Where each frame begins in a file, in bytes, and where the last one ends.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty, compressed, truncated, or has no number of atoms where a frame begins.
    """
    offsets = [0]
    with path.open("rb") as file:
        if file.read(4).startswith(COMPRESSED):
            raise ValueError(f"{path}: the file is compressed; unpack it first")
        file.seek(0)
        while line := file.readline():
            if not line.strip():  # empty lines may end a file
                rest = file.read(1 << 16)
                if rest.strip():
                    raise _no_frame(path, len(offsets) - 1, "an empty line")
                continue
            try:
                atoms = int(line)
            except ValueError:
                raise _no_frame(path, len(offsets) - 1, repr(line[:40].decode(errors="replace"))) from None
            for read in range(atoms + 1):
                line = file.readline()
                if not line:
                    raise ValueError(
                        f"{path}: frame {len(offsets) - 1}: not readable as extended XYZ (XYZError: Frame has "
                        f"{max(read - 1, 0)} atoms, expected {atoms}); repair the frame, or if the file is truncated, "
                        "copy it again"
                    )
            if not line.endswith(b"\n"):
                raise ValueError(
                    f"{path}: the last line has no end, so the file looks truncated; copy it again, or end the line"
                )
            offsets.append(file.tell())
    if len(offsets) == 1:
        raise ValueError(f"{path}: the file is empty; copy it again")
    return np.array(offsets, np.int64)


def read_extended_xyz(
    path: str | Path, *, energy: str | None = "energy", forces: str | None = "forces", stress: str | None = None
) -> list[Structure]:
    """Every frame of an extended-XYZ file, in its order, in memory; `open_structures` reads them one by one.

    A frame with config_type=IsolatedAtom has one atom, and its energy is that of the atom alone: it is read without
    cell, forces and stress, and `models.potential.atomic_energies` takes it as E0. D and T are hydrogen.

    Args:
        path: The file.
        energy: Name of the energy in the comment line, in eV; None to read without.
        forces: Name of the column of forces, in eV/Å; None to read without.
        stress: Name of the stress in the comment line, in eV/Å³, tensile positive, or of the virial, in eV, whose name
            says so: -(∂E/∂ε); None to read without. Nine numbers, or six in Voigt's order.

    Returns:
        One `Structure` a frame, in float64, with the labels asked for.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is compressed, truncated or not extended XYZ, a position is not finite, or a frame lacks
            a label that was asked for; the message names the file, the frame and the labels that are there.
        ImportError: If ASE is not installed.

    Examples:
        >>> import tempfile
        >>> from ase.build import molecule
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     molecule("H2O").write(f"{folder}/water.xyz")
        ...     (water,) = read_extended_xyz(f"{folder}/water.xyz", energy=None, forces=None)
        >>> water.species.tolist()
        [8, 1, 1]
    """
    return list(ExtendedXYZ(path, Labeling(energy=energy, forces=forces, stress=stress, strict=True)))


def _no_frame(path, k, found):
    return ValueError(
        f"{path}: frame {k}: not readable as extended XYZ (XYZError: expected the number of atoms, got {found}); "
        "repair the frame, or if the file is truncated, copy it again"
    )

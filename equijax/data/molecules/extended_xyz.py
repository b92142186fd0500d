"""Structures with energies and forces from extended-XYZ files, by ASE."""

from pathlib import Path
from typing import Any

import numpy as np

from equijax.graphs import Structure

ISOLATED = "IsolatedAtom"  # a config_type by which files tell the energies of isolated atoms
COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"PK\x03\x04")  # gzip, bzip2, xz, zip


def read_extended_xyz(
    path: str | Path, *, energy: str | None = "energy", forces: str | None = "forces", stress: str | None = None
) -> list[Structure]:
    """Every frame of an extended-XYZ file, in its order.

    A frame with config_type=IsolatedAtom has one atom, and its energy is that of the atom alone: it is read without
    cell, forces and stress, and `models.potential.atomic_energies` takes it as E0.

    Args:
        path: The file.
        energy: Name of the energy in the comment line, in eV; None to read without.
        forces: Name of the column of forces, in eV/Å; None to read without.
        stress: Name of the stress in the comment line, in eV/Å³, tensile positive; None to read without.

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
    try:
        from ase.io import iread
    except ImportError as error:
        raise ImportError("extended XYZ is read by ASE: pip install 'equijax[molecules]'") from error

    path = Path(path)
    content = path.read_bytes()
    if not content.strip():
        raise ValueError(f"{path}: the file is empty; copy it again")
    if content.startswith(COMPRESSED):
        raise ValueError(f"{path}: the file is compressed; unpack it first")
    if not content.endswith(b"\n"):
        raise ValueError(
            f"{path}: the last line has no end, so the file looks truncated; copy it again, or end the line"
        )
    frames: list[Any] = []
    try:
        with path.open(encoding="utf-8") as file:  # of a name with "@", ASE would read a part as an index
            for atoms in iread(file, index=":", format="extxyz"):
                frames.append(atoms)
    except Exception as error:  # whatever ASE trips over
        where = f"frame {len(frames)}" if frames else "frame 0, or the line that counts the atoms of another one"
        raise ValueError(
            f"{path}: {where}: not readable as extended XYZ ({type(error).__name__}: {error}); repair the frame, or if "
            "the file is truncated, copy it again"
        ) from error

    structures = []
    for k, atoms in enumerate(frames):
        results = {} if atoms.calc is None else atoms.calc.results
        line, columns = atoms.info | results, atoms.arrays | results
        n, alone = len(atoms), line.get("config_type") == ISOLATED
        if alone and n != 1:
            raise ValueError(f"{path}, frame {k}: expected one atom where config_type={ISOLATED}, got {n}")
        if not np.isfinite(atoms.positions).all():
            atom = np.argwhere(~np.isfinite(atoms.positions))[0, 0]
            raise ValueError(f"{path}, frame {k}: position of atom {atom} is not finite; remove or repair the frame")
        structure = Structure(
            species=atoms.numbers.astype(np.int32),
            positions=atoms.positions,
            cell=atoms.cell.array if atoms.pbc.any() and not alone else None,
            pbc=(False, False, False) if alone else tuple(atoms.pbc.tolist()),
            energy=_label(f"{path}, frame {k}", "energy", energy, line, ()),
            forces=None if alone else _label(f"{path}, frame {k}", "forces", forces, columns, (n, 3)),
            stress=None if alone else _label(f"{path}, frame {k}", "stress", stress, line, (3, 3)),
        )
        structures.append(structure)
    return structures


def _label(where, kind, name, found, shape):
    if name is None:
        return None
    if name not in found:
        others = sorted(set(found) - {"numbers", "positions"})
        raise ValueError(f"{where}: no {kind} named {name!r}, only {others}; pass {kind}=NAME, or None to read without")
    value = np.asarray(found[name])
    if shape == (3, 3) and value.shape == (6,):  # Voigt order
        value = value[np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])]
    elif shape == (3, 3) and value.shape == (9,):
        value = value.reshape(shape)
    if value.shape != shape or value.dtype.kind not in "if" or not np.isfinite(value).all():
        raise ValueError(
            f"{where}: {kind} {name!r} expected as finite numbers of shape {shape}, got {value.dtype} of shape "
            f"{value.shape}; remove or repair the frame"
        )
    return float(value) if shape == () else value.astype(np.float64)

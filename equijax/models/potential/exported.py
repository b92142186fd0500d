"""Runs a file that `potential.export` wrote, with jax (and flatbuffers, as `jax.export` has it) and NumPy alone.

This module is a part of each such file:

unzip -p water.potential exported.py > exported.py
python -c "import exported; run = exported.load('water.potential'); print(run([8, 1, 1], positions)['energy'])"
"""

import io
import itertools
import json
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

FORMAT = "interatomic potential as jax.export programs"
VERSION = 1


class Exported:
    """Energy in eV, forces in eV/Å and stress in eV/Å³ of one structure, by programs for a ladder of sizes.

    `header` says the units, the cut-off, the species that are known, and the sizes.
    """

    def __init__(self, path: str | Path):
        with zipfile.ZipFile(path) as file:
            self.header: dict[str, Any] = json.loads(file.read("header.json"))
            if self.header.get("format") != FORMAT or self.header.get("version") != VERSION:
                found = f"{self.header.get('format')!r} of version {self.header.get('version')}"
                raise ValueError(f"{path}: expected {FORMAT!r} of version {VERSION}, got {found}; export it again")
            arrays = np.load(io.BytesIO(file.read("params.npz")))
            self.params = [arrays[f"arr_{k}"] for k in range(len(arrays.files))]
            self.programs = [bytearray(file.read(size["program"])) for size in self.header["sizes"]]
        self.compiled: dict[int, Any] = {}

    def __call__(self, species, positions, cell=None, pbc=False, edges=None) -> dict[str, Any]:
        """Energy, forces (n, 3) and stress (3, 3).

        Args:
            species: Atomic numbers (n,).
            positions: (n, 3) in Å.
            cell: One cell vector a row in Å, where an axis is periodic; along open axes it may be zero.
            pbc: Whether each axis is periodic.
            edges: Senders (e,), receivers (e,) sorted, and vectors (e, 3) to the sender from the receiver, of all pairs
                nearer than `header["cutoff"]`, each in both directions; `neighbors` unless given, which is slow.
        """
        species, positions = np.asarray(species), np.asarray(positions, np.float64)
        pbc = np.broadcast_to(np.asarray(pbc, bool), (3,))
        known = dict(zip(self.header["species"], self.header["atomic_energies"], strict=True))
        if unknown := sorted(set(species.tolist()) - set(known)):
            raise ValueError(f"species: atomic numbers {unknown} are unknown to a potential of {sorted(known)}")
        cell = completed(cell, pbc)
        senders, receivers, vectors = edges or neighbors(positions, cell, pbc, self.header["cutoff"])
        n, e = len(species), len(senders)
        fitting = [k for k, size in enumerate(self.header["sizes"]) if n < size["nodes"] and e <= size["edges"]]
        if not fitting:
            sizes = ", ".join(f"{size['nodes'] - 1} and {size['edges']}" for size in self.header["sizes"])
            raise ValueError(
                f"positions: {n} atoms and {e} edges, more than a program of this file has room for (atoms and edges: "
                f"{sizes}); export it with larger sizes"
            )
        size, precision = self.header["sizes"][fitting[0]], self.header["precision"]

        def padded(a, length, fill, dtype):
            a = np.asarray(a, dtype)
            return np.concatenate([a, np.broadcast_to(np.asarray(fill, dtype), (length - len(a), *a.shape[1:]))])

        last = size["nodes"] - 1
        arguments = (
            padded(species, size["nodes"], 0, np.int32),
            padded(senders, size["edges"], last, np.int32),
            padded(receivers, size["edges"], last, np.int32),
            padded(vectors, size["edges"], (0.6, 0.0, 0.8), precision),
            cell.astype(precision),
            pbc,
            np.int32(n),
            np.int32(e),
        )
        with jax.enable_x64(precision == "float64"):
            if fitting[0] not in self.compiled:
                self.compiled[fitting[0]] = jax.jit(export.deserialize(self.programs[fitting[0]]).call)
            found = jax.tree.map(np.asarray, self.compiled[fitting[0]](self.params, *arguments))
        energy = float(found["energy"]) + sum(known[z] for z in species.tolist())
        return {"energy": energy, "forces": found["forces"][:n], "stress": found["stress"]}


def load(path: str | Path) -> Exported:
    """The function of a file."""
    return Exported(path)


def completed(cell, pbc):
    """The cell with unit vectors at right angles to the others in the place of rows that are zero, along open axes."""
    cell = np.zeros((3, 3)) if cell is None else np.array(cell, np.float64)
    missing = ~cell.any(axis=1)
    if (missing & pbc).any():
        raise ValueError(f"cell: expected a vector along the periodic axes of pbc {pbc.tolist()}, got {cell.tolist()}")
    if missing.any():
        cell[missing] = np.linalg.svd(cell)[2][3 - missing.sum() :]
    if not abs(np.linalg.det(cell)) > 1e-6 * np.prod(np.linalg.norm(cell, axis=1)):
        raise ValueError(f"cell: expected three independent vectors, got {cell.tolist()}; pbc=False if it is open")
    return cell


def neighbors(positions, cell, pbc, cutoff):
    """Senders, receivers and vectors of all pairs nearer than the cut-off, images included; for some hundred atoms."""
    inverse = np.where(pbc, np.linalg.inv(cell), 0.0)
    home = np.floor(positions @ inverse).astype(int)
    reach = np.ceil(cutoff * np.linalg.norm(inverse, axis=0)).astype(int)
    found = []
    for step in itertools.product(*(range(-m, m + 1) for m in reach)):
        shifts = np.array(step) - home[None, :] + home[:, None]  # (receiver, sender, 3)
        vectors = positions[None, :] - positions[:, None] + shifts @ cell
        near = (np.linalg.norm(vectors, axis=-1) < cutoff) & ~(np.eye(len(positions), dtype=bool) & (not any(step)))
        receivers, senders = np.nonzero(near)
        found.append(np.column_stack([receivers, senders, shifts[receivers, senders]]))
    rows = np.concatenate(found)
    receivers, senders, *shift = rows[np.lexsort(rows.T[::-1])].T
    shifts = np.stack(shift, axis=-1)
    return senders, receivers, positions[senders] - positions[receivers] + shifts @ cell

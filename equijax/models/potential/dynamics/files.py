"""Simulations in files of ASE, written while they run."""

import io
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from equijax import graphs
from equijax.models.potential.dynamics.states import Frames, State, begin


class TrajectoryFile:
    """A file of ASE that `dynamics.run` writes its frames to while it runs: `write=TrajectoryFile(path, structure)`.

    `.traj` keeps all digits; `.xyz` and `.extxyz` eight behind the point. Each frame has energy, forces, stress if the
    structure is periodic, momenta, and the number of the step as `atoms.info["step"]`. Frames are appended all or none,
    so that the file can be read at any time, and after a kill; `last_state` goes on from its end.

    Args:
        path: A file that is not there yet, or one to go on with.
        structure: Its species and periodic axes.
        append: Go on with a file that is there; what was left of a frame that a kill cut off is removed.

    Raises:
        ValueError: If the file is there already, and is not to be gone on with, or has frames of another number of
            atoms, or its ending is another one.
        OSError: When a write fails, as on a full disk. What was written before stays.

    Examples:
        >>> from equijax import graphs
        >>> water = graphs.Structure([8, 1, 1], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
        >>> write = TrajectoryFile("water.traj", water)  # doctest: +SKIP
        >>> run(model, params, water, 1000, write=write)  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, structure: graphs.Structure, *, append: bool = False):
        self.path, self.structure = Path(path), graphs.checked(structure)
        cell = np.zeros((3, 3)) if structure.cell is None else np.asarray(structure.cell)
        self._vectors = cell.any(axis=1)  # which axes have a cell vector
        if self.path.suffix not in (".traj", ".xyz", ".extxyz"):
            raise ValueError(f"path: expected a file that ends in .traj, .xyz or .extxyz, got {self.path}")
        if self.path.exists():
            if not append:
                raise ValueError(f"path: {self.path} is there already; pass append=True to go on with it, or remove it")
            if self.path.suffix != ".traj":
                self._cut()

    def __call__(self, frames: Frames) -> None:
        """Append frames."""
        ase = _ase()
        atoms = [self._atoms(frames, k) for k in range(len(frames.steps))]
        before = self.path.stat().st_size if self.path.exists() else 0
        try:
            if self.path.suffix == ".traj":
                with ase.io.Trajectory(self.path, "a") as file:
                    for one in atoms:
                        file.write(one)
            else:
                text = io.StringIO()
                ase.io.write(text, atoms, format="extxyz")
                with self.path.open("ab", buffering=0) as raw:
                    raw.write(text.getvalue().encode())
                    os.fsync(raw.fileno())
                    if raw.tell() != before + len(text.getvalue().encode()):
                        raise OSError("it was cut short")
        except OSError as error:
            if self.path.suffix != ".traj":
                os.truncate(self.path, before)
            raise OSError(
                f"{self.path}: step {frames.steps[0]} and later ones could not be written ({error}); those before are "
                "in the file: make room, and go on with last_state and append=True"
            ) from error

    def _atoms(self, frames, k):
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.stress import full_3x3_to_voigt_6_stress

        ase = _ase()
        cell, info = frames.cells[k] * self._vectors[:, None], {"step": int(frames.steps[k])}
        atoms = ase.Atoms(self.structure.species, frames.positions[k], cell=cell, pbc=self.structure.pbc, info=info)
        atoms.set_velocities(frames.velocities[k] / ase.units.fs)
        stress = {"stress": full_3x3_to_voigt_6_stress(frames.stresses[k])} if any(self.structure.pbc) else {}
        atoms.calc = SinglePointCalculator(atoms, energy=float(frames.energies[k]), forces=frames.forces[k], **stress)
        return atoms

    def _cut(self):
        """Remove what comes after the last whole frame of text."""
        lines, whole, end = len(self.structure.species) + 2, 0, 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                end += len(line)
                begins = number % lines == 1 and line.split() != [str(lines - 2).encode()]
                if line.endswith(b"\n") and (begins or (number % lines == 2 and b"step=" not in line)):
                    raise ValueError(
                        f"path: expected frames of a simulation of {lines - 2} atoms in {self.path}, got "
                        f"{line[:40]!r} in line {number}; name another file"
                    )
                if number % lines == 0 and line.endswith(b"\n"):
                    whole = end
        os.truncate(self.path, whole)


def last_state(path: str | Path) -> State:
    """The state of the last frame of a `TrajectoryFile`, for `dynamics.run(..., state=...)` to go on from.

    Raises:
        ValueError: If the file holds no frame, or none that has momenta and a step.

    Examples:
        >>> state = last_state("water.traj")  # doctest: +SKIP
        >>> run(model, params, water, 1000, state=state)  # doctest: +SKIP
    """
    ase = _ase()
    found = list(ase.io.iread(path, index="-1:"))
    if not found:
        raise ValueError(f"path: {path} holds no frame; begin anew without a state")
    atoms = found[0]
    if "step" not in atoms.info or "momenta" not in atoms.arrays:
        raise ValueError(f"path: expected a file of TrajectoryFile, got {path}, without steps or momenta")
    structure = graphs.Structure(atoms.numbers, atoms.positions, np.asarray(atoms.cell), tuple(atoms.pbc.tolist()))
    state = begin(graphs.checked(structure), atoms.get_velocities() * ase.units.fs)
    return state._replace(step=jnp.asarray(atoms.info["step"], jnp.int32))


def _ase():
    try:
        import ase.io
        import ase.units
    except ImportError as error:
        raise ImportError("files of simulations are those of ASE: pip install 'equijax[molecules]'") from error
    return ase

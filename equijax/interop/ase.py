"""A trained potential as a calculator of ASE, and simulations in files of ASE."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import ase.io
import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import Trajectory
from ase.phonons import Phonons
from ase.stress import full_3x3_to_voigt_6_stress
from jaxtyping import PyTree

from equijax import graphs
from equijax.models import potential
from equijax.models.potential import committee, derivatives, dynamics

_predict = jax.jit(potential.predict, static_argnums=0)  # one program for all calculators of a model
_predict_all = jax.jit(committee.predict, static_argnums=0)


class PotentialCalculator(Calculator):
    """Energy, forces and stress of a potential for ASE, in eV, eV/Å and eV/Å³ (tensile positive, Voigt order).

    Neighbor lists are made anew at every step. Atoms and edges are padded to sizes that only grow, and that in large
    steps (`graphs.bucket`), so that molecular dynamics compiles a few times at most, and a second calculator of an
    equal model not at all. Species, cell and number of atoms may change between calls. It can be pickled.

    As of ASE's own calculators, there is a stress where the cell has three vectors, periodic or not: it is that per
    volume of the cell. Otherwise it is asked for in vain (PropertyNotImplementedError).

    Args:
        model: A `models.Potential`.
        params: Its parameters.

    Examples:
        >>> model, params = potential.load("runs/acetylacetone-gfn2-default/checkpoint")  # doctest: +SKIP
        >>> atoms.calc = PotentialCalculator(model, params)  # doctest: +SKIP
        >>> forces = atoms.get_forces()  # doctest: +SKIP
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "energies", "forces", "stress"]

    def __init__(self, model: potential.EnergyModel, params: PyTree, **kwargs):
        super().__init__(**kwargs)
        self.model, self.params = model, params
        self._nodes = self._edges = 0

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Called by ASE.

        Raises:
            ValueError: If there are no atoms, two coincide, or the model does not know a species.
            PropertyNotImplementedError: If a stress is asked for and the cell has not three vectors.
        """
        super().calculate(atoms, properties, system_changes)
        numbers = self.atoms.get_atomic_numbers()
        # in float64, so that what is far from the origin keeps its digits
        positions = self.atoms.positions - self.atoms.positions[:1]
        structure = graphs.Structure(numbers, positions, np.asarray(self.atoms.cell), tuple(self.atoms.pbc.tolist()))
        single = graphs.from_structure(structure, self.model.cutoff)
        baseline = potential.baseline(self.model, numbers)
        self._nodes = max(self._nodes, graphs.bucket(len(numbers) + 1))
        self._edges = max(self._edges, graphs.bucket(len(single.senders), 64))
        graph = graphs.concatenate([single], nodes=self._nodes, edges=self._edges)
        # the first graph and the first n nodes are the structure, what comes after them is padding
        found, self.results = self._found(graph, len(numbers))
        n, energy = len(numbers), float(found.energies[0]) + baseline.sum()
        self.results |= {
            "energy": energy,
            "free_energy": energy,
            "energies": found.node_energies[:n] + baseline,
            "forces": found.forces[:n],
        }
        if self.atoms.cell.rank == 3:
            stress = found.stresses[0]
            if not any(self.atoms.pbc):  # a molecule in a box: ∂E/∂ε = -Σ_i F_i x_iᵀ
                stress = -self.results["forces"].T @ positions / self.atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)
        elif "stress" in properties:
            raise PropertyNotImplementedError(
                f"stress: expected a cell of three vectors, got one of {self.atoms.cell.rank}; there is no volume"
            )

    def _found(self, graph, n):
        """The prediction in float64, and results that only this kind of calculator has, of the first n nodes."""
        return _double(_predict(self.model, self.params, graph)), {}


class CommitteeCalculator(PotentialCalculator):
    """The mean of a committee as a calculator of ASE, with `energy_std` and `forces_std` among its results.

    They are standard deviations over the members, times `calibration`: of the energy in eV, and of each component of
    the forces, (n, 3), in eV/Å.

    Args:
        model: The `models.Potential` of all members.
        params: Of `potential.committee.initialize` or `stack`.
        calibration: What `potential.committee.calibration` finds.

    Examples:
        >>> atoms.calc = CommitteeCalculator(model, committee.stack([first, second]))  # doctest: +SKIP
        >>> atoms.get_forces(), atoms.calc.results["forces_std"]  # doctest: +SKIP
    """

    implemented_properties: ClassVar[list[str]] = [
        *PotentialCalculator.implemented_properties,
        "energy_std",
        "forces_std",
    ]

    def __init__(self, model: potential.EnergyModel, params: PyTree, calibration: float = 1.0, **kwargs):
        super().__init__(model, params, **kwargs)
        self.calibration = calibration

    def _found(self, graph, n):
        found = _double(_predict_all(self.model, self.params, graph))
        return found.mean, {
            "energy_std": self.calibration * float(found.spread.energies[0]),
            "forces_std": self.calibration * found.spread.forces[:n],
        }


def _double(found):
    return jax.tree.map(lambda a: np.asarray(a, np.float64), found)


def phonons(
    model: potential.EnergyModel,
    params: PyTree,
    atoms: Atoms,
    supercell: tuple[int, int, int] = (3, 3, 3),
    block: int = 16,
) -> Phonons:
    """Phonons of a crystal with force constants by second derivatives, ready for `get_band_structure` and `get_dos`.

    Args:
        model: A `models.Potential`.
        params: Its parameters.
        atoms: A relaxed unit cell.
        supercell: Cells along each axis; force constants reach half as far.
        block: As for `potential.derivatives.hessian`.

    Raises:
        ValueError: If the crystal is not periodic along three axes, or those of `potential.derivatives.hessian`.

    Examples:
        >>> found = phonons(model, params, ase.build.bulk("Cu"))  # doctest: +SKIP
        >>> found.get_band_structure(found.atoms.cell.bandpath("GXWKGL")).plot()  # doctest: +SKIP
    """
    if not atoms.pbc.all():
        raise ValueError(f"atoms: expected three periodic axes, got pbc {atoms.pbc.tolist()}")
    found = Phonons(atoms, supercell=supercell)
    large, n, cells = atoms * supercell, len(atoms), int(np.prod(supercell))
    structure = graphs.Structure(large.numbers, large.positions, np.asarray(large.cell), (True, True, True))
    rows = derivatives.hessian(model, params, structure, atoms=np.arange(n), block=block)
    # rows of the first cell (3n, cells, 3n), to cells first
    found.C_N = np.swapaxes(np.asarray(rows, np.float64).reshape(3 * n, cells, 3 * n), 0, 1).copy()
    found.m_inv_x = np.repeat(atoms.get_masses() ** -0.5, 3)
    found.D_N = found.C_N * np.outer(found.m_inv_x, found.m_inv_x)
    return found


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
        ValueError: If the file is there already, and is not to be gone on with, or its ending is another one.
        OSError: When a write fails, as on a full disk. What was written before stays.

    Examples:
        >>> from equijax import graphs
        >>> water = graphs.Structure([8, 1, 1], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
        >>> write = TrajectoryFile("water.traj", water)  # doctest: +SKIP
        >>> potential.dynamics.run(model, params, water, 1000, write=write)  # doctest: +SKIP
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

    def __call__(self, frames: dynamics.Frames) -> None:
        """Append frames."""
        atoms = [self._atoms(frames, k) for k in range(len(frames.steps))]
        before = self.path.stat().st_size if self.path.exists() else 0
        try:
            if self.path.suffix == ".traj":
                with Trajectory(self.path, "a") as file:
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
        cell, info = frames.cells[k] * self._vectors[:, None], {"step": int(frames.steps[k])}
        atoms = Atoms(self.structure.species, frames.positions[k], cell=cell, pbc=self.structure.pbc, info=info)
        atoms.set_velocities(frames.velocities[k] / units.fs)
        stress = {"stress": full_3x3_to_voigt_6_stress(frames.stresses[k])} if any(self.structure.pbc) else {}
        atoms.calc = SinglePointCalculator(atoms, energy=float(frames.energies[k]), forces=frames.forces[k], **stress)
        return atoms

    def _cut(self):
        """Remove what comes after the last whole frame of text."""
        lines, whole, end = len(self.structure.species) + 2, 0, 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                end += len(line)
                if number % lines == 0 and line.endswith(b"\n"):
                    whole = end
        os.truncate(self.path, whole)


def last_state(path: str | Path) -> dynamics.State:
    """The state of the last frame of a `TrajectoryFile`, for `dynamics.run(..., state=...)` to go on from.

    Raises:
        ValueError: If the file holds no frame, or none that has momenta and a step.

    Examples:
        >>> state = last_state("water.traj")  # doctest: +SKIP
        >>> potential.dynamics.run(model, params, water, 1000, state=state)  # doctest: +SKIP
    """
    found = list(ase.io.iread(path, index="-1:"))
    if not found:
        raise ValueError(f"path: {path} holds no frame; begin anew without a state")
    atoms = found[0]
    if "step" not in atoms.info or "momenta" not in atoms.arrays:
        raise ValueError(f"path: expected a file of TrajectoryFile, got {path}, without steps or momenta")
    structure = graphs.Structure(atoms.numbers, atoms.positions, np.asarray(atoms.cell), tuple(atoms.pbc.tolist()))
    state = dynamics.begin(graphs.checked(structure), atoms.get_velocities() * units.fs)
    return state._replace(step=jnp.asarray(atoms.info["step"], jnp.int32))

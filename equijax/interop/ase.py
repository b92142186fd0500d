"""A trained potential as a calculator of ASE, and phonons."""

from collections.abc import Sequence
from typing import ClassVar

import jax
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.phonons import Phonons
from ase.stress import full_3x3_to_voigt_6_stress
from jaxtyping import PyTree

from equijax import graphs
from equijax.models import potential
from equijax.models.potential import committee, derivatives

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

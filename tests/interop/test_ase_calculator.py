"""The calculator of ASE: units, buckets, changes of cell and species, errors."""

import pickle

import ase
import ase.build
import jax
import numpy as np
import pytest
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.fd import calculate_numerical_forces

from equijax.interop.ase import PotentialCalculator, _predict
from equijax.models import potential
from equijax.models.potential import Potential

MODEL = Potential(
    species=(1, 6, 8), atomic_energies=(-13.6, -1027.0, -2041.0), cutoff=2.5, channels=4, lmax=1, hidden_lmax=1,
    order=2, probes=2, radial_features=6, mean_neighbors=4.0,
)  # fmt: skip
PARAMS = potential.initialize(MODEL, jax.random.key(0))


def test_energy_forces_and_stress():
    calculator = PotentialCalculator(MODEL, PARAMS)
    atoms = ase.build.molecule("CH3OH")
    atoms.calc = calculator
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    assert energy == pytest.approx(atoms.get_potential_energies().sum())
    assert energy == pytest.approx(potential.baseline(MODEL, atoms.numbers).sum(), abs=100)
    want = calculate_numerical_forces(atoms, eps=1e-2, iatoms=[1])  # of float32 energies
    np.testing.assert_allclose(forces[1], want[0], atol=2e-2 * np.abs(forces).max())


@pytest.mark.parametrize("pbc", [(True, True, True), (True, True, False), (False, False, False)], ids=str)
def test_stress(pbc):
    """Of a crystal smaller than the cut-off, a slab and a molecule in a box: per volume of the cell, as ASE has it."""
    atoms = ase.build.bulk("C", "diamond", 3.57)
    atoms.rattle(0.1, seed=0)
    atoms.pbc = pbc
    atoms.calc = PotentialCalculator(MODEL, PARAMS)
    strained = []
    for step in (1e-2, -1e-2):
        other = atoms.copy()
        other.set_cell(atoms.cell * (1 + step), scale_atoms=True)
        other.calc = PotentialCalculator(MODEL, PARAMS)
        strained.append(other.get_potential_energy())
    want = (strained[0] - strained[1]) / 2e-2 / atoms.get_volume()
    assert np.trace(atoms.get_stress(voigt=False)) == pytest.approx(want, rel=2e-2, abs=1e-4)


@pytest.mark.parametrize("atoms", [ase.build.molecule("CH3OH"), ase.build.graphene("C2")], ids=str)
def test_no_stress_without_a_volume(atoms):
    atoms.calc = PotentialCalculator(MODEL, PARAMS)
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_stress()


def test_one_program_for_all_calculators_and_steps():
    """A calculator that came out of a pickle, and one of an equal model, too."""
    atoms = ase.build.molecule("CH3OH")
    first = atoms.calc = PotentialCalculator(MODEL, PARAMS)
    energy = atoms.get_potential_energy()
    programs = _predict._cache_size()
    for calculator in (pickle.loads(pickle.dumps(first)), PotentialCalculator(MODEL.clone(), PARAMS)):
        atoms.calc = calculator
        calculator.reset()
        assert atoms.get_potential_energy() == energy
    for seed in range(4):
        moved = atoms.copy()
        moved.rattle(0.02, seed=seed)
        moved.calc = first
        moved.get_forces()
    assert _predict._cache_size() == programs


def test_far_from_the_origin():
    atoms = ase.build.molecule("CH3OH")
    atoms.calc = PotentialCalculator(MODEL, PARAMS)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.positions += [1e6, -1e6, 1e5]
    assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-5)
    np.testing.assert_allclose(atoms.get_forces(), forces, atol=1e-5 * np.abs(forces).max())


def test_errors():
    atoms = ase.Atoms("Au", [[0, 0, 0]], calculator=PotentialCalculator(MODEL, PARAMS))
    with pytest.raises(ValueError, match=r"\[79\] are unknown"):
        atoms.get_potential_energy()
    atoms = ase.Atoms("H2", np.zeros((2, 3)), calculator=PotentialCalculator(MODEL, PARAMS))
    with pytest.raises(ValueError, match="coincide"):
        atoms.get_potential_energy()
    atoms = ase.Atoms(calculator=PotentialCalculator(MODEL, PARAMS))
    with pytest.raises(ValueError, match="empty"):
        atoms.get_potential_energy()

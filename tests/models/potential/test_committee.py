"""Committees: the members one by one, their calculator, calibration."""

import ase.build
import jax
import numpy as np
import pytest
from embedded_atoms import EmbeddedAtoms

from equijax import graphs
from equijax.interop.ase import CommitteeCalculator, PotentialCalculator
from equijax.models.potential import committee, dynamics, initialize

MODEL = EmbeddedAtoms(species=(1, 8), atomic_energies=(-13.6, -2041.0))


def test_mean_and_spread_are_those_of_the_members():
    params = committee.initialize(MODEL, jax.random.key(0), 3)
    atoms, found = ase.build.molecule("H2O"), []
    for k in range(3):
        atoms.calc = PotentialCalculator(MODEL, jax.tree.map(lambda a, k=k: a[k], params))
        found.append((atoms.get_potential_energy(), atoms.get_forces()))
    energies, forces = map(np.array, zip(*found, strict=True))
    assert energies.std() > 1e-3
    atoms.calc = CommitteeCalculator(MODEL, params, calibration=2.0)
    assert atoms.get_potential_energy() == pytest.approx(energies.mean(), abs=1e-4)
    np.testing.assert_allclose(atoms.get_forces(), forces.mean(axis=0), atol=1e-5)
    assert atoms.calc.get_property("energy_std") == pytest.approx(2 * energies.std(ddof=1), rel=1e-3)
    np.testing.assert_allclose(atoms.calc.results["forces_std"], 2 * forces.std(axis=0, ddof=1), atol=1e-5)

    again = committee.stack([jax.tree.map(lambda a, k=k: a[k], params) for k in range(3)])
    jax.tree.map(np.testing.assert_array_equal, again, params)
    water = graphs.Structure(atoms.numbers, atoms.positions)
    moved = dynamics.run(committee.mean(MODEL), params, water, 1, every=1, frames=1, cutoff=3.0)
    moved_forces = moved.state.forces  # half a femtosecond on
    np.testing.assert_allclose(moved_forces, forces.mean(axis=0), atol=0.05 * np.abs(forces).max())


def test_calibration_finds_how_much_too_sure_a_committee_is():
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.1, 3, 20000)
    assert committee.calibration(2.5 * spread * rng.normal(size=20000), spread) == pytest.approx(2.5, rel=0.02)
    assert committee.calibration(np.array([1.0, 1.0]), np.array([1.0, 0.5])) == pytest.approx((5 / 2) ** 0.5)


def test_no_committee():
    with pytest.raises(ValueError, match="members: expected an integer of at least 2, got 1"):
        committee.initialize(MODEL, jax.random.key(0), 1)
    one = initialize(MODEL, jax.random.key(0))
    with pytest.raises(ValueError, match=r"members: expected at least two, got 1"):
        committee.stack([one])
    with pytest.raises(ValueError, match="members: expected parameters of one model"):
        committee.stack(
            [one, initialize(MODEL.clone(species=(1, 8, 9), atomic_energies=(0.0, 0.0, 0.0)), jax.random.key(0))]
        )
    graph = graphs.from_structure(graphs.Structure([1], np.zeros((1, 3))), 3.0)
    with pytest.raises(ValueError, match="params: expected those of two members or more"):
        committee.predict(MODEL, jax.tree.map(lambda a: a[None], one), graph)
    with pytest.raises(ValueError, match=r"spread: expected shape \(2,\), one for each error, got \(1,\)"):
        committee.calibration(np.ones(2), np.ones(1))
    with pytest.raises(ValueError, match="spread: expected positive numbers"):
        committee.calibration(np.ones(2), np.zeros(2))

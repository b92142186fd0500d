"""Second derivatives against differences: Hessians, phonons of ASE, elastic constants with atoms that move along."""

import ase
import jax
import numpy as np
import pytest
from ase.phonons import Phonons
from embedded_atoms import EmbeddedAtoms

from equijax import graphs
from equijax.graphs import Structure
from equijax.interop.ase import PotentialCalculator, phonons
from equijax.models import potential
from equijax.models.potential import derivatives

MODEL = EmbeddedAtoms(species=(1, 8), atomic_energies=(-13.6, -2041.0))
CELL = np.array([[2.6, 0, 0], [0.2, 2.7, 0], [0.1, 0.3, 2.5]])
CRYSTAL = Structure([8, 1], np.array([[0, 0, 0], [1.4, 1.45, 1.3]]), CELL, (True,) * 3)
predict = jax.jit(potential.predict, static_argnums=0)


@pytest.fixture(scope="module")
def params():
    found = potential.initialize(MODEL, jax.random.key(2))
    return jax.tree.map(lambda a: np.asarray(a, np.float64), found)


def found_at(params, structure):
    graph = graphs.from_structure(structure, MODEL.cutoff)
    size = {"nodes": 3, "edges": 128}
    return predict(MODEL, params, graphs.concatenate([graph], **size))


@pytest.mark.usefixtures("x64")
def test_hessian_and_its_products_are_differences_of_forces(params):
    H, step = derivatives.hessian(MODEL, params, CRYSTAL, block=4), 1e-5
    direction = np.random.default_rng(0).normal(size=(2, 3))
    moved = [CRYSTAL._replace(positions=CRYSTAL.positions + s * direction) for s in (step, -step)]
    forces = [np.asarray(found_at(params, s).forces[:2]) for s in moved]
    want = -(forces[0] - forces[1]) / (2 * step)
    assert np.abs(want).max() > 0.01
    np.testing.assert_allclose(np.einsum("iajb,jb->ia", H, direction), want, atol=1e-8)
    np.testing.assert_allclose(derivatives.hessian_product(MODEL, params, CRYSTAL, direction), want, atol=1e-8)
    np.testing.assert_allclose(derivatives.hessian(MODEL, params, CRYSTAL, atoms=[1])[0], H[1], atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_phonons_are_those_of_displacements(params, tmp_path):
    """Of the same class of ASE, with its own displacements; bands come out of both."""
    atoms = ase.Atoms(CRYSTAL.species, CRYSTAL.positions, cell=CELL, pbc=True)
    exact = phonons(MODEL, params, atoms, (2, 1, 1))
    slow = Phonons(atoms, PotentialCalculator(MODEL, params), supercell=(2, 1, 1), delta=1e-4, name=tmp_path / "moves")
    slow.run()
    slow.read(acoustic=False, symmetrize=0)
    np.testing.assert_allclose(exact.C_N, slow.C_N, atol=1e-6)
    q = np.array([[0, 0, 0], [0.5, 0, 0], [0.2, 0.3, 0.1]])
    np.testing.assert_allclose(exact.band_structure(q, verbose=False), slow.band_structure(q, verbose=False), atol=1e-4)
    with pytest.raises(ValueError, match=r"atoms: expected three periodic axes, got pbc \[True, True, False\]"):
        phonons(MODEL, params, ase.Atoms("H", cell=np.eye(3), pbc=(True, True, False)))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("relaxed", [False, True])
def test_elastic_constants_are_differences_of_stresses(params, relaxed):
    """At atoms that rest; after each strain they are moved to rest again if they may."""

    def at_rest(structure):
        for _ in range(6):
            H = np.asarray(derivatives.hessian(MODEL, params, structure)).reshape(6, 6)
            forces = np.asarray(found_at(params, structure).forces[:2]).ravel()
            structure = structure._replace(
                positions=structure.positions + (np.linalg.pinv(H, 1e-8) @ forces).reshape(2, 3)
            )
        return structure

    # zinc blende, at rest by its symmetry, where a shear moves the atoms against each other
    lattice = 2.2 * (np.ones((3, 3)) - np.eye(3))
    crystal, step = CRYSTAL._replace(cell=lattice, positions=np.array([[0, 0, 0], [1.1, 1.1, 1.1]])), 1e-4
    assert np.abs(found_at(params, crystal).forces).max() < 1e-9
    C = derivatives.elastic_constants(MODEL, params, crystal, relaxed=relaxed)
    volume = abs(np.linalg.det(lattice))
    for k, strain in ((0, np.diag([1.0, 0, 0])), (3, np.array([[0, 0, 0], [0, 0, 0.5], [0, 0.5, 0]]))):
        slopes = []
        for s in (step, -step):
            A = np.eye(3) + s * strain
            one = crystal._replace(positions=crystal.positions @ A.T, cell=crystal.cell @ A.T)
            one = at_rest(one) if relaxed else one
            # ∂E/∂ε at the strained cell, of strains of the first cell: V' σ A^-T, as a symmetric matrix
            tension = np.asarray(found_at(params, one).stresses[0]) * abs(np.linalg.det(one.cell)) @ np.linalg.inv(A).T
            tension = (tension + tension.T) / 2
            slopes.append(np.array([tension[i, j] for i, j in derivatives.VOIGT]) / volume)
        np.testing.assert_allclose(C[k], (slopes[0] - slopes[1]) / (2 * step), atol=1e-5 * np.abs(C).max())
    other = derivatives.elastic_constants(MODEL, params, crystal, relaxed=not relaxed)
    assert np.abs(C - other).max() > 1e-3 * np.abs(C).max()


def test_bad_input_is_named(params):
    molecule = Structure([8, 1], [[0, 0, 0], [0, 0, 1.0]])
    with pytest.raises(ValueError, match=r"structure: expected three periodic axes, got pbc \[False"):
        derivatives.elastic_constants(MODEL, params, molecule)
    with pytest.raises(ValueError, match=r"atoms: expected indices from 0 to 1, got \[2\]"):
        derivatives.hessian(MODEL, params, molecule, atoms=[2])
    with pytest.raises(ValueError, match=r"direction: expected shape \(2, 3\), got \(3, 3\)"):
        derivatives.hessian_product(MODEL, params, molecule, np.eye(3))
    with pytest.raises(ValueError, match=r"\[6\] are unknown"):
        derivatives.hessian(MODEL, params, molecule._replace(species=[6, 1]))

"""Bases of equivariant linear maps: dimensions from theory, equivariance, projectors, uniqueness."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, reps
from equijax.groups import SL, SO, GLPlus, Lorentz, O
from equijax.reps import Dual, Permutation, Scalar, Sum, Tensor, TensorProduct, Vector, intertwiners
from equijax.reps.solver import canonical, maps_between

V, S, P = Vector(), Scalar(), Permutation()
VV, PP, MIXED = Tensor(2), TensorProduct(P, P), TensorProduct(V, Dual(V))
ATOMS = groups.Product(O(3), groups.Permutation(4))
C5, S4, S5 = groups.Cyclic(5), groups.Permutation(4), groups.Permutation(5)
KNOWN = [  # group, source, target, number of maps
    (SO(3), V, V, 1),
    (SO(2), V, V, 2),
    (O(2), V, V, 1),
    (S4, P, P, 2),
    (S5, P, P, 2),
    (C5, reps.Regular(C5), reps.Regular(C5), 5),
    (groups.Dihedral(4), V, V, 1),
    (Lorentz(), V, V, 1),
    (S4, P, PP, 5),
    (S5, P, PP, 5),
    (SO(3), V, VV, 1),
    (O(3), V, VV, 0),
    (S4, PP, PP, 15),
    (S5, PP, PP, 15),
    (SO(3), VV, VV, 3),
    (O(3), VV, VV, 3),
    (SO(2), VV, VV, 6),
    (O(2), VV, VV, 3),
    (GLPlus(3), VV, VV, 2),
    (Lorentz(), VV, VV, 4),
    (GLPlus(2), MIXED, MIXED, 2),
    (GLPlus(3), MIXED, MIXED, 2),
    (SL(2), VV, S, 1),
    (GLPlus(2), VV, S, 0),
    (Lorentz(), VV, S, 1),
    (SL(3), Tensor(3), S, 1),
    (O(3), V, Tensor(2, pseudo=True), 1),
    (groups.E(3), V, V, 1),
    (groups.Similarity(3), V, V, 1),
    (O(3), reps.Irreps("2x0e+1o"), reps.Irreps("0e+3x1o+2e"), 5),
    (SO(3), reps.Spherical(2), reps.Spherical(3), 3),
    (groups.Shift((3, 2)), reps.Regular(groups.Shift((3, 2))), reps.Regular(groups.Shift((3, 2))), 6),
    (groups.Icosahedral(), Tensor(2), Tensor(2), 3),
    (groups.Octahedral(), Tensor(2), Tensor(2), 4),
    (ATOMS, reps.Product(V, P), reps.Product(V, P), 2),
    (ATOMS, reps.Product(V, None), reps.Product(V, P), 1),
    (ATOMS, Sum(reps.Product(VV, P), reps.Product(None, P)), reps.Product(VV, PP), 20),  # 3 · 5 + 1 · 5
    (ATOMS, TensorProduct(reps.Product(V, P), reps.Product(V, P)), S, 2),  # 1 · 2, by the generators of all factors
    (groups.Product(SO(2), SO(3)), S, TensorProduct(*[reps.Product(V, V)] * 2), 2),  # 2 · 1
]
INVARIANTS = [  # group, number of invariant tensors of rank 0, 1, 2, ...
    (SO(3), [1, 0, 1, 1, 3, 6, 15, 36]),  # Motzkin sums, OEIS A005043
    (O(3), [1, 0, 1, 0, 3, 0, 15]),
    (O(5), [1, 0, 1, 0, 3, 0]),  # (2k − 1)!! pairings for n ≥ k
    (Lorentz(), [1, 0, 1, 0, 4]),  # 3 pairings and the determinant
    (SO(2), [1, 0, 2, 0, 6, 0, 20]),  # central binomial coefficients
    (SL(2), [1, 0, 1, 0, 2, 0, 5]),  # Catalan numbers
]
# Numbers of maps between the pairs of spaces below that emlp 1.0.3 finds; those of its real Sp(1) are those of SL(2).
PAIRS = ["V V", "D V", "V VV", "VV VV", "VD VD", "VD VV", "S VVV", "S VV"]  # D dual to V
EMLP = {
    SO(2): [2, 2, 0, 6, 6, 6, 0, 2],
    SO(3): [1, 1, 1, 3, 3, 3, 1, 1],
    SO(4): [1, 1, 0, 4, 4, 4, 0, 1],
    O(2): [1, 1, 0, 3, 3, 3, 0, 1],
    O(3): [1, 1, 0, 3, 3, 3, 0, 1],
    Lorentz(): [1, 1, 0, 4, 4, 4, 0, 1],
    groups.IndefiniteOrthogonal(1, 3): [1, 1, 0, 3, 3, 3, 0, 1],
    SL(2): [1, 1, 0, 2, 2, 2, 0, 1],
    SL(3): [1, 0, 0, 2, 2, 0, 1, 0],
    groups.Dihedral(4): [1, 1, 0, 4, 4, 4, 0, 1],
    groups.Dihedral(5): [1, 1, 0, 3, 3, 3, 0, 1],
    S4: [2, 2, 5, 15, 15, 15, 5, 2],
    C5: [5, 5, 25, 125, 125, 125, 25, 5],  # by shifts of five places
}
# Those of ℂⁿ, from V and from V* to V, and of invariants of V ⊗ V, each over the complex numbers, by emlp 1.0.3, too.
EMLP_COMPLEX = {groups.SU(2): (1, 1, 1), groups.SU(3): (1, 0, 0), groups.U(1): (1, 0, 0), groups.U(2): (1, 0, 0)}
BELL = [1, 1, 2, 5, 15, 52]  # partitions of k places, OEIS A000110, for n ≥ k: Maron et al. 2019, arXiv:1812.09902


@groups.static
class Split(groups.Matrices):
    """The identity component of O(p, p), by generators alone, as a user has it."""

    p: int = 5

    @property
    def size(self):
        return 2 * self.p

    @property
    def dim(self):
        return self.p * (2 * self.p - 1)

    def basis(self):
        signs = np.diag([1.0] * self.p + [-1.0] * self.p)
        return signs @ SO(2 * self.p).basis()

    def sample(self, key, shape=(), dtype=None):
        return self.exp(jax.random.normal(key, (*shape, self.dim), dtype))

    def parts(self):
        return {"rotation": self}


def test_numbers_of_invariants(x64):
    for group, known in INVARIANTS:
        assert [len(intertwiners(group, S, Tensor(k))) for k in range(len(known))] == known
    for k, known in enumerate(BELL):
        assert len(intertwiners(groups.Permutation(5), S, TensorProduct(*[P] * k) if k else S)) == known


@pytest.mark.parametrize("group", [*EMLP, *EMLP_COMPLEX], ids=str)
def test_numbers_of_maps_are_those_of_emlp(group, x64):
    if group in EMLP:
        v = {S4: P, C5: reps.Regular(C5)}.get(group, V)
        one = {"S": S, "V": v, "D": Dual(v)}
        made = lambda of: TensorProduct(*[one[name] for name in of]) if len(of) > 1 else one[of]  # noqa: E731
        assert [len(intertwiners(group, *map(made, pair.split()))) for pair in PAIRS] == EMLP[group]
        return
    # V as a real space is V ⊕ V* over the complex numbers: four kinds of maps, and four of products
    same, dual, square = EMLP_COMPLEX[group]
    assert len(intertwiners(group, V, V)) == 2 * same + 2 * dual
    assert len(intertwiners(group, S, VV)) == 2 * square + 2 * same


def test_large_tensors_of_a_group_by_its_generators(monkeypatch):
    """10⁴ unknowns: dense matrices of the 45 generators would take 33 GB."""
    basis = intertwiners(Split(), S, Tensor(4)).reshape(3, *[10] * 4)
    metric = np.diag([1.0] * 5 + [-1.0] * 5)
    pairings = [np.einsum(f"{at},{to}->ijkl", metric, metric) for at, to in [("ij", "kl"), ("ik", "jl"), ("il", "jk")]]
    pairings = np.stack(pairings).reshape(3, -1)
    rank = np.linalg.matrix_rank(np.concatenate([pairings, basis.reshape(3, -1)]), tol=1e-8)
    assert len(basis) == rank == 3
    monkeypatch.setattr("equijax.reps.solver.MOST_NUMBERS", 10**3)
    with pytest.raises(ValueError, match=r"source, target: an equation .* has .*e\+03 numbers that are not zero"):
        intertwiners(Split(4), S, Tensor(4))


def test_maps_between_outer_products_are_those_of_the_generators(x64):
    """Hom(A ⊠ B, C ⊠ D) = Hom(A, C) ⊗ Hom(B, D)."""
    for source, target in [(reps.Product(V, P), reps.Product(VV, P)), (reps.Product(VV, PP), reps.Product(VV, P))]:
        found = intertwiners(ATOMS, source, target).reshape(-1, target.dim_of(ATOMS) * source.dim_of(ATOMS))
        known = maps_between(ATOMS, source, target).reshape(found.shape)
        np.testing.assert_allclose(found.T @ found, known.T @ known, atol=1e-12)


@pytest.mark.parametrize(("group", "source", "target", "count"), KNOWN, ids=lambda x: str(x))
def test_dimensions_and_equivariance(group, source, target, count, x64):
    basis = intertwiners(group, source, target)
    assert len(basis) == count
    np.testing.assert_allclose(np.einsum("kij,lij->kl", basis, basis), np.eye(count), atol=1e-13)
    with pytest.raises(ValueError, match="read-only"):
        basis[:] = 0
    nodes, weights = group.nodes(40)
    some = slice(None) if group.is_finite else np.random.default_rng(0).integers(len(weights), size=4)
    chosen = jax.tree.map(lambda x: x[some], nodes)
    ins, outs = (np.asarray(jax.jit(jax.vmap(rep.matrix))(chosen)) for rep in (source, target))
    assert apart(outs, basis, ins) < 1e-11 * max(1, np.abs(outs).max(), np.abs(ins).max())
    if group.is_finite:  # dim Hom = Σ χ_target(g⁻¹) χ_source(g) / |G|
        np.testing.assert_allclose(np.mean(np.trace(outs, axis1=1, axis2=2) * np.trace(ins, axis1=1, axis2=2)), count)


def apart(outs, basis, ins):
    """How far ρ_target(g) W is from W ρ_source(g)."""
    return np.abs(np.einsum("gij,kjl->gkil", outs, basis) - np.einsum("kij,gjl->gkil", basis, ins)).max(initial=0)


def test_wrong_maps_and_factors_in_another_order_are_seen(x64):
    g = ATOMS.sample(jax.random.key(0), (4,))
    source = reps.Product(V, P)
    swapped = lambda rep: lambda g: jnp.kron(rep.reps[1].matrix(g[1]), rep.reps[0].matrix(g[0]))  # noqa: E731
    basis = intertwiners(ATOMS, source, source)
    matrices, others = (jax.vmap(f)(g) for f in (source.matrix, swapped(source)))
    assert apart(matrices, basis, matrices) < 1e-12
    assert apart(others, basis, others) > 0.1
    assert apart(matrices, np.roll(basis, 1, axis=-1), matrices) > 0.1
    turn = groups.SO(3).sample(jax.random.key(1), (4,))
    into, out = (jax.vmap(rep.matrix)(turn) for rep in (V, VV))
    levi_civita = intertwiners(SO(3), V, VV)
    assert apart(out, levi_civita, into) < 1e-12
    assert apart(out, np.abs(levi_civita), into) > 0.1


@pytest.mark.core
def test_the_projector_is_the_average_over_the_group(x64):
    """On a compact group P w = ∫ ρ_target(g) w ρ_source(g)⁻¹ dg, and ‖ρ w ρ⁻¹ − w‖² averages to 2 ‖w − P w‖²."""
    group, source, target = SO(3), Tensor(2), Sum(V, Tensor(2))
    w = jnp.asarray(np.random.default_rng(0).normal(size=(12, 9)))
    projected = reps.project(group, source, target, w)
    elements, weights = group.nodes(75)  # exact to degree 4
    ins, outs = (jax.jit(jax.vmap(rep.matrix))(elements) for rep in (source, target))
    moved = outs @ w @ jnp.swapaxes(ins, 1, 2)
    np.testing.assert_allclose(jnp.tensordot(weights, moved, 1), projected, atol=1e-13)
    np.testing.assert_allclose(reps.project(group, source, target, projected), projected, atol=1e-13)
    average = weights @ jnp.sum((moved - w) ** 2, axis=(1, 2))
    np.testing.assert_allclose(average, 2 * jnp.sum((w - projected) ** 2))


def test_sums_are_solved_block_by_block(x64):
    whole = intertwiners(SO(3), Sum(V, S, V), Sum(S, V))
    assert whole.shape == (3, 4, 7)
    assert {(m.any(1).nonzero()[0][0], m.any(0).nonzero()[0][0]) for m in whole} == {(0, 3), (1, 0), (1, 4)}


@pytest.mark.parametrize("source", [Sum(V, S, VV, V), Sum(VV, V, V, S)], ids=["interleaved", "sorted"])
def test_matrices_and_projections_of_sums_are_those_of_the_whole_basis(source, x64):
    target, rng = Sum(S, V, S, VV), np.random.default_rng(0)
    basis = intertwiners(O(3), source, target)
    c, w = rng.normal(size=len(basis)), rng.normal(size=basis.shape[1:])
    assert len(basis) == 2 + 2 + 2 + 1 + 3  # S to S, VV to S, V to V, S to VV, VV to VV
    np.testing.assert_allclose(reps.equivariant_matrix(O(3), source, target, c), np.tensordot(c, basis, 1), atol=1e-14)
    expected = np.tensordot(np.tensordot(basis, w, 2), basis, 1)
    np.testing.assert_allclose(reps.project(O(3), source, target, jnp.asarray(w)), expected, atol=1e-14)


@pytest.mark.parametrize(
    ("group", "rep", "expected"),
    [
        (S4, P, True),
        (S4, TensorProduct(P, P, S), True),
        (C5, reps.Regular(C5), True),
        (C5, V, False),
        (O(3), S, True),
        (O(3), Scalar(pseudo=True), False),
        (SO(3), Scalar(pseudo=True), True),
        (groups.Octahedral(), V, False),
        (groups.Product(SO(3), S4), S, True),
    ],
    ids=str,
)
def test_which_coordinates_are_only_permuted(group, rep, expected):
    assert reps.permutes_coordinates(group, rep) == expected


def test_problems_that_are_too_large_are_named(monkeypatch):
    monkeypatch.setattr("equijax.reps.solver.MOST_UNKNOWNS", 8)
    with pytest.raises(ValueError, match=r"source, target: maps .* 10 entries that depend on each other, more than 8"):
        intertwiners(SO(3), VV, Tensor(2, pseudo=True))


def test_the_basis_depends_on_the_space_alone():
    rng = np.random.default_rng(0)
    space = np.linalg.qr(rng.normal(size=(30, 6)))[0]
    space[:5] = 0  # no pivots among these
    space = np.linalg.qr(space)[0]
    turned = space @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    np.testing.assert_allclose(canonical(space), canonical(turned), atol=1e-13)
    np.testing.assert_allclose(canonical(space) @ canonical(space).T, space @ space.T, atol=1e-13)


def test_layers_from_the_basis_are_symmetric_and_others_are_not():
    basis = intertwiners(Lorentz(), Tensor(2), Tensor(2))
    symmetry = ej.Symmetry(Lorentz(), Tensor(2), Tensor(2))
    x = jax.random.normal(jax.random.key(0), (4, 4))

    @jax.jit
    def layer(weight, x):
        return (weight.astype(x.dtype) @ x.reshape(16)).reshape(4, 4)

    weight = np.tensordot(np.arange(1.0, 5.0), basis, 1)
    symmetry = ej.Symmetry(Lorentz(), (None, Tensor(2)), Tensor(2))
    assert ej.check(layer, symmetry, (weight, x)).verdict == "exact"
    assert ej.check(layer, symmetry, (weight + np.eye(16)[::-1], x)).verdict == "broken"


def test_the_basis_is_cached_and_can_be_asked_for_under_jit():
    @jax.jit
    def count(x):
        return x * len(intertwiners(O(2), Tensor(3), V))

    assert count(1.0) == 3
    assert intertwiners(O(2), Tensor(3), V) is intertwiners(O(2), Tensor(3), V)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: intertwiners(SO(3), reps.Position(), V),
            TypeError,
            "matrix: Position.* is not a linear representation",
        ),
        (lambda: intertwiners(groups.SL(3), V, reps.Irreps("2e")), ValueError, "target: group: .* needs rotations"),
        (lambda: reps.equivariant_matrix(SO(3), V, V, jnp.ones(2)), ValueError, r"coefficients: .* takes 1, .*\(2,\)"),
        (lambda: reps.project(SO(3), V, V, jnp.ones((2, 2))), ValueError, r"w: expected shape \(3, 3\)"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()

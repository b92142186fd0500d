"""Irreducible representations, restriction, induction and decomposition: the laws of characters, and known tables."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, reps
from equijax.groups import SO, Cyclic, Dihedral, Icosahedral, O, Octahedral, Permutation, Tetrahedral
from equijax.reps import Irreps, Scalar, Sum, Tensor, Vector, decompose, induce, intertwiners, irrep, irreps, restrict


@groups.static
class Quaternions(groups.FiniteMatrices):
    """±1, ±i, ±j, ±k as matrices of ℝ⁴: the smallest group with an irreducible representation of quaternionic type."""

    def table(self):
        i, j = np.kron(np.eye(2), [[0.0, -1], [1, 0]]), np.kron([[0.0, -1], [1, 0]], np.diag([1.0, -1]))
        return np.stack([np.eye(4), -np.eye(4), i, -i, j, -j, i @ j, -i @ j])


# Dimension and real type of the irreducible representations of each group, by the books; escnn 1.0.11 has the same for
# C5, C6, D5, D6, SO(2) and O(2).
KNOWN = {
    Cyclic(1): "1r",
    Cyclic(2): "1r 1r",
    Cyclic(5): "1r 2c 2c",
    Cyclic(6): "1r 1r 2c 2c",
    Dihedral(1): "1r 1r",
    Dihedral(2): "1r 1r 1r 1r",
    Dihedral(5): "1r 1r 2r 2r",
    Dihedral(6): "1r 1r 1r 1r 2r 2r",
    Tetrahedral(): "1r 2c 3r",
    Tetrahedral(True): "1r 1r 2r 3r 3r",
    Octahedral(): "1r 1r 2r 3r 3r",
    Octahedral(True): "1r 1r 1r 1r 2r 2r 3r 3r 3r 3r",
    Icosahedral(): "1r 3r 3r 4r 5r",
    Permutation(4): "1r 1r 2r 3r 3r",
    Permutation(5): "1r 1r 4r 4r 5r 5r 6r",
    groups.Shift((3, 2)): "1r 1r 2c 2c",
    groups.Product(Cyclic(3), Permutation(3)): "1r 1r 2c 2r 2c 4c",
    Quaternions(): "1r 1r 1r 1r 4q",
}
COPIES = {"real": 1, "complex": 2, "quaternionic": 4}


@functools.cache
def values(group, rep):
    """Matrices of a representation for all elements, and the products of all pairs, as places."""
    with jax.enable_x64(True):
        elements = group.elements()
        matrices = np.asarray(jax.jit(jax.vmap(rep.matrix))(elements))
        pairs = jax.vmap(lambda g: jax.vmap(lambda h: group.compose(g, h))(elements))(elements)
        moved = np.asarray(jax.jit(jax.vmap(jax.vmap(rep.matrix)))(pairs))
    return matrices, moved


@pytest.mark.parametrize(("group", "known"), KNOWN.items(), ids=str)
def test_irreps_of_finite_groups(group, known):
    found = irreps(group)
    assert sorted(f"{rep.dim}{rep.type[0]}" for rep in found) == sorted(known.split())
    assert sum(rep.dim**2 // COPIES[rep.type] for rep in found) == group.order
    characters = []
    for rep in found:
        matrices, moved = values(group, rep)
        assert hash(rep) == hash(reps.Irrep(group, rep.label))
        assert irrep(group, rep.label) == rep
        np.testing.assert_allclose(moved, np.einsum("gij,hjk->ghik", matrices, matrices), atol=1e-12)
        eye = np.broadcast_to(np.eye(rep.dim), matrices.shape)
        np.testing.assert_allclose(matrices @ matrices.swapaxes(1, 2), eye, atol=1e-12)
        characters.append(np.trace(matrices, axis1=1, axis2=2))
        squares = np.mean(np.trace(moved[np.arange(group.order), np.arange(group.order)], axis1=1, axis2=2))
        np.testing.assert_allclose(squares, {"real": 1, "complex": 0, "quaternionic": -2}[rep.type], atol=1e-12)
    orthogonality = np.array(characters) @ np.array(characters).T / group.order
    np.testing.assert_allclose(orthogonality, np.diag([COPIES[rep.type] for rep in found]), atol=1e-12)
    np.testing.assert_allclose(characters[0], 1)


@pytest.mark.parametrize("group", [SO(2), O(2), Cyclic(6), Dihedral(3), Octahedral(), Quaternions()], ids=repr)
def test_what_commutes_with_an_irrep_is_its_real_type(group):
    for rep in irreps(group, None if group.is_finite else 3):
        rep.check(group)
        assert len(intertwiners(group, rep, rep)) == COPIES[rep.type]
        for other in irreps(group, None if group.is_finite else 3):
            assert other == rep or len(intertwiners(group, rep, other)) == 0


@pytest.mark.parametrize("group", [SO(2), O(2)], ids=repr)
def test_irreps_of_the_plane_are_representations(group, x64):
    g, h = jnp.asarray(group.sample(jax.random.key(0), (2, 20)))
    for rep in irreps(group, 5):
        of = jax.jit(jax.vmap(rep.matrix))
        np.testing.assert_allclose(of(g @ h), of(g) @ of(h), atol=1e-12)
        assert rep.dim == rep.dim_of(group)
        x = jnp.asarray(np.random.default_rng(0).normal(size=(3, rep.dim)))
        np.testing.assert_allclose(rep.act(g[0], x), x @ rep.matrix(g[0]).T, atol=1e-14)
    once, fast = (irrep(group, (1, k) if group == O(2) else k) for k in (1, 5))
    np.testing.assert_allclose(once.matrix(g[0]), g[0], atol=1e-15)
    turn = np.arctan2(g[:, 1, 0], g[:, 0, 0])
    np.testing.assert_allclose(jax.vmap(fast.matrix)(g)[:, 0, 0], np.cos(5 * turn), atol=1e-12)


CHARACTERS = {  # Altmann and Herzig 1994, Point-Group Theory Tables: by angle of the turn, and "i" for the inversion
    Octahedral(): {"A1": (1, 1, 1), "A2": (1, -1, 1), "E": (-1, 0, 2), "T1": (0, 1, -1), "T2": (0, -1, -1)},
    Icosahedral(): {"A": (1, 1), "T1": (1.618034, 0), "T2": (-0.618034, 0), "G": (-1, 1), "H": (0, -1)},
}
ANGLES = {Octahedral(): (120, 90, 180), Icosahedral(): (72, 120)}


@pytest.mark.parametrize("group", CHARACTERS, ids=repr)
def test_mulliken_symbols(group):
    table = group.table()
    angles = np.degrees(np.arccos(np.clip((np.trace(table, axis1=1, axis2=2) - 1) / 2, -1, 1))).round(3)
    diagonal = (np.abs(table).sum(-1) == 1).all(-1) & (np.abs(np.diagonal(table, axis1=1, axis2=2)) == 1).all(-1)
    for label, expected in CHARACTERS[group].items():
        matrices, _ = values(group, irrep(group, label))
        for angle, character in zip(ANGLES[group], expected, strict=True):
            chosen = (angles == angle) & (diagonal if angle == 180 else True)  # two-fold turns about the axes
            np.testing.assert_allclose(np.trace(matrices[chosen], axis1=1, axis2=2), character, atol=1e-6)


def test_own_matrices_are_kept():
    for group, label, rep in [
        (Octahedral(True), "T1u", Vector()),
        (Octahedral(True), "T1g", Vector(pseudo=True)),
        (Tetrahedral(True), "T2", Vector()),
        (Icosahedral(), "T1", Vector()),
        (Octahedral(True), "A1u", Scalar(pseudo=True)),
        (Cyclic(5), 1, Vector()),
        (O(2), (1, 1), Vector()),
        (O(2), (1, 0), Scalar(pseudo=True)),
    ]:
        g = jax.tree.map(lambda x: x[-1], group.nodes(9)[0])
        np.testing.assert_allclose(irrep(group, label).matrix(g), rep.matrix(g), atol=1e-6)


def turned_over(g):
    """A reflection of the plane as a turn of space by π, about an axis in that plane."""
    return jnp.zeros((3, 3), g.dtype).at[:2, :2].set(g).at[2, 2].set(jnp.linalg.det(g))


DECOMPOSED = [  # group, representation, multiplicities by label: by hand, by characters
    (Octahedral(), reps.restrict(Irreps("2e"), Octahedral()), {"E": 1, "T2": 1}),  # crystal fields
    (Octahedral(), reps.restrict(Irreps("3o"), Octahedral()), {"A2": 1, "T1": 1, "T2": 1}),
    (Icosahedral(), reps.restrict(Irreps("3o"), Icosahedral()), {"T2": 1, "G": 1}),
    (Tetrahedral(), Tensor(2), {"A": 1, "E": 1, "T": 2}),
    (Octahedral(True), reps.Regular(Octahedral(True)), "regular"),
    (Cyclic(6), reps.Regular(Cyclic(6)), "regular"),
    (Quaternions(), reps.Regular(Quaternions()), "regular"),
    (Permutation(4), reps.Permutation(), {0: 1, 3: 1}),
    (SO(2), Tensor(3), {1: 3, 3: 1}),
    (O(2), Tensor(2), {(0, 0): 1, (1, 0): 1, (1, 2): 1}),
    (O(3), Tensor(3), {"0o": 1, "1o": 3, "2o": 2, "3o": 1}),
    (SO(3), Sum(reps.Spherical(2), Vector(), Scalar()), {"0e": 2, "1o": 2, "2e": 1}),
    (SO(2), reps.restrict(Irreps("2e"), SO(2), groups.Axial(SO(2)).embed), {0: 1, 1: 1, 2: 1}),
    (Cyclic(4), reps.restrict(irrep(SO(2), 5), Cyclic(4)), {1: 1}),
    (Cyclic(4), reps.restrict(irrep(SO(2), 2), Cyclic(4)), {2: 2}),
    # Degrees 2 and 3 of polyhedral groups, Tensor(3) of SO(2) and O(3), and the following ones by escnn 1.0.11, too
    (Dihedral(3), Tensor(3), {(0, 0): 1, (1, 0): 1, (1, 1): 3}),
    (Dihedral(6), reps.restrict(irrep(O(2), (1, 7)), Dihedral(6)), {(1, 1): 1}),
    (Dihedral(5), reps.restrict(Irreps("3o"), Dihedral(5), turned_over), {(1, 0): 1, (1, 1): 1, (1, 2): 2}),
    (Cyclic(4), reps.restrict(Irreps("3o"), Cyclic(4), groups.Axial(Cyclic(4)).embed), {0: 1, 1: 2, 2: 2}),
    (Octahedral(), reps.restrict(Irreps("4e"), Octahedral()), {"A1": 1, "E": 1, "T1": 1, "T2": 1}),
    (Icosahedral(), reps.TensorProduct(*[irrep(Icosahedral(), "G")] * 2), {"A": 1, "T1": 1, "T2": 1, "G": 1, "H": 1}),
]


@pytest.mark.parametrize(("group", "rep", "known"), DECOMPOSED, ids=lambda x: str(x).split(", embedding")[0])
def test_decompositions(group, rep, known, x64):
    found = decompose(group, rep)
    labels = {getattr(term, "label", getattr(term, "irreps", None)): m for term, m in found.multiplicities.items()}
    if known == "regular":
        known = {term.label: term.dim // COPIES[term.type] for term in irreps(group)}
    assert labels == known
    q = found.change
    np.testing.assert_allclose(q @ q.T, np.eye(len(q)), atol=1e-12)
    elements, weights = group.nodes(32)
    chosen = jax.tree.map(lambda x: x[:: max(1, len(weights) // 8)], elements)
    before, after = (np.asarray(jax.jit(jax.vmap(r.matrix))(chosen)) for r in (rep, found.rep))
    np.testing.assert_allclose(q @ before @ q.T, after, atol=1e-12)


@groups.static
class Skewed(reps.Rep):
    """A representation in a basis that is not orthonormal."""

    rep: reps.Rep

    def matrix(self, g):
        a = jnp.asarray(self.basis())
        return a @ self.rep.matrix(g) @ jnp.linalg.inv(a)

    def basis(self):
        return np.eye(9) + np.triu(np.ones((9, 9)), 1) / 2


@pytest.mark.parametrize("group", [Octahedral(), O(3)], ids=repr)
def test_representations_that_are_not_orthogonal(group, x64):
    rep = Skewed(Tensor(2))
    found = decompose(group, rep)
    assert found.multiplicities == decompose(group, Tensor(2)).multiplicities
    g = group.nodes(9)[0][-1]
    np.testing.assert_allclose(
        found.change @ rep.matrix(g) @ np.linalg.inv(found.change), found.rep.matrix(g), atol=1e-12
    )


INDUCED = [  # subgroup, group, its embedding
    (Cyclic(3), Dihedral(3), None),
    (Cyclic(2), Cyclic(6), None),
    (Tetrahedral(), Octahedral(), None),
    (Tetrahedral(), Icosahedral(), None),
    (Permutation(3), Permutation(4), lambda p: jnp.concatenate([p, jnp.array([3])])),
    (Cyclic(4), Quaternions(), lambda g: jnp.kron(jnp.eye(2), g)),
]


@pytest.mark.parametrize(
    ("subgroup", "group", "embedding"), INDUCED, ids=lambda x: repr(x) if isinstance(x, groups.Group) else ""
)
def test_reciprocity(subgroup, group, embedding, x64):
    """Frobenius: ⟨Ind ρ, σ⟩ over the group is ⟨ρ, Res σ⟩ over the subgroup, and so are the numbers of maps."""
    for rep in irreps(subgroup):
        induced = induce(rep, subgroup, group, embedding)
        induced.check(group)
        matrices, moved = values(group, induced)
        np.testing.assert_allclose(moved, np.einsum("gij,hjk->ghik", matrices, matrices), atol=1e-12)
        assert induced.dim == rep.dim * group.order // subgroup.order
        for other in irreps(group):
            maps = intertwiners(group, induced, other)
            assert len(maps) == len(intertwiners(subgroup, rep, restrict(other, subgroup, embedding)))


def test_functions_on_cosets_are_induced_from_scalars(x64):
    trivial = groups.Cyclic(1)
    assert decompose(Cyclic(6), induce(Scalar(), trivial, Cyclic(6))).multiplicities == (
        decompose(Cyclic(6), reps.Regular(Cyclic(6))).multiplicities
    )
    corners = induce(Scalar(), Permutation(3), Permutation(4), INDUCED[4][2])  # what leaves place 3 alone
    assert decompose(Permutation(4), corners).multiplicities == (
        decompose(Permutation(4), reps.Permutation()).multiplicities
    )


def test_characters(x64):
    a, b = Icosahedral().elements()[np.array([5, 17])]
    rep = Tensor(2)
    np.testing.assert_allclose(reps.character(rep, a), jnp.trace(a) ** 2)
    np.testing.assert_allclose(reps.character(rep, b @ a @ b.T), reps.character(rep, a), atol=1e-12)


@pytest.mark.core
def test_an_irrep_acts_under_jit_and_for_motions(x64):
    rep = irrep(Octahedral(), "E")
    motion = groups.AffineElement(jnp.ones(3), Octahedral().elements()[7])
    x = jnp.array([1.0, 2.0])
    np.testing.assert_allclose(jax.jit(rep.act)(motion, x), rep.matrix(motion.linear) @ x)
    rep.check(groups.Semidirect(groups.Translation(3), Octahedral()))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: irrep(Octahedral(), "T3"), ValueError, "label: .* 'A1', 'A2', 'E', 'T1', 'T2'; got 'T3'"),
        (
            lambda: irrep(Cyclic(6), 4),
            ValueError,
            "label: Cyclic.6. has the irreducible representations 0, 1, 2, 3; got 4",
        ),
        (lambda: irrep(O(2), 3), ValueError, r"label: O\(2\) has .* \(0, 0\), \(1, 0\), \(1, 1\)"),
        (lambda: irrep(SO(2), -1), ValueError, "label: .* got -1"),
        (lambda: irrep(SO(3), "1o"), TypeError, "label: expected an integer, got '1o'"),
        (lambda: irrep(O(3), "1o+2e"), ValueError, "label: expected the degree and parity of one irreducible"),
        (
            lambda: irrep(groups.SL(3), 0),
            ValueError,
            r"group: the irreducible representations of SL\(3\) have no names",
        ),
        (lambda: irreps(SO(2)), ValueError, "highest: .* has infinitely many"),
        (lambda: irreps(Cyclic(3), 2), ValueError, "highest: .* leave it out"),
        (lambda: irreps(Permutation(7)), ValueError, "group: expected a finite group of at most 1000 elements"),
        (lambda: irrep(Cyclic(6), 1).check(Cyclic(3)), ValueError, r"group: Irrep\(Cyclic\(6\), 1\) was made for"),
        (lambda: irrep(SO(2), 1).matrix(jnp.eye(3)), ValueError, "g: Irrep.* needs a 2 x 2 matrix"),
        (lambda: decompose(SO(4), Vector()), ValueError, r"group: the irreducible representations of SO\(4\)"),
        (lambda: decompose(SO(3), reps.Position()), TypeError, "matrix: Position.. is not a linear representation"),
        (
            lambda: restrict(irrep(Octahedral(), "E"), Icosahedral()),
            ValueError,
            "subgroup, embedding: .* restricted to .* is no homomorphism, by",
        ),
        (lambda: restrict(irrep(SO(2), 1), SO(3)), ValueError, "rep, subgroup, embedding: .* needs a 2 x 2 matrix"),
        (
            lambda: induce(Scalar(), Cyclic(4), Cyclic(6)),
            ValueError,
            "subgroup, embedding: expected elements of Cyclic.6.",
        ),
        (lambda: induce(Scalar(), SO(2), O(2)), ValueError, "group: expected a finite group"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()

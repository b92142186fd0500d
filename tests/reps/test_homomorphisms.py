"""Every representation: act(g h) = act(g) act(h), the identity, the matrix, the dtype, the derivative."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, reps
from equijax.groups import SO, E, O

CUBE = groups.Dihedral(4)
SHIFT = groups.Shift((4, 6), step=2)
ATOMS = groups.Product(E(3), groups.Permutation(5))
FLOWS = groups.Product(SO(2), groups.Cyclic(4))
CASES = [  # group, representation, shape of what it acts on
    (O(3), reps.Scalar(pseudo=True), (4, 1)),
    (SO(2), reps.Vector(), (4, 2)),
    (O(3), reps.Vector(pseudo=True), (4, 3)),
    (E(3), reps.Position(), (4, 3)),
    (groups.Translation(3), reps.Position(), (4, 3)),
    (groups.Scaling(), reps.Position(), (4, 3)),
    (groups.Similarity(2), reps.Position(), (4, 2)),
    (groups.Similarity(2), reps.Homogeneous(), (4, 3)),
    (groups.Translation(3), reps.Dual(reps.Homogeneous()), (2, 4)),
    (groups.Scaling(), reps.Tensor(2), (3, 3)),
    (O(3), reps.Tensor(2, pseudo=True), (4, 3, 3)),
    (O(2), reps.Tensor(3), (2, 2, 2)),
    (O(3), reps.Spherical(3), (16, 2)),
    (E(3), reps.Spherical(2, pseudo=True), (9, 2)),
    (O(3), reps.Irreps("2x0e+0o+2x1o+1e+2e"), (3, 17)),
    (CUBE, reps.Regular(CUBE), (3, 8)),
    (groups.Permutation(3), reps.Regular(groups.Permutation(3), axis=-2), (6, 2)),
    (SHIFT, reps.Regular(SHIFT), (6,)),
    (groups.Permutation(5), reps.Permutation((-3, -2)), (5, 5, 2)),
    (groups.Permutation(5), reps.Permutation(), (2, 5)),
    (SHIFT, reps.Shift((0, 1)), (4, 6, 2)),
    (SHIFT, reps.Shift((-3, -2), stride=2), (2, 3, 2)),
    (O(3), reps.Sum(reps.Vector(), reps.Irreps("1x2e"), reps.Scalar(pseudo=True)), (4, 9)),
    (O(3), reps.TensorProduct(reps.Vector(), reps.Irreps("1x1e")), (2, 9)),
    (groups.SL(2), reps.Dual(reps.Vector()), (3, 2)),
    (ATOMS, reps.Product(reps.Position(), reps.Permutation(-2)), (5, 3)),
    (ATOMS, reps.Product(None, reps.Permutation(0)), (5, 3)),
    (CUBE, reps.Image(), (5, 5, 2)),
    (CUBE, reps.Image(), (4, 4, 2)),
    (groups.Octahedral(True), reps.Image(3), (3, 3, 3, 2)),
    (CUBE, reps.Joint(reps.Image(), reps.Vector()), (5, 5, 2)),
    (groups.Semidirect(groups.Translation(2), CUBE), reps.Regular(CUBE), (8,)),
    (SHIFT, reps.Sequence(reps.Shift((0, 1)), start=1), (3, 4, 6, 2)),
    (groups.Translation(2), reps.Sequence(reps.Position()), (3, 5, 2)),
    (groups.Power(E(3), 3), reps.Pieces(reps.Position(), [2, 0, -1, 0]), (4, 3)),
    (groups.Power(O(3), 2), reps.Pieces(reps.Spherical(1, pseudo=True), [1, 0, 1], axis=1), (2, 3, 4, 2)),
    (FLOWS, reps.Sequence(reps.Product(reps.Vector(), reps.Image()), start=2), (3, 4, 4, 2)),
]
IDS = [f"{group}-{rep}" for group, rep, _ in CASES]


def elements(group, count=12):
    """A few elements, from the nodes of the group, which have no compilation to wait for."""
    nodes, weights = jax.tree.map(np.asarray, group.nodes(100))
    chosen = np.random.default_rng(1).integers(len(weights), size=(2, count))
    return [jax.tree.map(lambda x, i=i: jnp.asarray(x[i]), nodes) for i in chosen]


def distance(a, b):
    return jnp.max(jnp.stack([jnp.max(jnp.abs(x - y)) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)]))


@functools.partial(jax.jit, static_argnums=(0, 1))
def violations(group, rep, g, h, x):
    h = jax.tree.map(lambda e, y: y.at[0].set(e), group.identity(), h)
    moved = jax.vmap(rep.act, (0, None))(h, x)
    twice = jax.vmap(rep.act)(g, moved)
    return {
        "homomorphism": distance(jax.vmap(rep.act, (0, None))(group.compose(g, h), x), twice),
        "identity": distance(moved[0], x),
        "motion": distance(moved, x[None]),
    }


@pytest.mark.parametrize(("group", "rep", "shape"), CASES, ids=IDS)
def test_homomorphism(group, rep, shape, x64):
    rep.check(group)
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape))
    found = violations(group, rep, *elements(group), x)
    assert found["homomorphism"] < 1e-13
    assert found["identity"] < 1e-15
    assert found["motion"] > 0.1


LINEAR = [
    case for case in CASES if isinstance(case[1], (reps.Vector, reps.Spherical, reps.Irreps, reps.Sum, reps.Dual))
]
LINEAR += [CASES[IDS.index(f"{CUBE}-{reps.Regular(CUBE)}")], CASES[IDS.index("Permutation(5)-Permutation()")]]


@pytest.mark.parametrize(("group", "rep", "shape"), LINEAR, ids=lambda value: str(value))
def test_matrix_is_what_act_multiplies_by(group, rep, shape, x64):
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape))
    g = jax.tree.map(lambda x: x[3], elements(group)[0])
    matrix = jax.jit(rep.matrix)(g)
    assert matrix.shape == (rep.dim_of(group),) * 2
    assert rep.dim in (None, len(matrix))
    expected = matrix @ np.asarray(x) if isinstance(rep, reps.Spherical) else np.asarray(x) @ matrix.T
    np.testing.assert_allclose(jax.jit(rep.act)(g, x), expected, atol=1e-14)


def test_matrix_of_a_product_acts_on_the_axes_of_the_factors_in_their_order(x64):
    rep, group = reps.Product(reps.Vector(), reps.Permutation(-2)), groups.Product(O(3), groups.Permutation(4))
    g = jax.tree.map(lambda x: x[5], group.nodes(200)[0])
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)))
    np.testing.assert_allclose(rep.matrix(g) @ x.T.reshape(-1), rep.act(g, x).T.reshape(-1), atol=1e-14)
    assert rep.dim_of(group) == 12
    with pytest.raises(TypeError, match=r"matrix: Position.* is not a linear representation"):
        reps.Product(reps.Position(), None).matrix(g)


def test_tensor_matrix_acts_on_the_flattened_axes(x64):
    g = jnp.asarray(groups.Icosahedral(reflections=True).table()[77])
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3, 3)))
    for rep in (reps.Tensor(3), reps.Tensor(3, pseudo=True)):
        np.testing.assert_allclose(rep.act(g, x).reshape(-1), rep.matrix(g) @ x.reshape(-1), atol=1e-14)
    np.testing.assert_array_equal(reps.Tensor(0).act(g, x), x)
    product = reps.TensorProduct(reps.Vector(), reps.Vector())
    np.testing.assert_allclose(product.matrix(g), reps.Tensor(2).matrix(g), atol=1e-15)


@pytest.mark.parametrize("rep", [reps.Spherical(4), reps.Irreps("1x3o+1x2o+0e"), reps.Tensor(2)], ids=repr)
def test_derivative_at_the_identity_and_at_a_reflection(rep, x64):
    """dρ(a) = d/dt ρ(exp(ta)) at 0 has [dρ(x), dρ(y)] = dρ(z), and d/dt ρ(exp(ta) s) = dρ(a) ρ(s) for improper s."""
    mirror = jnp.diag(jnp.array([-1.0, 1.0, 1.0]))

    @jax.jit
    def generators(s):
        return jax.jacfwd(lambda a: rep.matrix(SO(3).exp(a) @ s))(jnp.zeros(3))

    x, y, z = np.moveaxis(generators(jnp.eye(3)), -1, 0)
    np.testing.assert_allclose(x @ y - y @ x, z, atol=1e-13)
    np.testing.assert_allclose(x, -x.T, atol=1e-13)
    improper = np.moveaxis(generators(mirror), -1, 0)
    np.testing.assert_allclose(improper, np.stack([x, y, z]) @ np.asarray(rep.matrix(mirror)), atol=1e-13)


@pytest.mark.parametrize(
    "rep", [reps.Vector(), reps.Position(), reps.Spherical(1), reps.Tensor(1, pseudo=True)], ids=repr
)
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_the_dtype_of_the_array_is_kept_and_the_element_in_float64_used(rep, dtype, x64):
    g = groups.AffineElement(np.array([0.1, 0.2, 0.3]), groups.Icosahedral().table()[7])  # NumPy, float64
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)), dtype)
    got = jax.eval_shape(lambda: rep.act(g, x))
    assert (got.dtype, got.shape) == (x.dtype, x.shape)
    if dtype == jnp.float32 and isinstance(rep, reps.Vector):
        exact = np.asarray(x, float) @ g.linear.T
        np.testing.assert_array_equal(rep.act(g, x), exact.astype(np.float32))  # rounded once

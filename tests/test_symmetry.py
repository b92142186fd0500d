"""Symmetries: prefixes, actions, augmentation and averages."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from charged_points import CHARGES, FIELD, KEY, PARAMS, POINTS, field

from equijax import groups, reps
from equijax.groups import SE, SO, E
from equijax.measures import equivariance_error
from equijax.symmetry import Symmetry, augment, group_average


@functools.partial(jax.jit, static_argnums=(0, 1))
def error(f, symmetry, args, key):
    return equivariance_error(f, symmetry, args, key=key)


def test_prefixes_are_given_back_and_hash():
    prefix = ({"x": reps.Position(), "b": None}, [reps.Scalar()])
    symmetry = Symmetry(E(3), prefix, None)
    assert symmetry.inputs == prefix
    assert symmetry.outputs is None
    assert symmetry == Symmetry(E(3), prefix, None)
    assert hash(symmetry) == hash(Symmetry(E(3), prefix, None))
    assert symmetry != Symmetry(E(3), prefix, reps.Vector())
    assert Symmetry(E(3), [None, reps.Position()], None) == Symmetry(E(3), (None, reps.Position()), None)
    assert jax.tree.leaves(symmetry) == []
    assert str(FIELD) == "Symmetry(E(3), inputs=(None, Position(), Scalar()), outputs=Vector())"


def test_a_prefix_covers_what_is_below_it_and_leaves_the_rest(x64):
    g = groups.AffineElement(np.array([1.0, 0.0]), groups.Cyclic(4).table()[1])
    symmetry = Symmetry(SE(2), (None, reps.Position()), None)
    other = {"n": 3, "none": None}
    moved = symmetry.act_inputs(g, [other, {"a": jnp.ones((2, 2), jnp.float32), "b": (np.zeros(2), None)}])
    assert moved[0] is other
    np.testing.assert_array_equal(moved[1]["a"], [[0, 1], [0, 1]])
    np.testing.assert_array_equal(moved[1]["b"][0], [1, 0])
    assert (moved[1]["a"].dtype, moved[1]["b"][0].dtype) == (jnp.float32, jnp.float64)


def test_an_equal_symmetry_does_not_compile_again():
    @functools.partial(jax.jit, static_argnums=0)
    @chex.assert_max_traces(n=1)
    def move(symmetry, x):
        return symmetry.act_inputs(jnp.eye(3), (x,))

    for _ in range(2):
        move(Symmetry(SO(3), (reps.Vector(),), reps.Vector()), POINTS)


def test_augment_moves_inputs_and_targets_together():
    args = (PARAMS, POINTS, CHARGES)
    moved, targets = augment(FIELD, KEY, args, targets=field(*args))
    assert jnp.abs(moved[1] - POINTS).max() > 0.1
    np.testing.assert_allclose(field(*moved), targets, atol=1e-5)
    chex.assert_trees_all_equal(augment(FIELD, KEY, args), moved)
    keys = jax.random.split(KEY, 4)
    batch = jax.vmap(lambda key: augment(FIELD, key, args)[1])(keys)
    assert jnp.std(batch, axis=0).min() > 1e-2


def lopsided(x):
    """A polynomial of degree three, with no symmetry at all."""
    return x * jnp.arange(3.0) * jnp.sum(x[0] * jnp.array([1.0, -2.0, 0.5])) + x[:, ::-1] ** 3 + 1.0


@pytest.mark.core
@pytest.mark.parametrize(
    ("group", "rep"),
    [
        (groups.Octahedral(reflections=True), reps.Vector()),
        (SO(3), reps.Vector()),  # degrees up to 3 + 1 in the matrix, which the default nodes integrate exactly
        (groups.Product(groups.Cyclic(3), groups.Permutation(3)), reps.Product(None, reps.Permutation(-1))),
    ],
    ids=repr,
)
def test_group_average_is_symmetric(group, rep, x64):
    symmetry = Symmetry(group, rep, rep)
    x = jnp.asarray(POINTS, jnp.float64)
    averaged = jax.jit(group_average(lopsided, symmetry))
    assert error(averaged, symmetry, (x,), KEY) < 1e-14
    assert jnp.abs(averaged(x)).max() > 1e-3


@pytest.mark.parametrize(
    ("group", "rep", "x", "exact"),
    [
        (SO(3), reps.Vector(), np.eye(3), [0, 1 / 3]),
        (groups.Permutation(9), reps.Permutation(0), np.arange(9.0), [91 / 6, 68 / 3]),
    ],
    ids=["quadrature", "random elements"],
)
def test_group_average_with_a_key_is_unbiased(group, rep, x, exact, x64):
    def f(x):
        y = x[0] if x.ndim == 2 else x
        return jnp.stack([y[0] * y[1], y[0] ** 2])

    averaged = group_average(f, Symmetry(group, rep, None), samples=3)
    few = np.asarray(jax.jit(jax.vmap(lambda key: averaged(jnp.asarray(x), key=key)))(jax.random.split(KEY, 4000)))
    assert (np.abs(few.mean(0) - exact) < 5 * few.std(0) / 4000**0.5).all()
    assert few.std(0).min() > 0.05


def test_group_average_nests_with_transformations(x64):
    symmetry = Symmetry(groups.Cyclic(4), reps.Vector(), None)
    f = group_average(lambda x: jnp.sum(x**4 * jnp.array([1.0, 2.0])) + x[0, 0] * x[1, 0], symmetry)
    x = jnp.asarray(POINTS[:, :2], jnp.float64)
    gradient = Symmetry(groups.Cyclic(4), reps.Vector(), reps.Vector())
    assert error(jax.grad(f), gradient, (x,), KEY) < 1e-14
    batch = jax.vmap(f)(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(batch, [f(x), f(2 * x)], rtol=1e-14)
    assert jnp.isfinite(jax.hessian(f)(x)).all()


def test_group_average_keeps_dtypes_and_counts():
    symmetry = Symmetry(groups.Cyclic(4), reps.Vector(), None)
    out = jax.eval_shape(
        group_average(lambda x: (x.astype(jnp.bfloat16), jnp.sum(x > 0)), symmetry),
        jax.ShapeDtypeStruct((3, 2), jnp.float32),
    )
    assert (out[0].dtype, out[0].shape, out[1].dtype) == (jnp.bfloat16, (3, 2), jnp.float32)


BAD = [
    (
        lambda: Symmetry("SO(3)", None, None),
        TypeError,
        r"group: expected a group such as groups.SO\(3\), got 'SO\(3\)'",
    ),
    (lambda: Symmetry(SO(3), (None, "vector"), None), TypeError, r"inputs\[1\]: expected a representation or None"),
    (lambda: Symmetry(SO(3), None, {"f": reps.Vector}), TypeError, r"outputs\['f'\]: .*did you mean to call it\?"),
    (lambda: Symmetry(SO(2), None, reps.Spherical(1)), ValueError, r"outputs: group: Spherical\(1\) needs rotations"),
    (lambda: Symmetry(SO(3), reps.Permutation(), None), TypeError, "inputs: group: .* acts for groups.Permutation"),
    (lambda: Symmetry(groups.Product(SO(3)), reps.Vector(), None), TypeError, "inputs: .* use reps.Product"),
    (lambda: Symmetry(SO(3), reps.Ignore(), None), ValueError, "marks outputs; use None for an input"),
    (lambda: Symmetry(SO(3), None, reps.Quadrature()), ValueError, "outputs: .* marks inputs"),
    (lambda: FIELD.act_inputs(None, (1, 2)), ValueError, "inputs: expected 3 arguments, as .*, got 2"),
    (lambda: FIELD.act_inputs(None, POINTS), TypeError, r"args: expected the tuple of .* got an array; pass \(x,\)"),
    (lambda: augment(FIELD, KEY, np.ones(3)), TypeError, "args: expected the tuple of .* got an array"),
    (lambda: group_average(abs, Symmetry(SO(3), reps.Vector(), None), samples=0), ValueError, "samples: .* got 0"),
    (lambda: group_average(field, FIELD), ValueError, r"symmetry: E\(3\) is not compact.*center the inputs"),
    (
        lambda: group_average(abs, Symmetry(groups.Permutation(9), reps.Permutation(0), None)),
        ValueError,
        "samples: .* has 362880 elements, too many to list",
    ),
    (
        lambda: group_average(abs, Symmetry(groups.Cyclic(4), reps.Vector(), None), samples=2)(POINTS[:, :2]),
        ValueError,
        "key: random elements",
    ),
    (
        lambda: group_average(abs, Symmetry(groups.Cyclic(4), reps.Vector(), None))(x=POINTS),
        TypeError,
        "x: only positional arguments are moved; bind others by functools.partial",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()

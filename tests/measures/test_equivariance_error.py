"""How far a function is from a symmetry, as a number; and the pieces of its definition, for JAX and for NumPy alike."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from charged_points import CHARGES, FIELD, KEY, PARAMS, POINTS, field

from equijax import groups, reps
from equijax.groups import SE, SO, E
from equijax.measures import equivariance_error
from equijax.measures.equivariance import departure, first_nonzero, largest, size_nearby, spread
from equijax.symmetry import Symmetry


@functools.partial(jax.jit, static_argnums=(0, 1))
def error(f, symmetry, args, key):
    return equivariance_error(f, symmetry, args, key=key)


@pytest.mark.core
@pytest.mark.gpu
def test_the_error_is_rounding_where_exact_and_sees_what_is_broken():
    found = lambda seed=0, **params: error(field, FIELD, (PARAMS | params, POINTS, CHARGES), jax.random.key(seed))  # noqa: E731
    for seed in range(3):
        assert 0 < found(seed) < 3e-6
        assert 1e-5 < found(seed, pull=np.float32(1e-4)) < 1e-2
        assert 1e-6 < found(seed, bend=np.float32(1e-4)) < 1e-3
    assert jnp.isnan(found(strength=np.float32(np.nan)))


def test_float64_is_exact_to_its_rounding(x64):
    assert error(field, FIELD, jax.tree.map(np.float64, (PARAMS, POINTS, CHARGES)), KEY) < 1e-14


def test_forces_at_equilibrium_have_a_scale():
    square = jnp.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])

    def forces(x):
        def energy(x):
            d = x[:, None] - x[None]
            return jnp.sum((jnp.sum(d**2, -1) - jnp.array([0.0, 4, 4, 8])[squared_side()]) ** 2)

        return -1e-3 * jax.grad(energy)(x)

    def squared_side():
        d = square[:, None] - square[None]
        return jnp.round(jnp.sum(d**2, -1) / 4).astype(int) + (jnp.sum(d**2, -1) > 5)

    assert jnp.abs(forces(square)).max() == 0
    symmetry = Symmetry(E(2), reps.Position(), reps.Vector())
    assert 1e-4 < size_nearby(forces, symmetry, (square,), KEY) < 1e-1  # and not 0, as of a function that is zero
    assert error(forces, symmetry, (square,), KEY) < 1e-4


def test_the_scale_of_each_leaf(x64):
    x, w = jnp.array([1.0, -3.0]), jnp.array([5.0, 0.1])
    size = size_nearby(
        lambda w, x, n: {"x": x, "zero": 0 * x, "whole": n, "far": 1 / (x - 1), "weights": w},
        Symmetry(SO(2), (None, reps.Vector(), None), None),
        (w, x, jnp.array([7, -9])),
        KEY,
    )
    scale = jax.tree.map(first_nonzero, size)
    assert 3 <= scale["x"] < 4
    assert scale["zero"] == 1
    assert scale["whole"] == 9
    assert jnp.isfinite(scale["far"])
    assert scale["weights"] == 5  # what the group does not touch is not perturbed


def test_what_should_be_zero_and_is_not_has_the_scale_of_what_came():
    symmetry = Symmetry(groups.Translation(3), reps.Position(), reps.Position())
    origin = lambda x: 0 * x  # noqa: E731
    assert error(origin, symmetry, (POINTS,), KEY) == 1  # 0 against its image t, in units of t
    symmetry = Symmetry(groups.Translation(3), reps.Position(), None)
    assert error(lambda x: 1e-3 * (x - POINTS) * (jnp.abs(x - POINTS) > 0.5), symmetry, (POINTS,), KEY) == 1


@pytest.mark.parametrize("xp", [np, jnp])
def test_the_pieces_are_the_same_for_jax_and_numpy(xp):
    rows = np.float32([[[0, 3], [0, -3]], [[0, 3], [0, -3]]])  # columns spread by 0 and by 3, rows are two axes
    for x, expected in [
        (rows, 3),
        (rows[:, :1], 3),  # equal rows: their size
        (rows[0, 0], 1.5),
        (rows[0, 0, 1], 3),
        (np.zeros((4, 2), np.float32), 1),
        (np.zeros((0, 2), np.float32), 1),
    ]:
        assert spread(xp.asarray(x)) == expected
    bad = xp.asarray([np.inf, -np.inf, np.nan, -2.0])
    assert largest(bad) == 2
    assert largest(xp.zeros((0, 3))) == 0
    with np.errstate(invalid="ignore"):
        found = departure(bad, xp.asarray([np.inf, np.inf, 0.0, 1.0]))
    np.testing.assert_array_equal(found, [0, np.inf, np.nan, 3])
    assert first_nonzero(largest(xp.zeros(2)), largest(bad)) == 2
    assert first_nonzero(largest(xp.zeros(2))) == 1


def test_ignored_outputs_are_not_compared_and_invariant_ones_are():
    f = lambda x: (jnp.sum(x**2), x, {"index": jnp.argmax(x)})  # noqa: E731
    good = Symmetry(SO(3), reps.Vector(), (None, reps.Vector(), reps.Ignore()))
    assert error(f, good, (POINTS,), KEY) < 1e-5
    bad = Symmetry(SO(3), reps.Vector(), (None, None, reps.Ignore()))
    assert error(f, bad, (POINTS,), KEY) > 0.1
    with pytest.raises(ValueError, match="nothing to compare"):
        equivariance_error(f, Symmetry(SO(3), reps.Vector(), reps.Ignore()), (POINTS,), key=KEY)


def test_random_keys_may_be_ignored_and_infinities_are_equal():
    symmetry = Symmetry(SO(3), reps.Vector(), (None, reps.Ignore()))
    assert error(lambda x: (jnp.sum(x**2) / 0, jax.random.key(1)), symmetry, (POINTS,), KEY) == 0
    assert error(lambda x: (x[0, 0] / 0, jax.random.key(1)), symmetry, (POINTS,), KEY) == jnp.inf


def test_the_error_has_a_gradient_where_inputs_are_equal():
    f = lambda w, b, x: w * (x - x.mean(0)) + b  # noqa: E731
    symmetry = Symmetry(E(3), (None, None, reps.Position()), reps.Vector())
    loss = lambda w, b: equivariance_error(f, symmetry, (w, b, POINTS), key=KEY)  # noqa: E731
    for b in (0.0, 1.0):
        slope = jax.grad(loss, argnums=(0, 1))(jnp.ones(()), jnp.full(3, b))
        assert all(bool(jnp.isfinite(g).all()) for g in slope)
        assert jnp.abs(slope[1]).max() > 1e-2


def test_elements_as_outputs():
    def frame(x):
        """Gram-Schmidt of two differences of points, and the first point."""
        u, v = x[1] - x[0], x[2] - x[0]
        u = u / jnp.linalg.norm(u)
        v = v - jnp.dot(u, v) * u
        v = v / jnp.linalg.norm(v)
        return groups.AffineElement(x[0], jnp.stack([u, v, jnp.cross(u, v)], -1))

    assert error(frame, Symmetry(SE(3), reps.Position(), reps.Element(SE(3))), (POINTS,), KEY) < 1e-5


def test_a_product_moves_atoms_and_labels():
    group = groups.Product(E(3), groups.Permutation(5))
    place = reps.Permutation(-2)
    atoms, labels = reps.Product(reps.Position(), place), reps.Product(None, reps.Index())

    def sums(x, senders, receivers):
        d = x[receivers] - x[senders]
        return jax.ops.segment_sum(d * jnp.sum(d**2, -1, keepdims=True), receivers, 5)

    senders, receivers = jnp.array([0, 1, 2, 2, 4]), jnp.array([1, 0, 3, 4, 2])
    symmetry = Symmetry(group, (atoms, labels, labels), reps.Product(reps.Vector(), place))
    assert error(sums, symmetry, (POINTS, senders, receivers), KEY) < 1e-5
    forgotten = Symmetry(group, (atoms, None, labels), reps.Product(reps.Vector(), place))
    assert error(sums, forgotten, (POINTS, senders, receivers), KEY) > 0.1


@pytest.mark.core
def test_a_circular_convolution_with_stride_commutes_with_even_shifts_only():
    def f(x):
        return jnp.stack([x, jnp.roll(x, 1), x * jnp.roll(x, -1)], -1)[::2]

    x = jnp.asarray(np.random.default_rng(0).normal(size=8), jnp.float32)
    assert error(f, Symmetry(groups.Shift(8, step=2), reps.Shift(0), reps.Shift(0, stride=2)), (x,), KEY) == 0
    assert error(f, Symmetry(groups.Shift(8), reps.Shift(0), reps.Shift(0, stride=2)), (x,), KEY) > 0.1


def test_reflections_are_told_from_rotations():
    volume = lambda x: jnp.linalg.det(x[1:4] - x[0])  # noqa: E731
    assert error(volume, Symmetry(SE(3), reps.Position(), None), (POINTS,), KEY) < 1e-5
    assert error(volume, Symmetry(E(3), reps.Position(), None), (POINTS,), KEY) > 0.1
    assert error(volume, Symmetry(E(3), reps.Position(), reps.Scalar(pseudo=True)), (POINTS,), KEY) < 1e-5


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: equivariance_error(field, FIELD, POINTS, key=KEY), TypeError, "args: expected the tuple of"),
        (
            lambda: equivariance_error(field, FIELD, (PARAMS, POINTS, CHARGES), key=KEY, samples=0),
            ValueError,
            "samples: ",
        ),
    ],
    ids=["a tuple", "samples"],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()

"""The Lie derivative against its closed form for linear maps, finite differences, and symmetric functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, reps
from equijax.measures import lie_derivative

RNG = np.random.default_rng(0)
GENERATORS = np.array(
    [[[0, 0, 0], [0, 0, -1], [0, 1, 0]], [[0, 0, 1], [0, 0, 0], [-1, 0, 0]], [[0, -1, 0], [1, 0, 0], [0, 0, 0]]]
)


@pytest.mark.core
def test_of_a_linear_map_is_the_commutator(x64):
    w, x = RNG.standard_normal((3, 3)), RNG.standard_normal(3)
    symmetry = ej.Symmetry(groups.SO(3), reps.Vector(), reps.Vector())
    found = jax.jit(lambda x: lie_derivative(lambda x: w @ x, symmetry, (x,)))(x)["rotation"]
    np.testing.assert_allclose(found, [(w @ a - a @ w) @ x for a in GENERATORS], atol=1e-14)


def test_is_zero_for_a_symmetric_function_and_names_the_part_that_breaks(x64):
    def f(violation, x):
        r = x[:, None] - x[None]
        energy = jnp.sum(jnp.exp(-jnp.sum(r**2, -1)))
        return {"energy": energy + violation * x[0, 0], "forces": jnp.sum(r, 1), "count": len(x)}

    outputs = {"energy": None, "forces": reps.Vector(), "count": reps.Ignore()}
    symmetry = ej.Symmetry(groups.E(3), (None, reps.Position()), outputs)
    x = RNG.standard_normal((4, 3))
    for violation in (0.0, 0.5):
        found = lie_derivative(f, symmetry, (violation, x))
        assert set(found) == {"rotation", "translation"}
        assert found["rotation"]["forces"].shape == (3, 4, 3)
        np.testing.assert_allclose(found["translation"]["energy"], [violation, 0, 0], atol=1e-13)
        assert np.abs(found["rotation"]["forces"]).max() < 1e-13


def test_agrees_with_finite_differences(x64):
    symmetry = ej.Symmetry(groups.SO(2), reps.Vector(), reps.Vector())
    x, group = jnp.array([1.0, 0.3]), groups.SO(2)

    def f(x):
        return jnp.stack([jnp.sin(x[0]) * x[1], x[0] ** 2])

    exact = lie_derivative(f, symmetry, (x,))["rotation"][0]
    errors = []
    for step in (1e-2, 1e-3):
        g = group.exp(jnp.array([step]))
        moved = (f(symmetry.act_inputs(g, (x,))[0]) - symmetry.act_outputs(g, f(x))) / step
        errors.append(float(jnp.abs(moved - exact).max()))
    assert errors[1] < 0.11 * errors[0] < 1e-2


def test_discrete_groups_are_refused():
    symmetry = ej.Symmetry(groups.Cyclic(4), reps.Vector(), reps.Vector())
    with pytest.raises(ValueError, match="discrete"):
        lie_derivative(lambda x: x, symmetry, (jnp.ones(2),))


def test_ignored_outputs_are_left_out_and_arrays_refused():
    symmetry = ej.Symmetry(groups.SO(2), reps.Vector(), (None, reps.Ignore()))
    norm, other = lie_derivative(lambda x: (jnp.sum(x**2), x), symmetry, (jnp.ones(2),))["rotation"]
    assert jnp.abs(norm).max() < 1e-6
    assert other is None
    with pytest.raises(TypeError, match=r"args: .*tuple"):
        lie_derivative(lambda x: x, symmetry, jnp.ones((1, 2)))

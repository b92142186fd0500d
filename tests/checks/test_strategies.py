"""The strategies draw what they say, hard inputs among it, and carry a test of one's own."""

import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, find, given, settings

import equijax as ej
from equijax import groups, reps
from equijax.checks import assert_equivariant, strategies

# beartype, which checks the arguments in these tests, draws from `random` where a container is annotated
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")
FAST = settings(max_examples=200, database=None, derandomize=True)


def finds(strategy, condition):
    return find(strategy, condition, settings=FAST)


@pytest.mark.parametrize("special", ["identity", "turn by π", "reflection"])
def test_elements_hold_special_ones(special):
    drawn = strategies.elements(groups.E(3), np.float64)
    wanted = {
        "identity": lambda g: np.array_equal(g.linear, np.eye(3)) and not g.translation.any(),
        "turn by π": lambda g: np.isclose(np.trace(g.linear), -1) and np.linalg.det(g.linear) > 0,
        "reflection": lambda g: np.linalg.det(g.linear) < 0,
    }
    g = finds(drawn, wanted[special])
    assert g.linear.dtype == np.float64
    np.testing.assert_allclose(g.linear @ g.linear.T, np.eye(3), atol=1e-14)


@pytest.mark.parametrize(
    ("strategy", "condition"),
    [
        (strategies.points(4), lambda x: not x.any()),
        (strategies.points(4), lambda x: x.any() and np.array_equal(x[0], x[1])),
        (strategies.points(4), lambda x: x.any() and np.linalg.matrix_rank(x - x[0], 1e-3) == 1),
        (strategies.points(4), lambda x: np.linalg.matrix_rank(x - x[0], 1e-3) == 3),
        (strategies.vectors(), lambda x: np.array_equal(np.abs(x), [0, 1, 0])),
        (strategies.vectors(2), lambda x: np.abs(x).max() > 1e3),
        (strategies.features((3, 2)), lambda x: not x[0].any() and x[1].all()),
        (strategies.padded_points(4), lambda pair: pair[1].sum() == 1 and not pair[0][1:].any()),
        (strategies.padded_points(4), lambda pair: pair[1].sum() == 1 and pair[0][1:].all()),
    ],
)
def test_hard_inputs_are_drawn(strategy, condition):
    x = finds(strategy, condition)
    assert jax.tree.leaves(x)[0].dtype == np.float32


SYMMETRY = ej.Symmetry(groups.E(3), (reps.Position(), None), None)


@jax.jit
def spread(x, mask):
    """Mean squared distance of the points that are not padding."""
    r = jnp.sum((x[:, None] - x[None]) ** 2, axis=-1)
    return jnp.sum(r * mask[:, None] * mask) / jnp.sum(mask) ** 2


@pytest.mark.core
@given(drawn=strategies.padded_points(4), seed=strategies.seeds())
def test_carries_a_property(drawn, seed):
    assert_equivariant(spread, SYMMETRY, drawn, key=jax.random.key(seed), allow=("exact", "vacuous"), samples=2)


@jax.jit
def square(weight, x):
    return jnp.sum(weight * x**2)


def test_a_broken_function_is_found():
    @given(x=strategies.points(3))
    @settings(max_examples=20, database=None, derandomize=True, phases=[Phase.generate])
    def wrong(x):
        assert_equivariant(
            functools.partial(square, jnp.ones(())), ej.Symmetry(groups.Translation(3), reps.Position(), None), (x,)
        )

    with pytest.raises(AssertionError, match="translation"):
        wrong()


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.setitem(sys.modules, "hypothesis.strategies", None)
    with pytest.raises(ImportError, match="pip install hypothesis"):
        strategies.points(3)


def test_elements_are_drawn_in_the_time_that_hypothesis_gives():
    script = """
from hypothesis import given
from equijax import groups
from equijax.checks import strategies
for group in (groups.Lorentz(), groups.Affine(3)):
    given(strategies.elements(group))(lambda g: None)()
"""
    subprocess.run([sys.executable, "-c", script], check=True)

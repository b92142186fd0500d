"""The least rotation of a sequence: a canonical form of necklaces, exact under shifts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import frames, groups, reps

N = 6
SEQUENCE = jnp.array([[2.0, 1.0], [0.0, 3.0], [1.0, 1.0], [0.0, 2.0], [2.0, 5.0], [0.0, 3.0]])


def begin(x):
    """What the beginning of a sequence is: no shift leaves it alone."""
    return jnp.cumsum(x, axis=0) * jnp.arange(1.0, N + 1)[:, None]


@functools.partial(jax.jit, static_argnums=0)
def compiled(outputs, x):
    symmetry = ej.Symmetry(groups.Shift(N), reps.Shift(0), outputs)
    f = begin if outputs else lambda x: jnp.sin(begin(x)[2])
    return ej.frame_average(f, symmetry, frames.least_rotation, frame_input=0)(x)


@pytest.mark.parametrize("outputs", [None, reps.Shift(0)], ids=["invariant", "equivariant"])
def test_functions_of_sequences_become_functions_of_necklaces(outputs, x64):
    wanted = compiled(outputs, SEQUENCE)
    for s in range(1, N):
        image = wanted if outputs is None else jnp.roll(wanted, s, axis=0)
        np.testing.assert_allclose(compiled(outputs, jnp.roll(SEQUENCE, s, axis=0)), image, atol=1e-14)
    other = compiled(outputs, SEQUENCE[::-1])  # the mirror image is another necklace
    assert jnp.abs(other - wanted).max() > 0.1


def test_the_form_is_the_first_in_the_dictionary():
    rng, run = np.random.default_rng(0), jax.jit(frames.least_rotation, static_argnums=0)
    for _ in range(20):
        x = rng.integers(0, 3, N)
        (element,), weights, info = run(groups.Shift(N), x)
        rotations = sorted(tuple(np.roll(x, -s)) for s in range(N))
        assert tuple(np.roll(x, -int(element[0]))) == rotations[0]
        assert weights.tolist() == [1]
        assert info.degenerate == (rotations[0] == rotations[1])


def test_how_far_the_next_form_is():
    _, _, info = frames.least_rotation(groups.Shift(4), jnp.array([0.0, 9.0, 0.1, 10.0]))
    np.testing.assert_allclose(info.gap, 0.01, rtol=1e-5)
    assert frames.least_rotation(groups.Shift(1), jnp.ones((1, 2)))[2].gap == 1
    _, _, info = frames.least_rotation(groups.Shift(4), jnp.array([0.0, jnp.nan, 0.1, 1.0]))
    assert info.degenerate
    assert info.nonfinite_row == 1


@pytest.mark.parametrize(
    ("group", "x", "message"),
    [
        (groups.Shift(4, step=2), jnp.ones(4), "group: least_rotation is a frame of"),
        (groups.SO(2), jnp.ones((4, 2)), "group: least_rotation is a frame of"),
        (groups.Shift(4), jnp.ones(5), "points: expected a sequence of 4 entries"),
    ],
)
def test_errors_of_the_least_rotation(group, x, message):
    with pytest.raises(ValueError, match=message):
        frames.least_rotation(group, x)

"""Flow-equivariant recurrent networks: exact verdicts, what is not exact and by how much, masks, bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, reps
from equijax.models import FERNN, FERNNClassifier

TORUS, GRID = groups.Shift((4, 4)), reps.Shift((-3, -2))
ALL, SOME = np.asarray(ej.nn.velocity_set(TORUS)), np.asarray(ej.nn.velocity_set(TORUS, most=1))
FRAMES = np.random.default_rng(0).random((3, 4, 4, 1), np.float32)


def flow(group, frame, start=3):
    """A flow of three frames is one of those that follow."""
    return ej.Symmetry(group, (None, reps.Sequence(frame), None), reps.Sequence(frame, start) if start else None)


def report(model, velocities, steps=10, frames=FRAMES, group=TORUS, frame=GRID):
    told = functools.partial(model.apply, steps=steps)
    params = jax.jit(functools.partial(model.init, steps=1))(jax.random.key(1), frames, velocities)
    return ej.check(told, flow(group, frame), (params, frames, velocities), samples=2)


@pytest.mark.parametrize(
    "options", [{}, {"cell": "gated"}, {"rollout": "coast"}, {"mixing": True, "remat": True}], ids=str
)
def test_ten_frames_that_are_told_flow_as_what_was_seen(options):
    assert report(FERNN(TORUS, features=3, layers=1, **options), ALL).verdict == "exact"


@pytest.mark.parametrize(
    ("options", "velocities", "verdict", "error"),
    [
        ({"cell": "pre"}, ALL, "broken", 1.691),  # as published
        ({}, ALL[:1], "broken", 1.459),  # a plain recurrent network
        ({}, SOME, "broken", 4.984),  # a part of the velocities
    ],
    ids=["published", "plain", "truncated"],
)
def test_what_is_not_equivariant_is_found_out(options, velocities, verdict, error):
    found = report(FERNN(TORUS, features=3, layers=1, **options), velocities)
    assert found.verdict == verdict
    assert found.error == pytest.approx(error, rel=0.01)


@pytest.mark.parametrize("options", [{}, {"cell": "gated", "rollout": "coast"}], ids=str)
def test_quarter_turns_are_exact(options):
    group, frames = groups.Cyclic(4), FRAMES[:, :3, :3]
    model = FERNN(group, features=2, layers=1, **options)
    assert report(model, group.elements(), 3, frames, group, reps.Image()).verdict == "exact"


def test_scores_do_not_depend_on_the_velocity_nor_on_padding():
    model = FERNNClassifier(TORUS, features=3, classes=4, cell="pre")
    params = jax.jit(model.init)(jax.random.key(0), FRAMES, ALL)
    assert ej.check(model.apply, flow(TORUS, GRID, 0), (params, FRAMES, ALL), samples=2).verdict == "exact"
    padded, mask = np.concatenate([FRAMES, np.full((2, 4, 4, 1), np.nan, np.float32)]), np.arange(5) < 3
    value = lambda params, frames, mask: jnp.sum(model.apply(params, frames, ALL, mask) ** 2)  # noqa: E731
    gradient = jax.jit(jax.grad(value))
    for a, b in zip(
        *map(jax.tree.leaves, (gradient(params, FRAMES, None), gradient(params, padded, mask))), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize("cell", ["post", "pre"])
def test_padded_frames_do_not_matter_to_what_is_told(cell):
    model = FERNN(TORUS, features=3, layers=1, cell=cell)
    params = jax.jit(model.init)(jax.random.key(0), FRAMES, SOME)
    padded, mask = np.concatenate([FRAMES, np.full((2, 4, 4, 1), np.nan, np.float32)]), np.arange(5) < 3
    told = jax.jit(functools.partial(model.apply, steps=3))
    np.testing.assert_allclose(told(params, padded, SOME, mask=mask), told(params, FRAMES, SOME), rtol=1e-5)
    assert np.isnan(told(params, padded, SOME)).all()  # NaN that is not masked is NaN in what is told


def test_another_set_of_as_many_velocities_does_not_compile_again():
    model = FERNN(TORUS, features=3, layers=1)
    params = jax.jit(model.init)(jax.random.key(0), FRAMES, SOME)
    told = jax.jit(model.apply)
    first, other = told(params, FRAMES, SOME), told(params, FRAMES, SOME + np.array([1, 0]))
    assert told._cache_size() == 1
    assert np.abs(first - other).max() > 1e-3
    np.testing.assert_allclose(told(params, FRAMES, SOME[::-1]), first, rtol=1e-5)  # the order does not matter


def test_coasting_is_periodic_on_a_torus():
    model = FERNN(TORUS, features=3, layers=1, rollout="coast")
    params = jax.jit(model.init)(jax.random.key(0), FRAMES, SOME)
    told = jax.jit(functools.partial(model.apply, steps=41))(params, FRAMES, SOME)
    np.testing.assert_allclose(told[40], told[0], rtol=1e-6)
    assert np.abs(told[1] - told[0]).max() > 1e-3


MODEL = FERNN(TORUS, features=2)
BAD = [
    (MODEL, (list(FRAMES), SOME), TypeError, "frames: .* got a list; pad sequences of unequal lengths .* mask"),
    (MODEL, (FRAMES.astype(int), SOME), TypeError, "frames: expected real floating-point numbers, got int"),
    (MODEL, (FRAMES[:1], SOME), ValueError, r"frames: expected \(time, .* with two frames or more"),
    (MODEL, (FRAMES[:, :3], SOME), ValueError, r"frames: expected \(4, 4\) pixels"),
    (MODEL, (FRAMES, SOME.astype(np.float32)), TypeError, "velocities: expected integers"),
    (MODEL, (FRAMES, SOME[:, :1]), ValueError, "velocities: expected elements of Shift"),
    (FERNN(groups.Shift((4, 4), step=2)), (FRAMES, SOME), ValueError, "velocities: expected elements of Shift"),
    (FERNN(groups.Cyclic(4)), (FRAMES[:, :3], groups.Cyclic(4).elements()), ValueError, "as many rows as columns"),
    (FERNN(groups.Dihedral(4)), (FRAMES, SOME), TypeError, r"group: expected groups.Shift\(\(height, width"),
    (FERNN(TORUS, rollout="none"), (FRAMES, SOME), ValueError, "rollout: expected one of 'feed', 'coast'"),
    (FERNN(TORUS, cell="none"), (FRAMES, SOME), ValueError, "order: expected one of 'post', 'pre', 'gated'"),
]


@pytest.mark.parametrize(("model", "arguments", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_errors_name_the_argument(model, arguments, error, message):
    with pytest.raises(error, match=message):
        model.init(jax.random.key(0), *arguments)


def test_a_mask_has_one_entry_a_frame():
    with pytest.raises(ValueError, match=r"mask: expected shape \(3,\), one entry a frame, got \(2,\)"):
        MODEL.init(jax.random.key(0), FRAMES, SOME, mask=np.ones(2, bool))

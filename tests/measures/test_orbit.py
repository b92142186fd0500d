"""Orbit statistics against closed forms, and what they cost."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shards import assert_shards_agree

from equijax import groups, reps
from equijax.measures import consistency, invariance_score, orbit, sweep, worst_case
from equijax.symmetry import Symmetry

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
# samples are numbered, and elements are: a unit is any table a[s, t]
SAMPLES, SHIFTS = 60, 40
CLOCK = Symmetry(groups.Shift(SHIFTS), (None, reps.Shift(0)), None)
ROWS = jnp.arange(SAMPLES), jnp.broadcast_to(jnp.arange(SHIFTS), (SAMPLES, SHIFTS))


def read(table):
    """The function whose activation at sample s and element t is table[s, t]."""
    return lambda s, clock: table[s, -clock[0] % SHIFTS]


def test_the_variances_of_an_additive_unit_and_of_noise(x64):
    b, c, noise = 2 * RNG.standard_normal(SAMPLES), 4 * RNG.standard_normal(SHIFTS), RNG.standard_normal((200, 50))
    table = jnp.asarray(
        np.stack([b[:, None] + c, b[:, None] + 0 * c, 0 * b[:, None] + c, 3.3 + 0 * b[:, None] + 0 * c], -1)
    )
    found = jax.jit(lambda: orbit(read(table), CLOCK, ROWS, samples=SHIFTS))()
    sample, transformation = np.var(b, ddof=1), np.var(c, ddof=1)
    np.testing.assert_allclose(found.transformation, [transformation, 0, transformation, 0], atol=1e-12)
    np.testing.assert_allclose(found.sample, [sample, sample, 0, 0], atol=1e-12)
    np.testing.assert_allclose(found.normalized, [transformation / sample, 0, np.inf, 1], atol=1e-12)
    assert found.dead == 1
    clock = Symmetry(groups.Shift(50), (None, reps.Shift(0)), None)
    inputs = jnp.arange(200), jnp.broadcast_to(jnp.arange(50), (200, 50))
    unit = lambda s, x: jnp.asarray(noise)[s, -x[0] % 50]  # noqa: E731
    assert abs(orbit(unit, clock, inputs, samples=50).normalized - 1) < 0.05  # 1/n in place of 1/(n − 1) is off by 2 %
    exact = np.var(noise, axis=1, ddof=1).mean() / np.var(noise, axis=0, ddof=1).mean()
    np.testing.assert_allclose(orbit(unit, clock, inputs, samples=50).normalized, exact, rtol=1e-12)


def test_of_one_that_moves_as_stated_it_is_zero_and_channels_are_averaged_before_the_quotient(x64):
    x = jnp.asarray(RNG.standard_normal((12, 5, 3)))
    f = lambda x: x * jnp.sum(x**2, axis=-1, keepdims=True)  # noqa: E731
    found = {
        outputs: jax.jit(lambda o=outputs: orbit(f, Symmetry(groups.SO(3), reps.Vector(), o), x, key=KEY, average=0))()
        for outputs in (reps.Vector(), None)
    }
    assert found[reps.Vector()].normalized.shape == (3,)
    assert jnp.max(found[reps.Vector()].normalized) < 1e-28
    assert jnp.min(found[None].normalized) > 0.5
    units = orbit(f, Symmetry(groups.SO(3), reps.Vector(), None), x, key=KEY)
    np.testing.assert_allclose(found[None].normalized, units.transformation.mean(0) / units.sample.mean(0), rtol=1e-12)
    assert not np.allclose(found[None].normalized, units.normalized.mean(0), rtol=1e-3)


def test_as_many_evaluations_as_elements_and_no_memory_that_grows():
    symmetry = Symmetry(groups.SO(3), reps.Vector(), None)
    weights = jnp.asarray(RNG.standard_normal((256, 256)), jnp.float32)
    x = jnp.asarray(RNG.standard_normal((4, 256, 3)), jnp.float32)

    def f(x):
        return weights @ jnp.tanh(weights @ x)

    def compiled(g):
        return jax.jit(g).lower(x).compile()

    small, large = (compiled(lambda x, n=n: orbit(f, symmetry, x, key=KEY, samples=n)) for n in (4, 64))
    sizes = [program.memory_analysis().temp_size_in_bytes for program in (small, large)]
    assert sizes[1] < 1.05 * sizes[0] + 64 * 100  # but for the elements themselves
    step = large.cost_analysis()["flops"]  # a loop counts as one of its steps
    assert step < 1.1 * compiled(jax.vmap(f)).cost_analysis()["flops"]


def test_the_invariance_score_is_zero_one_and_between(x64):
    noise = jnp.asarray(RNG.standard_normal((300, 400, 6)))
    clock = jnp.broadcast_to(jnp.arange(400), (300, 400))
    moved = reps.Shift(0)
    cases = [  # what it does, how its output moves, lowest and highest score
        (lambda s, x: noise[s, 0], None, 0, 0),
        (lambda s, x: x + s, moved, 0, 0),
        (lambda s, x: noise[s, -x[0] % 400], None, 0.95, 1.05),
        (lambda s, x: noise[0, -x[0] % 400], None, 0.9, 1.1),  # tells elements alone
        (lambda s, x: noise[s, 0] + noise[s, -x[0] % 400] / 4, None, 0.05, 0.3),
        (lambda s, x: jnp.ones(3), None, 1, 1),  # 0 / 0
    ]

    @jax.jit
    def scores():
        return {
            (metric, k): invariance_score(
                f, Symmetry(groups.Shift(400), (None, moved), out), (jnp.arange(300), clock), key=KEY, metric=metric
            )
            for metric in ("l2", "cosine", "dot")
            for k, (f, out, _, _) in enumerate(cases[: 3 if metric != "l2" else None])
        }

    for (metric, k), score in scores().items():
        assert cases[k][2] <= score <= cases[k][3], (metric, k)
    # of two samples no pair may be a sample and itself, which would be 0 / 0
    turns, two = Symmetry(groups.Shift(2), reps.Shift(0), None), jnp.array([[0.0, 1.0], [0.0, 3.0]])
    assert jnp.max(jax.vmap(lambda key: invariance_score(jnp.sum, turns, two, key=key))(jax.random.split(KEY, 8))) == 0


def test_the_worst_case_the_consistency_and_the_sweep():
    x = jnp.asarray(RNG.standard_normal((6, 8)), jnp.float32)
    shifts = Symmetry(groups.Shift(8), reps.Shift(0), None)
    f = lambda x: jnp.stack([x[0] * 2, jnp.sum(x)])  # noqa: E731
    found = jax.jit(lambda: worst_case(f, shifts, x))()
    moved = np.stack([np.roll(x, t, axis=1)[:, 0] for t in range(8)])
    far = 2 * np.abs(moved - moved[0])
    np.testing.assert_allclose(found.of_elements, far.max(1), rtol=1e-5)
    assert (int(found.element), int(found.sample)) == np.unravel_index(far.argmax(), far.shape)
    assert worst_case(f, shifts, x, elements=jnp.array([[0], [8]])).distance < 1e-5
    kept = np.mean((moved > 0.3) == (moved[0] > 0.3))
    np.testing.assert_allclose(consistency(lambda x: jnp.stack([x[0], 0.3]), shifts, x), kept)
    classes = Symmetry(groups.Shift(8), reps.Shift(0), reps.Shift(0))  # the largest entry, a class, moves along
    assert consistency(lambda x: x, classes, x) == 1 > consistency(lambda x: x, shifts, x)
    curve = sweep(lambda x: {"first": x[0]}, x[0], lambda t, x: x * t, jnp.linspace(0, 2, 5))
    np.testing.assert_allclose(curve.responses["first"], np.linspace(0, 2, 5) * x[0, 0], rtol=1e-6)
    (line,) = curve.plot().get_lines()
    np.testing.assert_allclose(line.get_ydata(), curve.responses["first"])


def test_on_four_devices_as_on_one(x64):
    x = jnp.asarray(RNG.standard_normal((8, 2)))
    turns = Symmetry(groups.SO(2), reps.Vector(), None)

    @functools.partial(jax.jit, static_argnums=2)
    def statistics(w, x, axis_name):
        f = lambda x: jnp.tanh(w @ x)  # noqa: E731
        options = {"key": KEY, "axis_name": axis_name}
        found = orbit(f, turns, x, samples=3, **options)
        return (
            jnp.sum(found.normalized) + invariance_score(f, turns, x, **options),
            {
                "sample": found.sample,
                "worst": worst_case(f, turns, x, samples=3, **options),
                "kept": consistency(f, turns, x, samples=3, **options),
            },
        )

    assert_shards_agree(statistics, jnp.asarray(RNG.standard_normal((3, 2))), (x,))


X = jnp.ones((4, 2))
TURNS = Symmetry(groups.SO(2), reps.Vector(), None)
IGNORING = Symmetry(groups.SO(2), reps.Vector(), reps.Ignore())
WITH_WEIGHTS = Symmetry(groups.SO(2), (None, reps.Vector()), None)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: orbit(jnp.sum, TURNS, X, samples=1, key=KEY), "samples: expected an integer of at least 2, got 1"),
        (lambda: orbit(jnp.sum, Symmetry(groups.Cyclic(1), reps.Vector(), None), X), "an orbit of 1 does not vary"),
        (lambda: orbit(jnp.sum, TURNS, X, elements=jnp.eye(2)[None]), "an orbit of one element does not vary"),
        (lambda: orbit(jnp.sum, TURNS, X[:1], key=KEY), "inputs: expected at least 2 samples, got 1"),
        (lambda: orbit(jnp.sum, TURNS, jnp.ones((4, 3)), key=KEY), r"expected shape \(..., 2\) for Vector"),
        (lambda: orbit(jnp.sum, TURNS, X), r"key: random elements of SO\(2\) need one"),
        (lambda: orbit(jnp.sum, TURNS, X, key=KEY, average=0), r"average: expected axes .* shape \(\), got 0"),
        (lambda: orbit(jnp.sum, IGNORING, X, key=KEY), "nothing to compare"),
        (
            lambda: orbit(lambda w, x: w @ x, WITH_WEIGHTS, (jnp.eye(2), X), key=KEY),
            "inputs: expected as many samples in each array, got {'w': 2, 'x': 4}; bind .* by functools.partial",
        ),
        (lambda: worst_case(jnp.sum, TURNS, X, elements=jnp.ones((3, 3, 3))), "elements: expected elements of SO"),
        (lambda: worst_case(jnp.sum, TURNS, X, elements=jnp.eye(2)), "elements: expected 1 or more along"),
        (lambda: consistency(jnp.sum, TURNS, X, key=KEY), r"f: expected scores of shape \(classes,\), got \(\)"),
        (lambda: invariance_score(jnp.sum, TURNS, X, key=KEY, metric="L2"), "metric: expected one of 'l2', 'cosine'"),
        (lambda: sweep(jnp.sum, X, lambda t, x: x, jnp.ones(())), r"values: expected shape \(n,\), got \(\)"),
    ],
)  # fmt: skip
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()

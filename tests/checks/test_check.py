"""Every verdict, every part of the group, every way to hold parameters, and what the check refuses."""

import functools
import inspect
import itertools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, reps
from equijax.checks import check
from equijax.checks.inputs import collinear

RNG = np.random.default_rng(0)
X = RNG.standard_normal((5, 3)).astype(np.float32)
E3 = ej.Symmetry(groups.E(3), (None, reps.Position()), {"energy": None, "forces": reps.Vector()})
O3 = ej.Symmetry(groups.O(3), reps.Vector(), reps.Vector())


def pairwise(broken, x):
    """An exact potential and its forces, with one violation for each entry of `broken`."""
    r = x[:, None] - x[None]
    w = jnp.exp(-jnp.sum(r**2, -1))
    chiral = jnp.sum(jnp.cross(r[0, 1], r[0, 2]) * r[0, 3])  # changes its sign under reflections only
    forces = jnp.sum(w[..., None] * r, 1)
    forces = forces.at[2, 1].add(broken["rotation"] * jnp.sum(r[0, 1] ** 2))
    energy = jnp.sum(w) + broken["reflection"] * chiral + broken["translation"] * jnp.sum(x[0] ** 2)
    return {"energy": energy, "forces": forces}


def broken(**amounts):
    return {name: jnp.float32(amounts.get(name, 0)) for name in ("rotation", "reflection", "translation")}


@pytest.mark.core
@pytest.mark.gpu
@pytest.mark.parametrize(
    ("amount", "verdict"),
    [(0, "exact"), (1e-9, "limited"), (1e-7, "limited"), (1e-3, "approximate"), (1, "broken")],
)
def test_verdict_by_the_size_of_a_violation_in_one_component(amount, verdict):
    report = check(pairwise, E3, (broken(rotation=amount), X))
    found = {verdict, "approximate"} if amount == 1e-7 else {verdict}  # at 1e-7 the two errors are much the same
    assert report.verdict in found
    if amount:
        assert report.worst.output == "['forces']"
        assert report.worst.index == (2, 1) or amount == 1
        assert report.error == pytest.approx(report.worst.error)
        with pytest.raises(AssertionError, match="forces"):
            report.assert_exact()
    else:
        report.assert_exact()
        assert report.error < 1e-14


@pytest.mark.core
@pytest.mark.gpu
@pytest.mark.parametrize("part", ["rotation", "reflection", "translation"])
def test_blames_the_part_that_is_broken(part):
    report = check(pairwise, E3, (broken(**{part: 1e-4}), X))
    errors = report.by_part
    assert set(errors) == {"rotation", "reflection", "translation"}
    others = [error for name, error in errors.items() if name != part]
    assert errors[part] > 1e-6
    assert max(others) < 1e-13
    assert report.worst.part == part
    assert part in str(report)


def test_blames_permutations_and_rotations_apart():
    group = groups.Product(groups.SO(3), groups.Permutation(5))
    symmetry = ej.Symmetry(group, reps.Product(reps.Vector(), reps.Permutation(-2)), None)

    def ordered(x):
        return jnp.sum(x[0] * x[1])

    def aligned(x):
        return jnp.sum(x[:, 0] ** 3)

    for f, part in ((ordered, "permutation"), (aligned, "rotation")):
        errors = check(f, symmetry, (X,)).by_part
        assert errors.pop(part) > 1e-2
        assert max(errors.values()) < 1e-14


def test_two_points_that_may_be_swapped_are_swapped():
    symmetry = ej.Symmetry(groups.Permutation(2), reps.Permutation(-2), None)

    first = jax.jit(lambda x: x[0, 0])
    for seed in range(20):
        assert check(first, symmetry, (X[:2],), key=jax.random.key(seed), samples=1).verdict == "broken"


@pytest.mark.parametrize(
    ("f", "inputs", "outputs", "why"),
    [
        (lambda x, q: x * 0, reps.Vector(), reps.Vector(), "zero"),
        (lambda x, q: jnp.sum(q), reps.Vector(), None, "does not depend"),
        (lambda x, q: jnp.int32(jnp.sum(x) > -1e9), reps.Vector(), None, "integers, and was the same"),
        (lambda x, q: jnp.sum(x), None, None, "moves none"),
        (lambda x, q: x * q[0], reps.Vector(), reps.Ignore(), "no output is compared"),
        (lambda x, q: jnp.cross(x, x) + (x - 3 * (x / 3)), reps.Vector(), reps.Vector(), "zero"),
        (lambda x, q: x * 0 + 1e-17 * (x.dtype == jnp.float64), reps.Vector(), reps.Vector(), "zero"),
    ],
)
def test_vacuous_says_why(f, inputs, outputs, why):
    report = check(f, ej.Symmetry(groups.SO(3), (inputs, None), outputs), (X, jnp.ones(2)))
    assert report.verdict == "vacuous"
    assert why in report.reason


RING = np.stack([np.cos(np.arange(6)), np.sin(np.arange(6)), np.zeros(6)], 1).astype(np.float32)


@pytest.mark.core
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
@pytest.mark.parametrize(
    ("f", "group", "outputs", "x", "part"),
    [
        (lambda x: (x - x.mean(0)) ** 3, groups.SE(3), reps.Vector(), np.ones((5, 3), np.float32), "rotation"),
        (lambda x: x**3, groups.SO(3), reps.Vector(), np.zeros((5, 3), np.float32), "rotation"),
        (lambda x: 9 + jnp.linalg.det(x[1:4] - x[0]), groups.E(3), None, RING, "reflection"),
        (lambda x: 9 + x[0], groups.Shift(5), None, np.ones(5, np.float32), "shift"),
    ],
    ids=["coincident", "zeros", "planar", "constant"],
)
def test_special_inputs_do_not_hide_an_error(f, group, outputs, x, part, transform):
    rep = reps.Shift(0) if part == "shift" else reps.Position()
    report = check(transform(f), ej.Symmetry(group, rep, outputs), (x,))
    assert report.verdict in ("approximate", "broken")
    assert report.worst.part == part
    assert any("at an input nearby" in note for note in report.notes)
    assert not any(
        "nearby" in note for note in check(f, ej.Symmetry(group, rep, outputs), (X[:, 0] if x.ndim == 1 else X,)).notes
    )


def test_nearby_inputs_where_a_function_is_not_defined_do_not_count():
    def f(r, s):
        return r * jnp.sqrt(s - 1)  # s = 1 at the given input, less at some nearby

    symmetry = ej.Symmetry(groups.SO(3), (reps.Vector(), reps.Scalar()), reps.Vector())
    verdicts = {check(f, symmetry, (X, jnp.ones(1)), key=jax.random.key(seed)).verdict for seed in range(4)}
    assert verdicts <= {"exact", "vacuous"}


def test_elements_among_the_inputs_stay_elements():
    group = groups.SO(3)
    symmetry = ej.Symmetry(group, (reps.Element(group), reps.Vector()), None)

    def local(r, x):
        orthogonal = jnp.max(jnp.abs(r.T @ r - jnp.eye(3))) < 1e-3
        return jnp.where(orthogonal, x @ r, x)

    assert check(local, symmetry, (group.sample(jax.random.key(0)), X)).verdict == "exact"


def test_an_output_that_overflows_in_float32_is_judged_in_float64():
    symmetry = ej.Symmetry(groups.E(3), reps.Position(), (reps.Vector(), None))
    broken, exact = (
        lambda x: (x - x.mean(0), jnp.exp(100 + x[0] ** 2)),
        lambda x: (x - x.mean(0), jnp.exp(100 + jnp.sum((x[0] - x[1]) ** 2))),
    )
    assert check(broken, symmetry, (X,)).verdict == "broken"
    assert check(exact, symmetry, (X,)).verdict == "exact"


def test_small_cases():
    for group in (groups.SO(1), groups.Product()):
        report = check(lambda x: x, ej.Symmetry(group, None, None), (X,))
        assert report.verdict == "vacuous"
    symmetry = ej.Symmetry(groups.E(3), reps.Position(), (reps.Vector(), reps.Vector(), reps.Ignore()))
    report = check(lambda x: (x[:0], x - x.mean(0), jax.random.key(0)), symmetry, (X,))
    assert report.verdict == "exact"
    assert check(lambda x: x[:0], ej.Symmetry(groups.E(3), reps.Position(), reps.Vector()), (X,)).verdict == "vacuous"


def test_zero_is_broken_where_the_image_moves():
    symmetry = ej.Symmetry(groups.Translation(3), reps.Position(), reps.Position())
    assert check(lambda x: x * 0, symmetry, (X,)).verdict == "broken"


def test_a_constant_vector_is_broken_and_a_bag_of_integers_is_exact():
    assert check(lambda x: x * 0 + 1, O3, (X,)).verdict == "broken"
    symmetry = ej.Symmetry(groups.Permutation(6), reps.Permutation(-1), None)
    report = check(lambda n: jnp.sum(n**2), symmetry, (jnp.array([1, 5, 2, 2, 7, 3]),))
    assert report.verdict == "exact", report
    assert report.error == 0


def test_forces_at_equilibrium_are_not_broken():
    def forces(x):
        return jax.grad(lambda x: -jnp.sum((jnp.sum((x[0] - x[1]) ** 2) - 1) ** 2))(x)

    x = jnp.array([[0.0, 0, 0], [0.6, 0.8, 0]])
    assert check(forces, ej.Symmetry(groups.E(3), reps.Position(), reps.Vector()), (x,)).verdict == "exact"


@pytest.mark.core
def test_unresolved_says_why():
    def single(x):
        return jax.lax.mul(x, jnp.full(x.shape, 2, jnp.float32))  # does not promote

    report = check(single, O3, (X,))
    assert report.verdict == "unresolved"
    assert "float64" in report.reason
    assert report.error < 1e-5
    assert "TypeError" in report.reason

    for f, why in ((lambda x: x / 0, "not finite"), (lambda x: x / 0 * 0, "output[0, 0] is not a number")):
        report = check(f, O3, (X,))
        assert report.verdict == "unresolved"
        assert why in report.reason


@pytest.mark.core
@pytest.mark.gpu
@pytest.mark.parametrize("narrow", [jnp.float32, jnp.bfloat16])
def test_narrowing_casts_are_named_with_their_lines(narrow):
    def narrowed(y):
        return y.astype(narrow)

    def cast(x):
        return jax.lax.fori_loop(0, 2, lambda i, y: jnp.cos(jnp.sum(narrowed(y) ** 2)).astype(x.dtype) * x, x)

    report = check(cast, O3, (X,))
    assert report.verdict in ("limited", "approximate", "broken")
    # where it is cast, not where that is called
    named = [cast for cast in report.casts if "test_check.py" in cast and "(narrowed)" in cast]
    assert any(np.dtype(narrow).name in cast for cast in named), report.casts
    assert not check(lambda x: 2 * x @ jnp.eye(3, dtype=x.dtype), O3, (X,)).casts


def test_casts_are_found_in_the_branches_of_a_condition():
    def branches(x):
        return jax.lax.cond(jnp.sum(x) > 1e9, lambda y: y.astype(jnp.bfloat16).astype(y.dtype), lambda y: y, x)

    assert "bfloat16" in check(branches, O3, (X,)).casts[0]
    assert "rounded to 9 bits" in check(lambda x: jax.lax.reduce_precision(x, 11, 9), O3, (X,)).casts[0]


def test_two_answers_for_one_input_are_said():
    rng, calls = np.random.default_rng(0), itertools.count()
    for f in (lambda x: x + rng.normal(), lambda x: np.asarray(x) * next(calls)):
        report = check(f, O3, (X,))
        assert report.verdict == "unresolved"
        assert "not deterministic" in report.reason


def test_not_a_number_at_some_moved_inputs_is_broken():
    report = check(lambda x: jnp.where(x[0, 0] > 0, x, jnp.nan), O3, (np.abs(X),))
    assert report.verdict == "broken"
    assert report.error == np.inf
    assert any("not a number at some" in note for note in report.notes)


@pytest.mark.gpu
def test_a_float32_table_is_limited():
    rotation = jnp.asarray(np.linalg.qr(RNG.standard_normal((3, 3)))[0], jnp.float32)
    report = check(lambda x: x @ rotation.T @ rotation, O3, (X,))
    assert report.verdict in ("limited", "approximate")
    assert 1e-9 < report.error < 1e-6


def test_ill_conditioned_and_discontinuous_float32_excuses_nothing():
    def amplified(e, x):
        y = x / jnp.sqrt(1e-4 + jnp.sum(x**2, -1, keepdims=True))
        return (x + 1e5 * y - 1e5 * y).at[0, 0].add(e)

    symmetry = ej.Symmetry(groups.SO(3), (None, reps.Vector()), reps.Vector())
    exact = check(amplified, symmetry, (jnp.float32(0), X))
    assert exact.verdict == "exact"
    assert exact.by_part["rotation"] > 1e-12
    assert any("amplified" in note for note in exact.notes)
    assert check(amplified, symmetry, (jnp.float32(1e-6), X)).verdict != "exact"


def test_degenerate_inputs_on_request():
    def unit(x):
        r = x[1] - x[0]
        return r / jnp.linalg.norm(r)

    symmetry = ej.Symmetry(groups.E(3), reps.Position(), reps.Vector())
    assert check(unit, symmetry, (X,)).verdict == "exact"
    report = check(unit, symmetry, (X,), degenerate=["collinear", "coincident"])
    assert report.degenerate["collinear"].verdict == "exact"
    assert report.degenerate["coincident"].verdict == report.verdict == "unresolved"
    assert "coincident" in report.reason
    report = check(lambda x: x - x.mean(0), symmetry, (X,), degenerate={"one point": (X[:1],), "zeros": (X * 0,)})
    assert report.verdict == "exact"
    assert report.degenerate["one point"].verdict == "vacuous"
    with pytest.raises(ValueError, match=r"degenerate: .* 'poles'"):
        check(unit, symmetry, (X,), degenerate=["poles"])
    line = collinear(x := np.random.default_rng(0).normal(size=(5, 3)))  # projected on that of the first two points
    np.testing.assert_allclose(line[:2], x[:2])
    np.testing.assert_allclose((x - line) @ (x[1] - x[0]), 0, atol=1e-12)
    np.testing.assert_allclose(np.cross(line - x[0], x[1] - x[0]), 0, atol=1e-12)


class Holder:
    def __init__(self, w):
        self.w = w

    def __call__(self, x):
        return jax.lax.mul(x, self.w)  # does not promote: the parameter must be cast


def captured(w):
    def inner(x):
        return jax.lax.mul(x, w)

    return lambda x: inner(x)


def by_default(w):
    def inner(x, w=w, *, one=w / w):
        return jax.lax.mul(jax.lax.mul(x, w), one)

    return inner


@pytest.mark.core
@pytest.mark.parametrize("make", [Holder, captured, by_default, lambda w: functools.partial(jax.lax.mul, y=w)])
def test_parameters_are_found_wherever_they_are(make):
    symmetry = ej.Symmetry(groups.Permutation(5), reps.Permutation(-2), reps.Permutation(-2))
    report = check(make(jnp.full((5, 3), 2.0)), symmetry, (X,))
    assert report.verdict == "exact", report
    assert report.rows[0].error64 is not None


def test_modules_and_tables_with_any_keys_are_no_hindrance():
    module = types.ModuleType("settings")
    module.scale = jnp.float32(2)
    table = {None: jnp.float32(3), "a": 2, "inner": [{1: jnp.ones(3), "b": 0}]}

    def f(x):
        return module.scale * jax.lax.mul(table[None], x.sum()) * table["inner"][0][1]  # the table must be cast

    assert check(f, ej.Symmetry(groups.Permutation(5), reps.Permutation(-2), None), (X,)).verdict == "exact"
    energy = lambda x: jnp.sum(x**2) ** 2  # noqa: E731
    assert check(jax.grad(energy), O3, (X,)).verdict == "exact"
    both = ej.Symmetry(groups.O(3), reps.Vector(), (None, reps.Vector()))
    assert check(jax.value_and_grad(energy), both, (X,)).verdict == "exact"


def test_cached_helpers_are_left_alone():
    def make(w):
        @functools.cache
        def helper():
            return w

        return helper, lambda x: helper() * x

    helper, f = make(jnp.float32(2))
    cell = helper.__wrapped__
    assert check(f, O3, (X,)).verdict == "exact"
    assert helper.__wrapped__ is cell


@pytest.mark.core
@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_compiles_once_a_precision_and_never_a_stale_function(transform):
    traces = []
    table = {"scale": 1.0}

    def f(w, x):
        traces.append(x.dtype)
        return w * x + (0 if table["scale"] == 1 else 1)

    f = transform(f)
    symmetry = ej.Symmetry(groups.O(3), (None, reps.Vector()), reps.Vector())
    for scale in (1.0, 2.0):
        table["scale"] = scale
        report = check(f, symmetry, (jnp.float32(scale), scale * X), degenerate=["zeros"])
    jitted = transform is jax.jit
    assert traces == [jnp.float32, jnp.float64] * (1 if jitted else 2)
    assert report.verdict == ("exact" if jitted else "broken")  # jax.jit keeps what it saw first


def test_functions_that_look_at_values_run_uncompiled():
    def f(x):
        return np.asarray(x) * float(np.linalg.norm(x))

    report = check(f, O3, (X,))
    assert report.verdict == "exact"
    assert any("without jax.jit" in note for note in report.notes)


def test_static_arguments_random_keys_and_float64_data_pass():
    def f(name, order, x, settings, key):
        noise = jax.random.normal(key)
        return x * jnp.sum(x**2) ** order + noise * x if settings["square"] else x

    symmetry = ej.Symmetry(groups.O(3), (None, None, reps.Vector(), None, None), reps.Vector())
    args = ("name", 2, X.astype(np.float64), {"square": True}, jax.random.key(0))
    assert check(f, symmetry, args).verdict == "exact"


def test_python_numbers_are_moved_too_and_complex_outputs_compared():
    pseudo = reps.Scalar(pseudo=True)
    symmetry = ej.Symmetry(groups.O(3), pseudo, pseudo)
    assert check(lambda s: s**2, symmetry, (1.5,)).by_part["reflection"] > 1
    assert check(lambda s: s**3, symmetry, (1.5,)).verdict == "exact"
    shifts = ej.Symmetry(groups.Shift(5), reps.Shift(-2), reps.Shift(-2))
    assert check(lambda x: jnp.exp(1j * x), shifts, (X,)).verdict == "exact"
    assert check(lambda x: jnp.fft.fft(x, axis=-2), shifts, (X,)).verdict == "broken"


def test_prefixes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"inputs: expected 2 arguments, as \(Vector\(\), None\), got 1"):
        check(lambda x: x, ej.Symmetry(groups.O(3), (reps.Vector(), None), reps.Vector()), (X,))
    with pytest.raises(ValueError, match=r"outputs: expected .*'forces'"):
        check(lambda x: x, ej.Symmetry(groups.O(3), reps.Vector(), {"forces": reps.Vector()}), (X,))


def test_translations_have_the_size_of_the_data():
    far = 1e-6 * X
    report = check(lambda x: jnp.sum(x**2), ej.Symmetry(groups.Translation(3), reps.Position(), None), (far,))
    assert 1 < report.error < 100
    assert np.abs(report.worst.element).max() < 1e-4


def test_refuses_tracers_and_bad_arguments():
    with pytest.raises(TypeError, match="equivariance_error"):
        jax.jit(lambda x: check(lambda x: x, O3, (x,)).error)(X)
    with pytest.raises(TypeError, match="equivariance_error"):
        jax.grad(lambda w: check(lambda x: w * x, O3, (X,)).error)(1.0)
    with pytest.raises(TypeError, match=r"args: .*tuple"):
        check(lambda x: x, O3, X)
    with pytest.raises(TypeError, match=r"symmetry: .* the function comes first"):
        inspect.unwrap(check)(O3, lambda x: x, (X,))  # as users call it, without types checked
    with pytest.raises(ValueError, match="samples"):
        check(lambda x: x, O3, (X,), samples=0)
    with pytest.raises(TypeError, match=r"key: expected a random key such as .* got 3"):
        check(lambda x: x, O3, (X,), key=3)
    with pytest.raises(RuntimeError, match="mine"):
        check(lambda x: (_ for _ in ()).throw(RuntimeError("mine")), O3, (X,))


def test_report_reads_and_plots():
    report = check(pairwise, E3, (broken(reflection=1e-3), X))
    text = str(report)
    assert text.startswith("approximate: ")
    assert len(text.splitlines()) < 15
    assert all(word in text for word in ("rotation", "reflection", "float32", "float64", "ratio", "output['energy']"))
    assert max(map(len, text.splitlines())) < 140
    axes = report.plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == [row.part for row in report.rows]
    lengths = [patch.get_width() for patch in axes.patches]
    assert any(length == pytest.approx(report.by_part["reflection"]) for length in lengths)


def test_images_report_their_round_trip():
    symmetry = ej.Symmetry(groups.SO(2), reps.Image(), reps.Image())
    y, x = np.mgrid[-1:1:16j, -1:1:16j]
    image = np.exp(-4 * (x**2 + y**2))[..., None].astype(np.float32)
    report = check(lambda x: x**2, symmetry, (image,))
    assert report.floor is not None
    assert report.verdict != "exact"
    assert "floor" in str(report)
    assert report.error < 0.014  # noise, which does not turn well, is not added to images


def test_verdicts_cover_the_plane():
    from equijax.checks.verdicts import ORDER, judge

    errors32, errors64 = [0.0, 1e-8, 1e-7, 1e-3, 1.0, np.inf], [0.0, 1e-16, 1e-13, 1e-8, 1e-3, 1.0]
    for e32, e64, noise in itertools.product(errors32, errors64, [0.0, 1.0]):
        verdict = judge(e32, e64, noise)
        assert verdict in ORDER
        assert verdict != "exact" or e64 < 1e-7
        assert verdict == "exact" or e64 > 1e-14


@pytest.mark.parametrize(
    ("shrinks_by", "verdict"),
    [(2e6, "exact"), (5e5, "limited"), (4, "limited"), (2, "approximate"), (1, "approximate")],
)
def test_verdicts_change_where_conventions_say(shrinks_by, verdict):
    from equijax.checks.verdicts import judge

    for error in (1e-6, 5e-3):
        assert judge(error, error / shrinks_by) == verdict
    assert judge(1e-3, 9e-3) == "approximate"
    assert judge(1e-3, 1.1e-2) == "broken"
    assert judge(2e-7, 1e-7, narrowed=True) == "limited"
    assert judge(5e-3, 5e-3, narrowed=True) == "approximate"


def test_indices_of_numpy_do_not_stop_the_float64_program():
    """jax remembers the 32-bit form of an int64 index that the function closes over, and refuses it in float64."""
    senders, receivers = np.nonzero(~np.eye(5, dtype=bool))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    f = jax.jit(lambda x: jnp.sum((x[senders] - x[receivers]) ** 2))
    ej.check(f, ej.Symmetry(groups.E(3), (reps.Position(),), None), (x,)).assert_exact()

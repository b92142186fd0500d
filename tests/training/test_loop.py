"""The loop that trains: known minima, the same numbers after a break, averages, Ctrl-C, bad input."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from equijax import training
from equijax.training import checkpoint

X = np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)
Y = (X @ np.array([1.0, -2.0, 3.0]) + 0.5).astype(np.float32)
START = {"w": np.zeros(3, np.float32), "b": np.zeros((), np.float32)}
BATCHES = training.shuffled((X, Y), 5, seed=1)


def loss(params, batch):
    x, y = batch
    return jnp.mean((x @ params["w"] + params["b"] - y) ** 2)


def noisy(params, batch, *, key, carry):
    """A loss that draws, hands a sum on, and returns a number beside its value."""
    x, y = batch
    value = loss(params, (x + 0.1 * jax.random.normal(key, x.shape), y))
    return value, {"twice": 2 * value}, {"sum": carry["sum"] + value, "steps": carry["steps"] + 1}


def fit(steps=20, *, of=loss, batches=BATCHES, optimizer=None, **options):
    return training.fit(of, START, batches, optimizer=optimizer or optax.adam(0.1), steps=steps, progress=False,
                        **options)  # fmt: skip


def everything(**options):
    """A run that uses all there is."""
    carry = {"sum": np.zeros((), np.float32), "steps": np.zeros((), np.int32)}
    validate = lambda params: {"error": float(loss(params, (X, Y)) - 1) ** 2, "w": float(params["w"][0])}  # noqa: E731
    return fit(20, of=noisy, key=jax.random.key(3), carry=carry, decay=0.9, every=3, validate=validate, **options)


def test_it_finds_the_minimum():
    found = fit(400, optimizer=optax.adam(optax.cosine_decay_schedule(0.1, 400)))
    np.testing.assert_allclose(found.params["w"], [1.0, -2.0, 3.0], atol=1e-4)
    np.testing.assert_allclose(found.params["b"], 0.5, atol=1e-4)
    assert (found.stopped, int(found.state.step), len(found.history)) == ("steps", 400, 20)
    assert found.history[0].loss > 1 > 1e-6 > found.history[-1].loss
    chex.assert_trees_all_equal(found.best, found.params)
    np.testing.assert_array_equal(START["w"], 0)


def test_steps_by_hand():
    """Gradient descent on w²/2 from 1, rate 1/2: w = 1/2, 1/4, 1/8; the average is taken after each step."""
    run = lambda **o: training.fit(  # noqa: E731
        lambda w, batch: w**2 / 2 * batch, 1.0, [np.float32(1)], optimizer=optax.sgd(0.5), steps=3, progress=False, **o
    )
    found = run(decay=0.75, every=1)
    average = 1.0
    for w in (0.5, 0.25, 0.125):
        average = 0.75 * average + 0.25 * w
    assert float(found.state.params) == 0.125
    assert float(found.params) == average
    assert [record.loss for record in found.history] == [0.5, 0.125, 0.03125]
    assert [record.loss for record in run(every=2).history] == [(0.5 + 0.125) / 2, 0.03125]
    lowered = training.scale_by_progress(lambda p: 1 - p)  # of 3 steps: 1, 2/3, 1/3
    rule = optax.chain(optax.sgd(0.5), lowered)
    found = training.fit(lambda w, _: w**2 / 2, 1.0, [0], optimizer=rule, steps=3, progress=False)
    assert float(found.params) == pytest.approx(1 / 2 * 2 / 3 * 5 / 6)


def test_the_optimizer_knows_the_loss():
    seen = optax.GradientTransformationExtraArgs(
        lambda params: jnp.zeros(()), lambda u, state, params, *, value, **extra: (u, value)
    )
    found = training.fit(lambda w, _: w**2 / 2, 2.0, [0], optimizer=seen, steps=1, progress=False)
    assert float(found.state.optimizer) == 2.0


@pytest.mark.parametrize("at", [1, 6, 7, 19])
def test_a_run_goes_on_as_if_it_had_not_stopped(tmp_path, at, monkeypatch):
    """Interrupted at any step, between records or at one: the same parameters, average, memory, carry and history."""
    whole = everything()

    def interrupted(first):
        for k, batch in enumerate(BATCHES(first), first + 1):
            if k == at and first == 0:
                os.kill(os.getpid(), signal.SIGINT)
            yield batch

    half = everything(batches=interrupted, directory=tmp_path)
    assert (half.stopped, int(half.state.step)) == ("interrupted", at)
    assert checkpoint.latest(tmp_path) == at
    rest = everything(batches=interrupted, directory=tmp_path)
    assert rest.stopped == "steps"
    chex.assert_trees_all_equal((rest.params, rest.best, rest.state), (whole.params, whole.best, whole.state))
    timeless = lambda history: [record._replace(seconds=0, step_seconds=0) for record in history]  # noqa: E731
    assert timeless(rest.history) == timeless(whole.history)
    assert rest.spent.stepping > half.spent.stepping
    again = everything(batches=lambda first: iter([]), directory=tmp_path)  # a finished run asks for nothing
    chex.assert_trees_all_equal((again.params, again.best, again.state), (whole.params, whole.best, whole.state))


def test_a_run_that_sees_other_batches_is_seen(tmp_path):
    """The test above would fail if a resumed run began with the first batch again."""
    whole = everything()
    everything(batches=lambda first: itertools.islice(BATCHES(0), 7), directory=tmp_path)
    rest = everything(batches=lambda first: BATCHES(0), directory=tmp_path)
    assert rest.stopped == "steps"
    assert not np.array_equal(rest.params["w"], whole.params["w"])


def test_each_epoch_has_an_order_of_its_own():
    whole = training.epochs(11, 3, seed=5)
    first = [next(whole) for _ in range(10)]
    again = training.epochs(11, 3, seed=5, first_step=4)
    np.testing.assert_array_equal(first[4:], [next(again) for _ in range(6)])
    assert len(np.unique(first[:3])) == 9  # an epoch shows no example twice
    assert not np.array_equal(first[:3], first[3:6])
    seen = next(training.shuffled({"x": np.arange(11), "y": np.arange(11) ** 2}, 3, seed=5)(4))
    np.testing.assert_array_equal(seen["x"], first[4])
    np.testing.assert_array_equal(seen["y"], first[4] ** 2)


def test_an_iterable_is_read_again_and_resumed(tmp_path):
    some = list(itertools.islice(BATCHES(0), 3))
    whole = fit(8, batches=some)
    fit(8, batches=lambda first: iter((some + some)[:5]), directory=tmp_path)
    rest = fit(8, batches=some, directory=tmp_path)
    chex.assert_trees_all_equal(rest.state, whole.state)
    ended = fit(8, batches=iter(some))
    assert (ended.stopped, int(ended.state.step)) == ("batches", 3)


def test_the_best_state_is_that_of_the_best_validation():
    seen = []

    def validate(params):
        seen.append(np.array(params["w"]))
        return {"error": [3.0, 1.0, 2.0, 1.0][len(seen) - 1], "other": 0.0}

    found = fit(8, validate=validate, every=2)
    np.testing.assert_array_equal(found.best["w"], seen[1])
    np.testing.assert_array_equal(found.params["w"], seen[3])
    assert [record.validation["error"] for record in found.history] == [3.0, 1.0, 2.0, 1.0]
    assert [record.step for record in found.history] == [2, 4, 6, 8]
    assert [record.step for record in fit(8, every=3).history] == [3, 6, 8]
    assert [record.step for record in fit(30, every=0.1).history] == list(range(3, 31, 3))


def test_each_step_has_a_key_of_its_own():
    """The loss of a parameter that does not move is what was drawn."""
    draw = lambda w, _, key: jax.random.normal(key) + 0 * w  # noqa: E731
    found = training.fit(
        draw, 1.0, [0], optimizer=optax.sgd(0.1), steps=3, every=1, key=jax.random.key(3), progress=False
    )
    want = [float(jax.random.normal(jax.random.fold_in(jax.random.key(3), k))) for k in range(3)]
    assert [record.loss for record in found.history] == pytest.approx(want)
    assert len(set(want)) == 3


def test_a_budget_of_time():
    """A clock that ticks once a look: a tick for each batch and each step, and for compiling and validating."""
    ticks = itertools.count()
    options = {"seconds": 20, "clock": lambda: next(ticks), "every": 0.5, "validate": lambda params: 1.0}
    found = fit(None, counted=("batching", "stepping"), **options)
    assert (found.stopped, found.spent) == ("seconds", (1, 10, 10, 2, 0))
    assert [record.step for record in found.history] == [5, 10]
    assert [(record.seconds, record.step_seconds) for record in found.history] == [(10, 1), (20, 1)]
    assert int(fit(None, **options).state.step) == 9  # compiling and one validation count
    first = fit(4, seconds=20, clock=lambda: next(ticks))
    assert (first.stopped, int(first.state.step)) == ("steps", 4)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path):
    def batches(first):
        for k, (x, y) in enumerate(BATCHES(first), first + 1):
            yield x, y * (np.nan if k == 7 else 1)

    with pytest.warns(RuntimeWarning, match=r"the loss is not finite after step 8.* holds step 4"):
        found = fit(12, batches=batches, every=4, validate=lambda p: 1.0, directory=tmp_path)
    assert (found.stopped, found.history[-1].step) == ("diverged", 4)
    assert np.isfinite(found.best["w"]).all()
    assert np.isfinite(checkpoint.restore(tmp_path).params["w"]).all()


SCRIPT = """
    import sys, time
    import jax.numpy as jnp, numpy as np, optax
    from equijax import training

    def batches(first):
        for k in range(first, 1000):
            print(k, flush=True)
            time.sleep(0.01)
            yield np.float32(k)

    found = training.fit(
        lambda p, batch: (p["w"] - jnp.sin(batch)) ** 2, {"w": np.float32(0)}, batches, optimizer=optax.adam(0.1),
        steps=40, every=5, decay=0.9, directory=sys.argv[1], progress=False,
    )
    print(found.stopped, repr(float(found.params["w"])), flush=True)
"""


def run_script(folder, signals=()):
    """What it printed last, and how it ended, with signals sent once 12 batches are drawn."""
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if len(lines) == 12:
                for number in signals:
                    process.send_signal(number)
    return lines[-1], process.returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_a_process_that_is_stopped_goes_on(tmp_path, number):
    last, code = run_script(tmp_path / "stopped", [number])
    if number == signal.SIGINT:
        assert (last.split()[0], code) == ("interrupted", 0)
        assert checkpoint.latest(tmp_path / "stopped") in range(10, 40)
    else:
        assert code == -number
    assert run_script(tmp_path / "stopped") == run_script(tmp_path / "whole")


def test_a_second_ctrl_c_ends_it_at_once():
    """Both by the process itself: of two signals from outside, a busy machine may deliver one."""
    drawn, before = [], signal.getsignal(signal.SIGINT)

    def batches(first):
        for batch in BATCHES(first):
            drawn.append(batch)
            if len(drawn) == 3:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
            yield batch

    with pytest.raises(KeyboardInterrupt):
        fit(12, batches=batches)
    assert len(drawn) == 3
    assert signal.getsignal(signal.SIGINT) is before


def test_clear_errors(tmp_path):
    fit(4, directory=tmp_path, about={"seed": 0})
    mixed = {"w": jnp.zeros(3), "b": jnp.zeros((), jnp.bfloat16)}
    cases = {
        "batches: expected one at least, got none": lambda: fit(batches=[]),
        "steps: expected how many, or seconds, got neither": lambda: fit(None),
        "steps: expected an integer of at least 1, got 0": lambda: fit(0),
        "seconds: expected a positive number, got -1": lambda: fit(None, seconds=-1),
        "every: expected an integer of at least 1, got 0": lambda: fit(every=0),
        "every: expected steps, an integer, or a share of the run, above 0 to 1, got 1.5": lambda: fit(every=1.5),
        "decay: expected 0 to below 1, got 1.0": lambda: fit(decay=1.0),
        "counted: expected some of compiling": lambda: fit(counted=("steps",)),
        "validate: expected finite numbers, got nan for error after step 1": lambda: fit(
            validate=lambda p: {"error": np.nan}
        ),
        "validate: expected a number, or numbers by name, got an empty": lambda: fit(validate=lambda p: {}),
        r"loss: expected one number for each batch, got shape \(5,\)": lambda: fit(of=lambda p, b: b[1] * p["b"]),
        "params: expected a pytree of arrays, got none": lambda: training.start({}, optax.sgd(1.0)),
        "params: expected one dtype": lambda: training.start(mixed, training.optimizer(10)),
        "carry: expected the loss to return one of the shapes": lambda: fit(
            of=lambda p, b, carry: (p["b"] ** 2, {}, carry[None]), carry=jnp.zeros(2)
        ),
        "params: expected a dict, list or tuple of arrays to save": lambda: training.fit(
            lambda w, _: w**2, jnp.ones(()), [0], optimizer=optax.sgd(0.1), steps=1, directory=tmp_path
        ),
        "holds a run; resume it": lambda: fit(4, directory=tmp_path, about={"seed": 0}, resume=False),
        "holds a run of other steps": lambda: fit(5, directory=tmp_path, about={"seed": 0}),
        "holds a run of other about": lambda: fit(4, directory=tmp_path, about={"seed": 1}),
        "holds a run of other optimizer": lambda: fit(
            4, directory=tmp_path, about={"seed": 0}, optimizer=optax.sgd(0.1, momentum=0.9)
        ),
        "batch_size: expected 1 to 3, the number of examples, got 4": lambda: training.shuffled(np.ones(3), 4, 0),
        r"examples: expected arrays of one length, got \[2, 3\]": lambda: training.shuffled(
            [np.ones(2), np.ones(3)], 1, 0
        ),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message):
            call()
    for of in (lambda p, b: (p["b"], 1.0), lambda p, b: (p["b"], {}, 1.0)):
        with pytest.raises(TypeError, match=r"loss: expected \(value, \{name: number\}, carry\) with a carry"):
            fit(of=of)
    with pytest.raises(TypeError, match="validate: expected a number"):
        fit(validate=lambda p: p)
    checkpoint.save(tmp_path / "other", 1, None, START)
    with pytest.raises(ValueError, match="holds a checkpoint that is not of `fit`"):
        fit(directory=tmp_path / "other")


def test_an_optimizer_whose_state_is_that_of_another_one_is_told_apart(tmp_path):
    """The same one, made again, goes on; all of the others have its state, and would go on in silence."""

    def schedule(rate, late=0.1):  # which changes behind the end of the run
        return optax.join_schedules([lambda k: rate, lambda k: late], [1000])

    batches = lambda first: itertools.islice(BATCHES(first), 2)  # noqa: E731
    fit(4, batches=batches, directory=tmp_path, optimizer=optax.adam(schedule(0.1)))
    for other in (
        optax.adamw(schedule(0.1)),
        optax.adam(schedule(0.0999)),
        optax.adam(schedule(0.1, late=0.2)),
        optax.adam(schedule(0.1), b2=0.99),
        optax.adamw(schedule(0.1), mask={"w": True, "b": False}),
    ):
        with pytest.raises(ValueError, match="holds a run of other optimizer; go on with those that it began with"):
            fit(4, directory=tmp_path, optimizer=other)
    assert checkpoint.latest(tmp_path) == 2
    assert int(fit(4, directory=tmp_path, optimizer=optax.adam(schedule(0.1))).state.step) == 4


RULES = """
    import jax.numpy as jnp, optax
    from equijax import training
    from equijax.training.step import rule

    labels = {"w": "matrix", "b": "rest", "c": "still"}
    several = {"matrix": optax.adam(0.1), "rest": optax.sgd(jnp.full(3, 0.1)), "still": optax.set_to_zero()}
    params = {"w": jnp.ones((16, 8)), "b": jnp.ones(3), "c": jnp.ones(())}
    print([rule(one, params) for one in (optax.multi_transform(several, labels), training.optimizer(100))])
"""


def test_the_same_optimizer_is_the_same_in_another_process(capsys):
    """Whatever order sets have there, else its run would be refused; the versions it holds for are beside it."""
    exec(textwrap.dedent(RULES), {})
    here = capsys.readouterr().out
    command, seeded = [sys.executable, "-c", textwrap.dedent(RULES)], os.environ | {"PYTHONHASHSEED": "1"}
    there = subprocess.run(command, env=seeded, capture_output=True, text=True, check=True).stdout
    assert here == there
    assert f"'optax': '{optax.__version__}'" in here


def test_it_compiles_once():
    counted = chex.assert_max_traces(loss, n=2)  # once for the shapes of its result, once for its gradient
    fit(6, of=lambda p, b: counted(p, b), decay=0.9, optimizer=training.optimizer(6))


def test_eight_devices_train_as_one():
    mesh = jax.make_mesh((8,), ("devices",))
    batches = training.shuffled((X, Y), 8, seed=1)
    there = lambda first: (training.split(batch, mesh) for batch in batches(first))  # noqa: E731
    rule = optax.chain(training.optimizer(12), training.scale_by_progress())
    want = fit(12, batches=batches, optimizer=rule, decay=0.9)
    got = training.fit(
        loss, training.replicate(START, mesh), there, optimizer=rule, steps=12, decay=0.9, progress=False
    )
    assert got.params["w"].sharding.device_set == set(jax.devices())
    chex.assert_trees_all_close(jax.device_get(got.state), jax.device_get(want.state), rtol=1e-5, atol=1e-6)


def test_patience_ends_a_run_that_gets_no_better_and_keeps_the_best(tmp_path):
    """Validation is best at the third of the records; the run ends two later, and its checkpoint has the best."""
    numbers = iter([3.0, 2.0, 1.0, 1.5, 1.0, 9.0])
    found = training.fit(
        lambda params, batch: jnp.sum(params["w"]), {"w": jnp.zeros(1)}, [np.zeros(1)], optimizer=optax.sgd(1.0),
        steps=6, every=1, validate=lambda params: next(numbers), patience=2, directory=tmp_path, progress=False,
    )  # fmt: skip
    assert (found.stopped, int(found.state.step), found.best["w"].tolist()) == ("patience", 5, [-3.0])
    assert training.checkpoint.restore(tmp_path).params["w"].tolist() == [-3.0]
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 5
    with pytest.raises(ValueError, match="patience: expected validate, too"):
        training.fit(lambda w, b: w, jnp.zeros(()), [0], optimizer=optax.sgd(1.0), steps=1, patience=1)


def test_batches_made_by_a_worker_process_come_in_order():
    pytest.importorskip("grain")
    found = training.prefetch(Squares(), 3, workers=1)
    assert [next(found) for _ in range(5)] == [9, 16, 25, 36, 49]
    found.close()


class Squares:
    """The square of a step, which worker processes can make."""

    def __getitem__(self, step):
        return step**2

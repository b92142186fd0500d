"""The loop that trains: progress, validation, moving average, checkpoints, resume, Ctrl-C."""

import contextlib
import hashlib
import math
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray, PyTree

from equijax import _validate
from equijax.training import checkpoint
from equijax.training.log import Log, Record, Spent, finite
from equijax.training.step import Loss, State, gradient, rule, start, update

Stopped = Literal["steps", "seconds", "patience", "batches", "interrupted", "diverged"]


class Result(NamedTuple):
    """What `fit` gives back."""

    params: PyTree[Array]
    """The moving average where one is kept, else the parameters of the last step."""
    best: PyTree[Array]
    """Those of the lowest validation; without validation the same as `params`."""
    state: State
    history: list[Record]
    stopped: Stopped
    """Which budget was spent, patience among them; "batches" if there were no more; "interrupted" by Ctrl-C; "diverged"
    if not finite."""
    spent: Spent


def fit(
    loss: Loss,
    params: PyTree,
    batches: Callable[[int], Iterator[PyTree]] | Iterable[PyTree],
    *,
    optimizer: optax.GradientTransformation,
    steps: int | None = None,
    seconds: int | float | None = None,
    validate: Callable[[PyTree], Any] | None = None,
    every: int | float = 0.05,
    patience: int | None = None,
    decay: float | None = None,
    key: PRNGKeyArray | None = None,
    carry: PyTree | None = None,
    directory: str | Path | None = None,
    resume: bool = True,
    model: Any = None,
    about: dict[str, Any] | None = None,
    progress: bool = True,
    clock: Callable[[], float] = time.perf_counter,
    counted: tuple[str, ...] = Spent._fields,
    compiler_options: dict[str, Any] | None = None,
) -> Result:
    """Train: minimize the mean of a loss over batches.

    A run that was interrupted, or killed, goes on from its last checkpoint when the same call is made again. If it is
    of so many steps, it ends with the same numbers as one that was not, to the last bit where the device gives the same
    ones twice. The first Ctrl-C ends the run after its step, with a checkpoint, and `fit` returns; the second one ends
    it at once.

    Args:
        loss: The function (params, batch) -> value, or (value, {name: number}), whose numbers are noted. With `key` it
            takes `key=`, another one at each step; with `carry` it takes `carry=` and returns (value, {name: number},
            carry): state that is not trained, such as running statistics.
        params: Pytree of arrays. They are copied.
        batches: A function of the first step that yields batch after batch from there on, as `shuffled` makes, so that
            a resumed run reads what it would have read. Or an iterable, read again from its begin when it ends; a
            resumed run skips what was seen. Batches are pytrees; arrays of other shapes compile again.
        optimizer: Of optax, or `training.optimizer`. It is told `progress`, the share of the run that is done, which
            `scale_by_progress` takes, and `value`, the loss.
        steps: How many to take in all, whether the run was interrupted or not.
        seconds: How long to train in all; with `steps` too, whichever comes first.
        validate: The function params -> number, or {name: number}, asked every so often, of the average where one is
            kept. The parameters of the lowest number, the first one of a dictionary, are kept. It must not keep
            `params` themselves, whose memory is used again.
        every: When to note, to validate and to save: after so many steps, or, a float, after each such share of the
            run. It is done once more at the end.
        patience: End the run after so many records in a row whose validation is no better than the best one. The
            checkpoint then has the best parameters in the place of the last ones.
        decay: Of an exponential moving average of the parameters, 0 to 1; none is kept unless given.
        key: Of `jax.random`, for a loss that draws.
        carry: Pytree of arrays, for a loss that hands state on.
        directory: Where checkpoints are kept, and log.jsonl, a line for each record; no files unless given.
            `checkpoint.restore` reads them.
        resume: Whether to go on from a checkpoint in the directory; if not, one that is there is an error, and so is
            one of another call: of other steps, seconds or decay, another optimizer, rate or schedule.
        model: The module, whose fields are stored beside the parameters, for `checkpoint.rebuild`.
        about: What else tells this run from others, as JSON has it, stored too: seed, data, weights of the loss.
        progress: Whether to show a bar, if tqdm is installed.
        clock: Tells the time, in seconds: time.process_time for those of the processor.
        counted: What `seconds` counts, of the fields of `Spent`.
        compiler_options: Those of `jax.jit`.

    Raises:
        TypeError: If the loss or `validate` returns anything else, or the loss, the optimizer or the key is none.
        ValueError: If there is no budget, or no batch, if `validate` gives no finite number, or if the directory holds
            another run.

    Warns:
        RuntimeWarning: If the loss is not finite, which ends the run; the last checkpoint is from before.

    Examples:
        >>> import equijax as ej
        >>> x = np.linspace(-1, 1, 16)
        >>> batches = ej.training.shuffled((x, 3 * x), batch_size=4, seed=0)
        >>> found = ej.training.fit(
        ...     lambda w, batch: jnp.mean((w * batch[0] - batch[1]) ** 2), jnp.zeros(()), batches,
        ...     optimizer=optax.adam(0.1), steps=200, progress=False,
        ... )
        >>> found.stopped, round(float(found.params), 2)
        ('steps', 3.0)
    """
    _check(steps, seconds, every, decay, counted)
    _check_kinds(loss, optimizer, key)
    if patience is not None:
        if validate is None:
            raise ValueError("patience: expected validate, too, which it waits for to get better")
        _validate.integer("patience", patience, 1)
    log, best = Log(steps, seconds, every, clock, counted), None
    if directory is not None and jax.tree_util.treedef_is_leaf(jax.tree.structure(params)):
        raise ValueError("params: expected a dict, list or tuple of arrays to save, got one array")
    state = start(params, optimizer, average=decay is not None, carry=carry)
    if validate is not None:
        best = jax.tree.map(jnp.copy, state.params)
    run = {"steps": steps, "seconds": seconds, "decay": decay, "about": about or {}, **_forms(state)}
    if directory is not None:
        run["rule"] = rule(optimizer, state.params)
    if directory is not None and _holds(directory, resume, run, model):
        found = checkpoint.restore(directory, training=(state, best))
        state, best = found.training
        log.load(found.config["log"])
    step = saved = int(state.step)

    def shown() -> PyTree:
        return state.params if decay is None else state.average

    if directory is not None:  # what cannot be saved is refused before it costs a run
        checkpoint.check(directory, step + 1, model, shown(), training=(state, best), run=run, log=log.dump())

    def save() -> None:
        nonlocal saved
        if directory is not None and step > saved:
            with log.time("saving"):
                kept = best if patience and log.history else shown()
                checkpoint.save(directory, step, model, kept, training=(state, best), run=run, log=log.dump())
                log.write(Path(directory) / "log.jsonl")
            saved = step

    def note() -> bool:
        """Fetch the losses, validate, record and save; whether all was finite."""
        nonlocal best
        log.fetch()
        if log.broken or not finite(state.params):
            return False
        validation = {}
        if validate is not None:
            with log.time("validating"):
                validation = _numbers(validate(shown()), step)
            if _first(validation) < min((_first(record.validation) for record in log.history), default=math.inf):
                best = jax.tree.map(jnp.copy, shown())
        log.record(step, validation)
        save()
        return True

    stream, programs = _stream(batches, step), None
    with _interruptible() as pressed, _bar(progress, steps, seconds, step, log.seconds) as advance:
        while (stopped := _budget(log, step, patience) or ("interrupted" if pressed else None)) is None:
            with log.time("batching"):
                batch = next(stream, _END)
            if batch is _END:
                stopped = "batches"
                break
            if programs is None:
                with log.time("compiling"):
                    programs = _compiled(loss, optimizer, decay, state, batch, key, compiler_options)
            share = np.float32(log.share(step))
            with log.time("stepping"):
                found, slope = programs[0](state.params, batch, state.step, key, state.carry)
                state = programs[1](state._replace(carry=None), slope, share, found.value, found.carry)
                log.add(found)
            step += 1
            if log.broken or (log.due(step) and not note()):
                stopped = "diverged"
                break
            advance(step, log)
        if step == 0 and stopped == "batches":
            raise ValueError("batches: expected one at least, got none")
        if stopped == "interrupted":
            log.fetch()
            if not log.broken and finite(state.params):
                save()
        elif stopped != "diverged" and log.pending and not note():
            stopped = "diverged"
    if stopped == "diverged":
        last = "" if directory is None or not saved else f"; {directory} holds step {saved}"
        warnings.warn(
            f"the loss is not finite after step {step}, training ends: lower the rate{last}", RuntimeWarning, 2
        )
    best = shown() if validate is None else best
    return Result(shown(), best, state, log.history, stopped, Spent(**log.spent))


_END = object()


def _check(steps, seconds, every, decay, counted):
    """Budget, intervals and decay as `fit` takes them."""
    if steps is None and seconds is None:
        raise ValueError("steps: expected how many, or seconds, got neither")
    if steps is not None:
        _validate.integer("steps", steps, 1)
    if seconds is not None:
        _validate.positive("seconds", seconds)
    if isinstance(every, float):
        if not 0 < every <= 1:
            raise ValueError(f"every: expected steps, an integer, or a share of the run, above 0 to 1, got {every}")
    else:
        _validate.integer("every", every, 1)
    if decay is not None and not 0 <= decay < 1:
        raise ValueError(f"decay: expected 0 to below 1, got {decay}")
    if not counted or set(counted) - set(Spent._fields):
        raise ValueError(f"counted: expected some of {', '.join(Spent._fields)}, got {counted}")


def _check_kinds(loss, optimizer, key):
    """Loss, optimizer and key as `fit` takes them."""
    if not callable(loss):
        raise TypeError(f"loss: expected a function of (params, batch), got {loss!r}")
    if not isinstance(optimizer, optax.GradientTransformation):
        hint = "; did you forget to call it with a rate?" if callable(optimizer) else ""
        raise TypeError(f"optimizer: expected one of optax, such as optax.adam(1e-3), got {optimizer!r}{hint}")
    if key is not None:
        _validate.random_key("key", key)


def _budget(log: Log, step: int, patience: int | None) -> Stopped | None:
    """Which budget is spent, if one is."""
    if patience and log.history:
        found = [_first(record.validation) for record in log.history]
        if len(found) - 1 - found.index(min(found)) >= patience:
            return "patience"
    if log.share(step) < 1:
        return None
    return "steps" if step == log.steps else "seconds"


def _compiled(loss, optimizer, decay, state, batch, key, options):
    """The programs of gradient and update, compiled side by side for what they are called with."""
    slope = jax.jit(gradient(loss), compiler_options=options)
    step = jax.jit(update(optimizer, decay), donate_argnums=0, compiler_options=options)
    arguments = (state.params, batch, state.step, key, state.carry)
    found, _ = slope.eval_shape(*arguments)
    if _form(found.carry) != _form(state.carry):
        raise ValueError("carry: expected the loss to return one of the shapes and dtypes it is given, got others")
    value = jnp.zeros((), found.value.dtype)
    then = (state._replace(carry=None), state.params, np.float32(0), value, state.carry)
    with ThreadPoolExecutor() as pool:
        for program in [pool.submit(slope.lower(*arguments).compile), pool.submit(step.lower(*then).compile)]:
            program.result()
    return slope, step


def _stream(batches, first):
    """Batch after batch, from the first step on."""
    if callable(batches):
        yield from batches(first)
        return
    skip, seen = first, True
    while seen:
        seen = False
        for batch in batches:
            seen = True
            if skip:
                skip -= 1
            else:
                yield batch


def _numbers(found, step) -> dict[str, float]:
    """What validation gave, as finite numbers by name."""
    named = found if isinstance(found, dict) else {"validation": found}
    if not named:
        raise ValueError("validate: expected a number, or numbers by name, got an empty dictionary")
    try:
        numbers = {name: float(value) for name, value in named.items()}
    except TypeError as error:
        raise TypeError(f"validate: expected a number, or {{name: number}}, got {found!r}") from error
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise ValueError(f"validate: expected finite numbers, got {value} for {name} after step {step}")
    return numbers


def _first(validation: dict[str, float]) -> float:
    return next(iter(validation.values()))


def _holds(directory, resume, run, model) -> bool:
    """Whether a directory holds a checkpoint of this run; an error if it is of another one."""
    if checkpoint.latest(directory) is None:
        return False
    if not resume:
        raise ValueError(f"{directory}: holds a run; resume it, name another folder, or remove this one")
    config = checkpoint.restore(directory).config
    if "run" not in config:
        raise ValueError(f"{directory}: holds a checkpoint that is not of `fit`; name another folder")
    run, saved = checkpoint.plain(run), config["run"]
    other = [name for name, value in run.items() if name != "rule" and saved.get(name) != value]
    one, two = run["rule"], saved.get("rule", {})
    if one["update"] != two.get("update") and all(one[name] == two.get(name) for name in ("jax", "optax")):
        other += [] if "optimizer" in other else ["optimizer"]
    if config["fields"] != checkpoint.fields(model):
        other.append("model")
    if other:
        raise ValueError(
            f"{directory}: holds a run of other {', '.join(other)}; go on with those that it began with, "
            "name another folder (and start from the parameters of `checkpoint.restore`), or remove this one"
        )
    return True


def _forms(state: State) -> dict[str, str]:
    """Short names of the shapes that a run has, to tell it from others."""
    parts = {"params": state.params, "optimizer": state.optimizer, "carry": state.carry}
    return {name: hashlib.sha256(repr(_form(part)).encode()).hexdigest()[:16] for name, part in parts.items()}


def _form(tree):
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), tuple(leaf.shape), str(leaf.dtype)) for path, leaf in leaves]


@contextlib.contextmanager
def _interruptible():
    """A list that is empty until Ctrl-C is pressed; a second one raises KeyboardInterrupt at once."""
    pressed: list[bool] = []
    if threading.current_thread() is not threading.main_thread():  # which is the one that may handle signals
        yield pressed
        return

    def press(*_):
        pressed.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, press)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)


@contextlib.contextmanager
def _bar(wanted, steps, seconds, step, spent):
    """A function (step, log) that shows how far training is."""
    try:
        from tqdm import tqdm
    except ImportError:
        wanted = False
    if not wanted or jax.process_index() > 0:
        yield lambda step, log: None
        return
    total, unit, begin = (seconds, "s", spent) if steps is None else (steps, "step", step)
    style = {} if steps is None else {"desc": "train"}
    with tqdm(total=total, initial=begin, unit=unit, mininterval=1.0, **style) as bar:
        noted = 0

        def advance(step, log):
            nonlocal noted
            bar.update((step if steps is not None else min(log.seconds, seconds)) - bar.n)
            if len(log.history) > noted:
                noted, last = len(log.history), log.history[-1]
                numbers = {"loss": last.loss, **last.terms, **last.validation}
                bar.set_postfix_str(", ".join(f"{name} {value:.4g}" for name, value in numbers.items()), refresh=False)

        yield advance

"""Checkpoints of models and of training that is to go on: atomic, readable without this package, no pickle."""

import dataclasses
import errno
import json
import os
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jaxtyping import PyTree

from equijax import _validate
from equijax.training import trees

VERSION = 2
Model = TypeVar("Model")


class Checkpoint(NamedTuple):
    """What `restore` gives back."""

    step: int
    params: PyTree
    """NumPy arrays, on whatever devices they were when they were saved."""
    config: dict[str, Any]
    """The fields of the model, and what `save` was given."""
    training: PyTree | None
    """Arrays that only training needs, or None."""


def save(
    directory: str | Path,
    step: int,
    model: object,
    params: PyTree,
    *,
    training: PyTree | None = None,
    keep: int = 2,
    **extra: object,
) -> None:
    """Write one checkpoint beside those that are there, then remove all but the last `keep`.

    Orbax writes to a temporary folder and renames it when all is on disk: a process that is killed on the way leaves
    the last good checkpoint as it was.

    Args:
        directory: Made if need be.
        step: Number of the checkpoint, larger than those that are there.
        model: A flax module, or another dataclass; its fields are stored as JSON. None stores none.
        params: Nested dicts, lists and tuples of arrays; keys are names or integers. Other nodes of pytrees come back
            as dicts of their fields.
        training: Pytree of arrays to resume from, such as the state of the optimizer. Leaves, here and in `params`, may
            be arrays of numbers, keys of `jax.random.key` and numbers of Python.
        keep: How many checkpoints to keep.
        **extra: Anything that JSON can hold, stored beside the fields of the model: units, data, versions.

    Raises:
        TypeError: If a field of the model or something of `extra` is no data that JSON can hold, or a leaf or a key of
            `params` or `training` is another thing than above.
        OSError: If the disk is full; the checkpoints that are there stay.
        ValueError: If `step` is not larger than those that are there, `keep` is below 1, or `extra` has a reserved
            name. `check` raises the same before a run, which would be lost.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(folder, 7, None, {"w": np.ones(3)}, units="eV, Å")
        ...     found = restore(folder)
        >>> found.step, found.params["w"].tolist(), found.config["units"]
        (7, [1.0, 1.0, 1.0], 'eV, Å')
    """
    ocp = _orbax()
    keep = _validate.integer("keep", keep, 1)
    items = _items(directory, step, model, params, training, extra)
    try:
        with _manager(directory, create=True, keep=keep) as manager:
            manager.save(step, args=ocp.args.Composite(**items))
            manager.wait_until_finished()
    except Exception as error:  # of the libraries that write, which have no type for it
        if not _full(error):
            raise
        raise OSError(
            f"{directory}: the disk is full, checkpoint {step} is not written, and those before it are as they were; "
            "make room, and start again to go on from the last one"
        ) from error


def _full(error: BaseException | None) -> bool:
    """Whether it, or what led to it, is of a full disk or quota; TensorStore has the number in its words alone."""
    codes = (errno.ENOSPC, errno.EDQUOT)
    while error is not None:
        if getattr(error, "errno", None) in codes or any(os.strerror(code) in str(error) for code in codes):
            return True
        error = error.__cause__ or error.__context__
    return False


def check(
    directory: str | Path,
    step: int,
    model: object,
    params: PyTree,
    *,
    training: PyTree | None = None,
    **extra: object,
) -> None:
    """Raise what `save` would raise for the same arguments, and write nothing: to be called before training.

    Examples:
        >>> check("no such folder", 7, None, {"w": np.ones(3), "activation": np.tanh})
        Traceback (most recent call last):
        TypeError: params['activation']: expected an array, a key or a number, got <ufunc 'tanh'>
    """
    _items(directory, step, model, params, training, extra)


def _items(directory, step, model, params, training, extra):
    """What is written, as Orbax takes it, once all of it is seen to be of use."""
    ocp = _orbax()
    step = _validate.integer("step", step)
    name = None if model is None else type(model).__name__
    config: dict[str, Any] = {"version": VERSION, "model": name, "fields": fields(model)}
    if reserved := sorted(config.keys() & extra):
        raise ValueError(f"extra: expected other names than {', '.join(config)}, got {reserved}")
    config |= plain(extra)
    if (last := latest(directory)) is not None and step <= last:
        raise ValueError(
            f"step: expected more than {last}, which is there already, got {step}; name another folder, or a later step"
        )
    arrays, form = trees.nested(params, "params")
    forms, items = {"params": form, "training": None}, {"config": ocp.args.JsonSave(config)}
    if arrays:
        items["params"] = ocp.args.StandardSave(arrays)
    if training is not None:
        flat, forms["training"] = trees.flat(training, "training")
        if flat:
            items["training"] = ocp.args.StandardSave(flat)
    return items | {"trees": ocp.args.JsonSave(forms)}


def latest(directory: str | Path) -> int | None:
    """The step of the last checkpoint in a folder; None if there is none, or no folder.

    Examples:
        >>> latest("no such folder") is None
        True
    """
    if not Path(directory).is_dir():
        return None
    with _manager(directory, create=False) as manager:
        return manager.latest_step()


def restore(directory: str | Path, *, training: PyTree | None = None) -> Checkpoint:
    """Read the last good checkpoint.

    Args:
        directory: The folder that was given to `save`.
        training: A pytree like the one that was saved, to be filled; None leaves it on disk. Arrays come back sharded
            as those of this pytree are, on whatever devices they were when they were saved.

    Raises:
        FileNotFoundError: If there is no checkpoint.
        ValueError: If it cannot be read, or is of another form than `training`, as that of another optimizer.
    """
    ocp = _orbax()
    directory = Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(f"{directory}: no such folder; a checkpoint is a folder that training has written")
    with _manager(directory, create=False) as manager:
        step = manager.latest_step()
        if step is None:
            raise FileNotFoundError(f"{directory}: holds no checkpoint; train first, or name the folder that has one")
        try:
            folder = manager.directory / str(step)
            config = manager.restore(step, args=ocp.args.Composite(config=ocp.args.JsonRestore()))["config"]
            if config["version"] != VERSION:
                raise _Other(
                    f"{directory}: checkpoint {step} is of version {config['version']} of this format, expected "
                    f"{VERSION}; read it with the equijax that wrote it, or train again in another folder"
                )
            forms = manager.restore(step, args=ocp.args.Composite(trees=ocp.args.JsonRestore()))["trees"]
            items = {}
            if (folder / "params").exists():
                saved = ocp.StandardCheckpointHandler().metadata(folder / "params")
                on_host = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), saved.tree)
                items["params"] = ocp.args.StandardRestore(on_host)
            if training is not None:
                wanted, form = trees.flat(training, "training")
                if other := trees.differences(forms["training"], form):
                    raise _Other(
                        f"training: checkpoint {step} of {directory} is of another form: {other}; give the optimizer "
                        "and the state that it was saved with, or none, to go on from its parameters alone"
                    )
                if wanted:
                    items["training"] = ocp.args.StandardRestore(wanted)
            found = manager.restore(step, args=ocp.args.Composite(**items)) if items else {}
            params = trees.rebuilt(forms["params"], found.get("params") or {})
            if training is not None:
                training = trees.refilled(training, forms["training"], found.get("training") or {})
        except _Other as error:
            raise ValueError(str(error)) from None
        except Exception as error:
            others = sorted(set(manager.all_steps()) - {step})
            way_out = f"remove the folder {step} to go back to {others[-1]}" if others else "train again"
            raise ValueError(
                f"{directory}: checkpoint {step} cannot be read, it is damaged or of another model; {way_out} ({error})"
            ) from error
    return Checkpoint(step, params, config, training)


class _Other(ValueError):
    """A checkpoint that is not damaged, but not what is asked for."""


def fields(model: Any) -> dict[str, Any]:
    """The fields of a flax module as JSON has them, which is how `Checkpoint.config` holds them under "fields"."""
    if model is None:
        return {}
    names = (f.name for f in dataclasses.fields(model) if f.name not in ("parent", "name"))
    return plain({name: getattr(model, name) for name in names})


def rebuild(model_class: type[Model], config: dict[str, Any]) -> Model:
    """The module whose fields `config` holds.

    Raises:
        ValueError: If the checkpoint is of another model.
    """
    if config["model"] != model_class.__name__:
        raise ValueError(f"config: expected a checkpoint of {model_class.__name__}, got one of {config['model']}")
    try:
        return model_class(**{name: _hashable(value) for name, value in config["fields"].items()})
    except TypeError as error:
        raise ValueError(f"config: expected the fields of {model_class.__name__}: {error}") from error


def plain(found: dict[str, object]) -> dict[str, Any]:
    """Values as JSON has them, numbers of NumPy as those of Python.

    Raises:
        TypeError: If one is no data that JSON can hold.

    Examples:
        >>> plain({"species": (1, np.int64(8))})
        {'species': [1, 8]}
    """
    values = {}
    for name, value in found.items():
        try:
            values[name] = json.loads(json.dumps(value, default=lambda a: a.tolist()))
        except (TypeError, AttributeError) as error:
            raise TypeError(f"{name}: expected data that JSON can hold, got {value!r}") from error
    return values


def _hashable(value):
    return tuple(_hashable(v) for v in value) if isinstance(value, (list, tuple, np.ndarray)) else value


def _orbax():
    try:
        import orbax.checkpoint
    except ImportError as error:
        raise ImportError("checkpoints are written by Orbax: pip install 'equijax[train]'") from error
    return orbax.checkpoint


def _manager(directory, create, keep=2):
    ocp = _orbax()
    options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=create, enable_async_checkpointing=False)
    return ocp.CheckpointManager(Path(directory).absolute(), options=options)

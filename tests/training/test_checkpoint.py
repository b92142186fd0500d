"""Checkpoints: round trip, a kill in the middle of writing, damage, and what is not a checkpoint."""

import errno
import signal
import subprocess
import sys
import textwrap
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from equijax.models import potential
from equijax.models.potential import Potential
from equijax.training import checkpoint

MODEL = Potential(species=(1, 8), atomic_energies=(-0.5, -75.0), channels=4)
PARAMS = {"params": {"layer": {"kernel": np.arange(6.0, dtype=np.float32).reshape(2, 3)}}}


class Scaled(nn.Module):
    """A model with fields of any type."""

    sizes: Any
    scale: Any


KILLED = """
    import os, pathlib, sys, threading, time
    import numpy as np
    from equijax.training import checkpoint
    from equijax.models.potential import Potential

    folder = pathlib.Path(sys.argv[1])
    model = Potential(species=(1, 8), atomic_energies=(-0.5, -75.0), channels=4)
    checkpoint.save(folder, 1, model, {"w": np.ones(3, np.float32)})

    def die():
        while not [f for f in folder.glob("*tmp*/**/*") if f.is_file()]:
            time.sleep(1e-4)
        os.kill(os.getpid(), 9)

    threading.Thread(target=die, daemon=True).start()
    checkpoint.save(folder, 2, model, {"w": np.random.default_rng(0).normal(size=20_000_000)})
    time.sleep(10)
"""


def test_round_trip_of_model_parameters_and_training(tmp_path):
    training = {"step": jnp.asarray(7), "momentum": jnp.ones((2, 2))}
    for step in (1, 2, 3):
        checkpoint.save(tmp_path, step, MODEL, PARAMS, training=training, keep=2, units="eV, Å")
    found = checkpoint.restore(tmp_path, training=training)
    assert found.step == 3
    assert found.config["units"] == "eV, Å"
    chex.assert_trees_all_equal(found.training, training)
    model, params = potential.load(tmp_path)
    assert model == MODEL
    assert hash(model) == hash(MODEL)
    chex.assert_trees_all_equal(params, PARAMS)
    assert sorted(int(f.name) for f in tmp_path.iterdir() if f.name.isdigit()) == [2, 3]


def test_a_kill_in_the_middle_of_writing_leaves_the_last_good_one(tmp_path):
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)], timeout=120, check=False)
    assert process.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("*tmp*")), "the second checkpoint was not under way"
    found = checkpoint.restore(tmp_path)
    assert found.step == 1
    np.testing.assert_array_equal(found.params["w"], np.ones(3))
    checkpoint.save(tmp_path, 3, MODEL, PARAMS)
    assert checkpoint.restore(tmp_path).step == 3


def test_a_truncated_checkpoint_is_named_with_the_way_out(tmp_path):
    for step in (1, 2):
        checkpoint.save(tmp_path, step, MODEL, PARAMS)
    for file in (tmp_path / "2").rglob("*"):
        if file.is_file() and file.stat().st_size > 8:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"checkpoint 2 cannot be read.*go back to 1"):
        checkpoint.restore(tmp_path)


def test_what_is_not_a_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        checkpoint.restore(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        checkpoint.restore(tmp_path)
    with pytest.raises(ValueError, match="expected a checkpoint of Potential, got one of Other"):
        checkpoint.rebuild(Potential, {"model": "Other", "fields": {}})
    with pytest.raises(ValueError, match=r"config: expected the fields of Scaled: .* 'width'"):
        checkpoint.rebuild(Scaled, {"model": "Scaled", "fields": {"sizes": 1, "scale": 2, "width": 3}})


def test_nothing_is_dropped_or_cast_silently(tmp_path):
    training = {"momentum": jnp.ones(3)}
    checkpoint.save(tmp_path, 5, MODEL, PARAMS, training=training)
    for step in (3, 5):
        with pytest.raises(ValueError, match=f"step: expected more than 5, which is there already, got {step}"):
            checkpoint.save(tmp_path, step, MODEL, PARAMS)
    with pytest.raises(ValueError, match="momentum is of float32, expected int32"):
        checkpoint.restore(tmp_path, training={"momentum": jnp.ones(3, jnp.int32)})
    with pytest.raises(ValueError, match="keep: expected an integer of at least 1, got 0"):
        checkpoint.save(tmp_path, 6, MODEL, PARAMS, keep=0)
    with pytest.raises(ValueError, match=r"extra: expected other names than version, model, fields, got \['fields'\]"):
        checkpoint.save(tmp_path, 6, MODEL, PARAMS, fields={})
    with pytest.raises(TypeError, match="activation: expected data that JSON can hold"):
        checkpoint.save(tmp_path, 6, MODEL, PARAMS, activation=jnp.tanh)
    assert checkpoint.restore(tmp_path, training=training).step == 5


class Node(NamedTuple):
    first: Any
    second: Any


LEAVES = {
    "key": jax.random.key(3),
    "keys": jax.random.split(jax.random.key(0, impl="rbg"), 2),
    "old key": jax.random.PRNGKey(0),
    **{str(d): jnp.arange(3).astype(d) for d in ("bool", "int8", "uint32", "float16", "bfloat16", "float8_e4m3fn")},
    **{kind: np.ones((2, 2), kind) for kind in ("float64", "complex64")},
    "empty array": jnp.zeros((0, 3)),
    **{str(type(x)): x for x in (True, 7, 2.5, 1j, np.float32(2), np.int64(-1))},
    "nothing": None,
    "nodes": Node({}, [(), Node(1, jnp.ones(2)), {7: jnp.ones(1), 10: (jnp.zeros(2),)}]),
    "of optax": optax.chain(optax.adam(0.1), optax.masked(optax.trace(0.9), {"w": True, "b": False}), optax.add_noise(
        0.1, 0.5, key=3)).init({"w": jnp.ones(3), "b": jnp.zeros(2)}),
    "schedule": optax.inject_hyperparams(optax.sgd)(0.1).init({"w": jnp.ones(3)}),
}  # fmt: skip


def _same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        if isinstance(b, (bool, int, float, complex)):
            assert (type(a), a) == (type(b), b)
            continue
        assert a.dtype == b.dtype
        if jnp.issubdtype(b.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(a, b)


def test_all_leaves_of_jax_and_optax_come_back(tmp_path):
    checkpoint.save(tmp_path, 1, None, {"w": np.ones(2)}, training=LEAVES)

    def blank(x):
        if not hasattr(x, "dtype") or jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return x
        return (jnp if isinstance(x, jax.Array) else np).zeros_like(x)

    _same(checkpoint.restore(tmp_path, training=jax.tree.map(blank, LEAVES)).training, LEAVES)


def test_parameters_come_back_as_they_were_without_a_tree_to_fill(tmp_path):
    """Lists, tuples, integer keys, keys and numbers; NamedTuples as dicts."""
    params = {k: v for k, v in LEAVES.items() if k not in ("nodes", "of optax", "schedule")}
    params["layers"] = {10: [jnp.ones(2), ()], 9: (1, {"a/b": jnp.zeros(3), "a": {}}), 1: None}
    checkpoint.save(tmp_path, 1, None, params | {"node": Node(2, jnp.ones(3))})
    found = checkpoint.restore(tmp_path).params
    _same(found.pop("node"), {"first": 2, "second": jnp.ones(3)})
    _same(found, params)


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (np.zeros(2, jax.dtypes.float0), r"expected an array of numbers or a key, got one of dtype \[\('float0'"),
        (np.array(["a"]), "expected an array of numbers or a key, got one of dtype <U1"),
        ("adam", "expected an array, a key or a number, got 'adam'"),
        (jnp.tanh, "expected an array, a key or a number, got "),
        (10**30, "expected an array of numbers or a key, got one of dtype object"),
    ],
    ids=["float0", "text", "str", "function", "integer"],
)
def test_what_cannot_come_back_is_refused_before_anything_is_written(tmp_path, leaf, message):
    for call in (checkpoint.save, checkpoint.check):
        with pytest.raises(TypeError, match=r"training\['a'\]\[1\]: " + message):
            call(tmp_path / "new", 1, None, {"w": np.ones(2)}, training={"a": [1, leaf]})
        with pytest.raises(TypeError, match=r"params\['a'\]\[1\]: " + message):
            call(tmp_path / "new", 1, None, {"a": [1, leaf]})
        with pytest.raises(TypeError, match=r"params\['a'\]: expected names or integers for keys, got 2.5"):
            call(tmp_path / "new", 1, None, {"a": {2.5: np.ones(2)}})
    assert not (tmp_path / "new").exists()


def test_a_step_that_is_there_is_seen_before_training(tmp_path):
    checkpoint.save(tmp_path, 5, None, PARAMS)
    checkpoint.check(tmp_path, 6, None, PARAMS)
    with pytest.raises(ValueError, match="step: expected more than 5, which is there already, got 5; name another"):
        checkpoint.check(tmp_path, 5, None, PARAMS)


def test_training_of_another_form_is_named(tmp_path):
    checkpoint.save(tmp_path, 1, None, PARAMS, training={"rng": jax.random.key(0), "m": jnp.ones(3)})
    rng = jax.random.key(0)
    for other, message in [
        ({"rng": jax.random.key(0, impl="rbg"), "m": jnp.ones(3)}, r"rng is of \[2\], expected \[4\]"),
        ({"rng": rng, "m": jnp.ones(4)}, r"m is of \[3\], expected \[4\]"),
        ({"rng": rng, "n": jnp.ones(3)}, r"it has \['m'\] that is not expected, and lacks \['n'\]"),
        ({"rng": jax.random.key_data(rng), "m": jnp.ones(3)}, "rng is of key threefry2x32, expected array"),
    ]:
        with pytest.raises(ValueError, match=message):
            checkpoint.restore(tmp_path, training=other)
    checkpoint.save(tmp_path, 2, None, PARAMS)
    with pytest.raises(ValueError, match="it was saved without training"):
        checkpoint.restore(tmp_path, training={"rng": rng})


def test_a_checkpoint_of_another_version_is_not_called_damaged(tmp_path, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(checkpoint, "VERSION", 1)
        checkpoint.save(tmp_path, 3, None, PARAMS)
    with pytest.raises(
        ValueError, match=r": checkpoint 3 is of version 1 .*, expected 2; read it with the equijax that"
    ):
        checkpoint.restore(tmp_path)


def test_fields_of_numpy_numbers(tmp_path):
    checkpoint.save(tmp_path, 1, Scaled((np.int64(1), np.int64(8)), np.float32(2.5)), PARAMS)
    assert checkpoint.rebuild(Scaled, checkpoint.restore(tmp_path).config) == Scaled((1, 8), 2.5)


def test_a_full_disk_leaves_the_last_good_one(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, None, PARAMS)

    def of_tensorstore(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: Failed to write 80 bytes to file 14: No space left on device [28]")

    def of_python(*_, **__):
        try:
            raise OSError(errno.EDQUOT, "what this system calls it")
        except OSError as error:
            raise RuntimeError("the file was not written") from error

    def other(*_, **__):
        raise OSError(errno.EACCES, "no permission")

    said = r"the disk is full, checkpoint 2 is not written, .* make room"
    for fails, message in ((of_tensorstore, said), (of_python, said), (other, "no permission")):
        with monkeypatch.context() as patched:
            patched.setattr("orbax.checkpoint.CheckpointManager.save", fails)
            with pytest.raises(OSError, match=message):
                checkpoint.save(tmp_path, 2, None, PARAMS)
    assert checkpoint.restore(tmp_path).step == 1

"""Checkpoints: round trip, a kill in the middle of writing, damage, and what is not a checkpoint."""

import signal
import subprocess
import sys
import textwrap
from typing import Any

import chex
import flax.linen as nn
import jax.numpy as jnp
import numpy as np
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


def test_fields_of_numpy_numbers(tmp_path):
    checkpoint.save(tmp_path, 1, Scaled((np.int64(1), np.int64(8)), np.float32(2.5)), PARAMS)
    assert checkpoint.rebuild(Scaled, checkpoint.restore(tmp_path).config) == Scaled((1, 8), 2.5)

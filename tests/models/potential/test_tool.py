"""From a file to a model: the command line, fine-tuning, weights, outliers, and what files have wrong."""

import json
import tomllib
import types

import ase.io
import jax
import numpy as np
import pytest
from ase import Atoms

from equijax import data, graphs
from equijax.graphs import Structure
from equijax.models import potential
from equijax.models.potential import report
from equijax.models.potential.commands import main
from equijax.models.potential.commands import options as all_options
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.finetune import widened

TINY = {"channels": 2, "layers": 1, "lmax": 0, "hidden_lmax": 0, "order": 2, "probes": 1, "radial_features": 4}
SMALL = [word for name, value in TINY.items() for word in ("--" + name.replace("_", "-"), str(value))]
WATER = np.array([[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])


def water(k, **labels):
    labels = {"energy": -14.0 - 0.1 * k, "forces": 0.1 * np.random.default_rng(k).normal(size=(3, 3))} | labels
    return Structure([8, 1, 1], WATER * (1 + 0.01 * k), **labels)


FRAMES = [
    *(water(k) for k in range(8)),
    Structure([1], [[0, 0, 0]], energy=-1.0),
    Structure([8], [[0, 0, 0]], energy=-9.0),
]


def write(path, frames):
    def to_ase(s):
        atoms = Atoms(s.species, s.positions, info={"REF_energy": s.energy})
        if s.forces is not None:
            atoms.arrays["REF_forces"] = s.forces
        return atoms

    ase.io.write(path, [to_ase(s) for s in frames], format="extxyz")


def test_the_worst_structure_comes_first():
    forces = np.array([[0.1, 0.0], [0.0, 0.1], [0.0, 0.4], [0.5, 0.2]])
    found = potential.Errors(0.0, 0.0, 0.0, 0.0, np.zeros((0, 2)), forces, force_of=np.array([3, 3, 5, 7]))
    ranked = report.by_structure(found)
    assert [k for k, _ in ranked] == [5, 7, 3]
    np.testing.assert_allclose([error for _, error in ranked], [400, 300, 100])


def test_from_a_file_to_a_report_by_the_command_line(tmp_path, capsys, monkeypatch):
    write(tmp_path / "mine.xyz", FRAMES)
    output = tmp_path / "run"
    command = ["train", str(tmp_path / "mine.xyz"), "--output", str(output), "--quiet", "--steps", "4", *SMALL]
    command += ["--cutoff", "3", "--batch-size", "2", "--every", "2", "--validate", "0.25", "--huber", "1"]
    monkeypatch.setattr(report, "symmetry", lambda *_: None)  # which `check` looks at below
    main(command)
    assert "equivariance: not looked at" in capsys.readouterr().out
    model, _ = potential.load(output)
    assert (model.species, model.atomic_energies, model.cutoff) == ((1, 8), (-1.0, -9.0), 3.0)
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert json.loads((output / "report.json").read_text())["errors"]["validation"]["force_rmse"] > 0
    assert (output / "report.png").read_bytes().startswith(b"\x89PNG")
    assert not [path for path in output.iterdir() if path.name.startswith(".")]  # nothing half written
    options = tomllib.loads((output / "options.toml").read_text())
    assert (options["training"]["huber"], options["model"]["channels"]) == (1, 2)

    again = all_options.read(output / "options.toml", {})
    assert all_options.text(again) == (output / "options.toml").read_text()
    main(["test", str(output), str(tmp_path / "mine.xyz")])
    assert "mine" in capsys.readouterr().out
    monkeypatch.undo()
    main(["check", str(output)])
    assert capsys.readouterr().out.startswith("exact")

    for wrong, message in (
        ([*command, "--seed", "1"], "holds a run of other"),
        (["train", str(tmp_path / "none.xyz"), "--output", str(tmp_path / "new")], "none.xyz"),
        (["test", str(tmp_path), str(tmp_path / "mine.xyz")], "holds no checkpoint"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(wrong)
        assert message in capsys.readouterr().err
    (tmp_path / "wrong.toml").write_text("[model]\nchanels = 3\n")
    with pytest.raises(SystemExit, match="2"):
        main([*command[:4], "--options", str(tmp_path / "wrong.toml")])
    assert "there is no option model.chanels; expected some of cutoff, channels" in capsys.readouterr().err


def test_a_trained_model_takes_new_species_and_other_energies():
    """What it says of known ones stays; a shift of E0 by another program is found to rounding."""
    model = potential.for_structures(FRAMES, cutoff=3.0, **TINY)
    params = potential.initialize(model, jax.random.key(1))
    predict = jax.jit(potential.predict, static_argnums=0)
    room = {"nodes": 8, "edges": 16, "graphs": 3}
    graph = graphs.batch([FRAMES[0], FRAMES[3]], 3.0, **room)
    before = predict(model, params, graph)
    wider, more = widened(model, params, (1, 7, 8))
    after = predict(wider, more, graph)
    assert wider.species == (1, 8, 7)
    assert widened(model.clone(repulsion=(0.3, 0.6)), params, (7,))[0].repulsion == (0.3, 0.6, 0.71)
    bare = types.SimpleNamespace(
        **{name: getattr(model, name) for name in (*EnergyModel.__annotations__, "init", "apply", "clone")}
    )
    with pytest.raises(ValueError, match=r"species of \[1, 8\], .*, got \(7,\), too; a SimpleNamespace has no method"):
        widened(bare, params, (1, 7))
    np.testing.assert_allclose(after.forces, before.forces, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after.energies, before.energies, rtol=1e-5, atol=1e-5)

    def moved(s):  # energies of the model, with those of atoms moved
        single = predict(model, params, graphs.batch([s], 3.0, **room))
        atoms = potential.baseline(model, s.species).sum() + 5.0 * np.sum(np.equal(s.species, 8)) - 2.0 * len(s.species)
        return s._replace(energy=float(single.energies[0]) + float(atoms))

    frames = [moved(FRAMES[0]), moved(FRAMES[1]), moved(Structure([8, 1], WATER[:2]))]
    other, same = potential.adapt(model, params, frames)
    assert same is params
    assert other.atomic_energies == pytest.approx((-3.0, -6.0), abs=1e-4)
    with pytest.raises(ValueError, match="start: expected no model beside it"):
        potential.fit(frames, model=model, start=(model, params))


def test_weights_and_the_bound_of_wild_labels():
    """Each structure by its weight; from δ on the loss of Huber is δ (2 |x| - δ)."""
    frames = [water(0, weight=2.0), water(1, weight=0.5, forces=None)]
    graph = graphs.batch(frames, 2.0)
    labels = graphs.labels(frames, graph)
    off = potential.Prediction(labels.energies + np.array([3.0, 0.3, 0.0]), labels.forces + 2.0, labels.stresses, None)
    root, scale = 3**0.5, 0.5
    squares = ((2.0 * 9 + 0.5 * 0.09) / 3 / 2 + 2.0 * 4) / scale**2
    assert float(potential.loss(off, labels, graph, scale)) == pytest.approx(squares, rel=1e-5)
    rho = lambda x: x**2 if x < 1 else 2 * x - 1  # noqa: E731
    bounded = (2.0 * rho(3 / root / scale) + 0.5 * rho(0.3 / root / scale)) / 2 + 2.0 * rho(2 / scale)
    assert float(potential.loss(off, labels, graph, scale, huber=1.0)) == pytest.approx(bounded, rel=1e-5)


def test_outliers_are_named_before_they_set_the_scale():
    wild = water(3, forces=np.full((3, 3), 1e5))
    frames = [*FRAMES[:6], wild]
    with pytest.warns(
        UserWarning, match=r"structures\[6\] have forces up to 1e\+05 eV/Å, over 1000 times .* max_force"
    ):
        found = potential.statistics(frames, 3.0)
    assert found["scale"] == pytest.approx(potential.statistics(frames[:6], 3.0)["scale"])


def test_a_structure_counts_where_it_has_a_label():
    """Forces alone, energies alone, neither; forces too large to be true."""
    bare = water(1, energy=None, forces=None)
    frames = [water(0), water(1, forces=None), bare, water(2, energy=None), water(3, forces=np.full((3, 3), 1e4))]
    options = {"model": potential.for_structures(FRAMES, cutoff=3.0, **TINY), "progress": False, "steps": 1}
    wild = pytest.warns(UserWarning, match=r"structures\[4\] have forces above 100.0 eV/Å and are left out")
    with pytest.warns(UserWarning, match=r"structures\[2\] have no label and are left out"), wild:
        trained = potential.fit(frames, max_force=100.0, batch_size=3, **options)
    assert np.isfinite(trained.run.history[-1].loss)
    with pytest.raises(ValueError, match="structures: expected some with an energy, forces or a stress, got none"):
        potential.fit([bare, bare], **options)
    with pytest.raises(ValueError, match=r"two atoms nearer to each other than 5\.0, got none"):
        potential.fit([water(0)._replace(positions=50 * WATER), *FRAMES[8:]], steps=1)
    with pytest.raises(ValueError, match=r"batch_size: expected 1 to 2, .* got 3"):
        potential.fit(frames[:2], batch_size=3, **options)
    with pytest.raises(ValueError, match="optimizer: expected 'muon', 'adam' or one of optax, got 'sgd'"):
        potential.fit(FRAMES, optimizer="sgd", **options)


def test_a_share_is_held_out_and_atoms_alone_are_not():
    train, held = potential.split(FRAMES, 0.5, seed=0)
    assert (len(train), len(held)) == (5, 5)
    assert {len(s.species) for s in held} == {3}
    assert sum(len(s.species) == 1 for s in train) == 2
    assert isinstance(held, data.Subset)
    with pytest.raises(ValueError, match=r"validate: expected a share between 0 and 1, or structures, got 1\.5"):
        potential.split(FRAMES, 1.5, seed=0)


def test_batches_from_disk_are_those_from_memory(tmp_path):
    write(tmp_path / "mine.xyz", FRAMES)
    structures = data.open_structures(tmp_path / "mine.xyz")
    model = potential.for_structures(structures, cutoff=3.0, **TINY)
    memory, disk = (potential.samples(model, structures, 2, held=held) for held in (2**30, 0))
    assert memory.held is not None
    assert disk.held is None
    for first in (0, 3):
        pairs = zip(memory.batches(1)(first), disk.batches(1, workers=0)(first), range(6), strict=False)
        for one, other, _ in pairs:
            jax.tree.map(np.testing.assert_array_equal, one, other)

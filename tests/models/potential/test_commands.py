"""The commands that run and export a potential."""

import ase.io
import jax
import numpy as np
import pytest
from ase.build import molecule

from equijax.models import potential
from equijax.models.potential.commands import main
from equijax.training import checkpoint

MODEL = potential.Potential(
    species=(1, 8), atomic_energies=(-13.6, -2041.0), cutoff=3.0, channels=2, lmax=0, hidden_lmax=0, layers=1, order=2,
    probes=1, radial_features=4, radial_functions=2, scale=0.1,
)  # fmt: skip


def test_run_goes_on_and_export_writes(tmp_path, capsys):
    params = potential.initialize(MODEL, jax.random.key(0))
    checkpoint.save(tmp_path / "water", 0, MODEL, params)
    ase.io.write(tmp_path / "water.xyz", molecule("H2O"))
    command = ["run", *(str(tmp_path / name) for name in ("water", "water.xyz"))]
    command += ["--output", str(tmp_path / "md.traj"), "--every", "2", "--steps"]
    for steps in ("4", "6", "6"):
        main([*command, steps])
    frames = ase.io.read(tmp_path / "md.traj", ":")
    assert [a.info["step"] for a in frames] == [2, 4, 6]
    assert "md.traj: has 6 steps already" in capsys.readouterr().out
    assert np.abs(frames[0].get_velocities()).max() > 0

    text = [str(tmp_path / "md.xyz") if "md.traj" in word else word for word in command]
    main([*text, "4"])
    cut = (tmp_path / "md.xyz").read_bytes()[:-50]  # as a kill leaves it
    (tmp_path / "md.xyz").write_bytes(cut)
    main([*text, "6"])
    assert [a.info["step"] for a in ase.io.read(tmp_path / "md.xyz", ":")] == [2, 4, 6]

    main(["export", str(tmp_path / "water"), str(tmp_path / "one"), "--sizes", "4,16"])
    run = potential.exported.load(tmp_path / "one")
    found = run(frames[-1].numbers, frames[-1].positions)
    assert found["energy"] == pytest.approx(frames[-1].get_potential_energy(), abs=1e-4)
    np.testing.assert_allclose(found["forces"], frames[-1].get_forces(), atol=1e-5)
    with pytest.raises(SystemExit):
        main(["export", str(tmp_path / "water"), str(tmp_path / "one"), "--sizes", "4x16"])
    assert "error: --sizes: expected pairs as 100,4000, got 4x16" in capsys.readouterr().err

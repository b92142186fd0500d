"""Dynamics in one program: order, energy, neighbor lists that grow, ensembles, files, bad input."""

import resource

import ase.io
import ase.units
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import graphs
from equijax.graphs import Structure
from equijax.models import potential
from equijax.models.potential import Prediction, dynamics
from equijax.models.potential.dynamics import NPT, NVE, Langevin, TrajectoryFile, ensembles, last_state, program

CUTOFF = 2.5
CELL = np.array([[4.0, 0, 0], [0.7, 4.2, 0], [-0.4, 0.5, 4.1]])


def pairs(slope, graph):
    """Forces and stress of a sum over edges whose derivative by each edge vector is slope(r) r̂ / 2."""
    r = graphs.edge_lengths(graph.vectors)
    g = (slope(r)[0] / r * graph.edge_mask / 2)[:, None] * graph.vectors
    n = len(graph.species)
    forces = jax.ops.segment_sum(g, graph.receivers, n) - jax.ops.segment_sum(g, graph.senders, n)
    volume = jnp.abs(jnp.linalg.det(graph.cells))
    stress = jnp.zeros_like(graph.cells).at[0].set(jnp.einsum("ei,ej->ij", g, graph.vectors) / volume[0])
    energies = jnp.zeros(len(volume), r.dtype).at[0].set(jnp.sum(slope(r)[1] * graph.edge_mask) / 2)
    return Prediction(energies, forces, stress, jnp.zeros(n, r.dtype))


def soft(params, graph):
    """(1 - r/c)⁴ for each pair: smooth through the cut-off."""
    return pairs(lambda r: (-12 / CUTOFF * (1 - r / CUTOFF) ** 3, 3 * (1 - r / CUTOFF) ** 4), graph)


def spring(params, graph):
    return pairs(lambda r: (params * (r - 1), params * (r - 1) ** 2 / 2), graph)


def free(params, graph):
    return pairs(lambda r: (0 * r, 0 * r), graph)


def gas(n=24, seed=0, cell=CELL):
    grid = np.stack(np.meshgrid(*[np.arange(3) / 3] * 3), axis=-1).reshape(-1, 3)[:n]
    x = (grid + np.random.default_rng(seed).uniform(-0.05, 0.05, (n, 3))) @ cell
    return Structure(np.ones(n, int), x, cell, (True,) * 3)


def run(function, structure, steps, ensemble=None, also=lambda frames: None, **options):
    frames = []

    def write(found):
        frames.append(found)
        also(found)

    options = {"cutoff": CUTOFF, "masses": np.ones(len(structure.species)), "write": write} | options
    found = dynamics.run(function, options.pop("params", 0.0), structure, steps, ensemble, **options)
    return found, jax.tree.map(lambda *a: np.concatenate(a), *frames)


@pytest.mark.core
def test_a_spring_swings_as_it_should_and_errors_fall_with_the_square_of_the_step(x64):
    pair, k = Structure([1, 1], [[0, 0, 0], [0, 0, 1.2]]), 3.0
    omega, errors = np.sqrt(2 * k * dynamics.ACCELERATION), []
    for dt in (1.0, 0.5, 0.25):
        _, frames = run(spring, pair, round(40 / dt), NVE(dt), every=round(4 / dt), params=k)
        r = frames.positions[:, 1, 2] - frames.positions[:, 0, 2]
        errors.append(np.abs(r - 1 - 0.2 * np.cos(omega * 4 * np.arange(1, 11))).max())
    assert errors[0] < 0.02
    assert pytest.approx(ase.units.fs**2, rel=1e-6) == dynamics.ACCELERATION
    assert pytest.approx(ase.units.kB, rel=1e-6) == dynamics.BOLTZMANN
    assert pytest.approx(ase.units.GPa, rel=1e-6) == dynamics.GPA
    np.testing.assert_allclose([errors[0] / errors[1], errors[1] / errors[2]], 4, rtol=0.05)


def test_lists_in_the_program_are_those_of_the_host_however_little_room_there_is(x64, monkeypatch):
    """Against a loop on the host with a new list at every step; atoms cross the cell, lists are remade and grow."""
    structure = gas()
    v = 0.02 * np.random.default_rng(1).normal(size=(24, 3))
    step = jax.jit(lambda x, g: soft(None, g._replace(vectors=graphs.edge_vectors(x, g))))
    x, w, dt = structure.positions, v, 1.0

    def force(x):
        single = graphs.from_structure(structure._replace(positions=x), CUTOFF)
        found = step(np.concatenate([x, np.zeros((8, 3))]), graphs.concatenate([single], nodes=32, edges=1024))
        return np.asarray(found.forces[:24]), float(found.energies[0])

    f, _ = force(x)
    for _ in range(60):
        w = w + 0.5 * dt * dynamics.ACCELERATION * f
        x = x + dt * w
        f, energy = force(x)
        w = w + 0.5 * dt * dynamics.ACCELERATION * f
    plan, few = program.sizes_for, len(graphs.neighbor_list(*structure[1:4], CUTOFF)[0]) + 1
    first = iter([{}, {"inner": few}])  # the second time room for hardly more than what there is at first
    monkeypatch.setattr(program, "sizes_for", lambda *a, **k: plan(*a, **k)._replace(**next(first, {})))
    for growths in (0, 1):
        found, frames = run(soft, structure, 60, NVE(dt), velocities=v, every=20, frames=2, skin=0.2, spare=1.0)
        assert found.growths == growths
        assert frames.steps.tolist() == [20, 40, 60]
        np.testing.assert_allclose(frames.positions[-1], x, atol=1e-11)
        np.testing.assert_allclose(found.state.velocities, w, atol=1e-12)
        assert found.log.energies[-1] == pytest.approx(energy)
    assert np.abs(x - structure.positions).max() > 1.0


def test_goes_on_from_a_state_or_a_file_as_if_nothing_had_happened(x64, tmp_path):
    structure, options = gas(), {"key": jax.random.key(3), "every": 7}
    ensemble = Langevin(1.0, 300.0, 0.02)
    whole, _ = run(soft, structure, 34, ensemble, **options)
    half, _ = run(soft, structure, 13, ensemble, **options)
    rest, frames = run(soft, structure, 21, ensemble, state=half.state, **options)
    assert rest.log.steps.tolist() == [14, 21, 28, 34]
    jax.tree.map(np.testing.assert_array_equal, rest.log, dynamics.log_of(frames))
    np.testing.assert_allclose(dynamics.masses(np.array([1, 29])), [1.008, 63.546])
    jax.tree.map(np.testing.assert_array_equal, whole.state, rest.state)

    for name, digits in (("md.traj", 1e-12), ("md.xyz", 1e-6)):
        run(soft, structure, 13, ensemble, TrajectoryFile(tmp_path / name, structure), **options)
        state, again = last_state(tmp_path / name), TrajectoryFile(tmp_path / name, structure, append=True)
        run(soft, structure, 21, ensemble, again, state=state, **options)
        state = last_state(tmp_path / name)
        assert int(state.step) == 34
        np.testing.assert_allclose(state.positions, whole.state.positions, atol=digits)
        np.testing.assert_allclose(state.velocities, whole.state.velocities, atol=digits)


def test_a_kill_or_a_full_disk_leaves_whole_frames(tmp_path):
    structure, path = gas(), tmp_path / "md.xyz"
    run(soft, structure, 20, NVE(0.5), TrajectoryFile(path, structure), every=10, frames=1)
    path.write_bytes(path.read_bytes()[:-100])  # in the middle of a line
    TrajectoryFile(path, structure, append=True)
    frames = ase.io.read(path, ":")
    assert [a.info["step"] for a in frames] == [10]
    assert frames[0].get_potential_energy() > 0
    assert frames[0].get_stress().shape == (6,)

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    write = TrajectoryFile(path, structure, append=True)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 1000, limits[1]))
        with pytest.raises(OSError, match=r"md.xyz: step 10 and later ones could not be written .*; those before are"):
            run(soft, structure, 20, NVE(0.5), write, every=10, frames=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert len(ase.io.read(path, ":")) == 1
    with pytest.raises(ValueError, match=r"path: .*md.xyz is there already; pass append=True"):
        TrajectoryFile(path, structure)
    with pytest.raises(ValueError, match=r"path: expected a file that ends in .traj"):
        TrajectoryFile(tmp_path / "md.pdb", structure)

    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"path: expected frames of a simulation of 1 atoms in .* in line 1;"):
        TrajectoryFile(path, Structure([18], np.zeros((1, 3))), append=True)
    assert path.read_bytes() == before
    other = tmp_path / "other.xyz"
    ase.io.write(other, ase.Atoms(structure.species, structure.positions))
    before = other.read_bytes().rstrip()
    other.write_bytes(before)
    with pytest.raises(ValueError, match=r"path: expected frames of a simulation of .*other.xyz, got .* in line 2;"):
        TrajectoryFile(other, structure, append=True)
    assert other.read_bytes() == before


def test_temperature_and_volume_of_a_free_gas():
    """T from Langevin; p V = N k T, where the cell moves, too; momenta per atom from Maxwell and Boltzmann."""
    structure, n = gas(27), 27
    key, options = (
        jax.random.key(0),
        {"every": 20, "frames": 100, "cutoff": 0.1, "skin": 0.6, "masses": np.full(27, 100.0)},
    )
    start = dynamics.maxwell_boltzmann(jax.random.key(1), np.full(n, 100.0), 250.0)
    np.testing.assert_allclose(np.sum(np.asarray(start), axis=0), 0, atol=1e-6)
    kept, _ = run(free, structure, 1000, Langevin(4.0, 250.0, 0.05), key=key, velocities=start, **options)
    assert np.mean(kept.log.temperatures) == pytest.approx(250, rel=0.05)
    pressure = n * dynamics.BOLTZMANN * 250 / np.linalg.det(CELL) / 1.5
    ensemble = NPT(4.0, 250.0, 0.05, pressure, compressibility=1 / pressure, relaxation=100.0)
    found, _ = run(free, structure, 3000, ensemble, key=key, velocities=start, **options)
    assert np.mean(found.log.volumes[20:]) == pytest.approx(1.5 * np.linalg.det(CELL), rel=0.1)
    assert np.mean(found.log.pressures[20:]) == pytest.approx(pressure, rel=0.1)
    assert np.mean(found.log.temperatures[20:]) == pytest.approx(250, rel=0.05)
    before, after = (cell / np.cbrt(np.linalg.det(cell)) for cell in (CELL, np.asarray(found.state.cell)))
    np.testing.assert_allclose(after, before, atol=1e-4)


def test_volumes_fluctuate_as_the_temperature_has_it():
    """In one step of atoms at rest the logarithm of the volume V has the variance 2 kT β dt / (τ V)."""
    ensemble = NPT(2.0, 300.0, 1e-9, compressibility=0.5, relaxation=100.0)
    state, masses = dynamics.begin(gas()), jnp.ones((24, 1))
    step = jax.jit(jax.vmap(lambda key: ensembles.drift(ensemble, 2.0, state, state.velocities, masses, key)[1]))
    volume = np.linalg.det(CELL)
    growth = np.log(np.linalg.det(step(jax.random.split(jax.random.key(0), 4000))) / volume)
    assert np.var(growth) == pytest.approx(2 * dynamics.BOLTZMANN * 300 * 0.5 * 2 / (100 * volume), rel=0.1)


def test_energy_of_a_potential_is_kept():
    model = potential.Potential(
        species=(1, 8), atomic_energies=(-13.6, -2041.0), cutoff=3.0, channels=4, layers=1, lmax=1, hidden_lmax=0,
        order=2, probes=2, radial_features=6, scale=0.2,
    )  # fmt: skip
    params = potential.initialize(model, jax.random.key(0))
    water = Structure([8, 1, 1], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]], np.diag([3.5, 4, 4]), (True,) * 3)
    start = dynamics.maxwell_boltzmann(jax.random.key(1), np.array([16.0, 1, 1]), 100.0)
    drifts = []
    for dt in (0.2, 0.1):
        found = dynamics.run(model, params, water, round(20 / dt), NVE(dt), velocities=start, every=10)
        total = found.log.energies + found.log.kinetic
        drifts.append(np.ptp(total))
    assert np.ptp(found.log.kinetic) > 20 * drifts[0]
    assert drifts[1] < 0.5 * drifts[0] + 1e-5
    assert found.log.energies[0] < -2000


BAD = {
    "coincide": ({"structure": Structure([1, 1], np.zeros((2, 3))), "masses": np.ones(2)}, ValueError),
    "cell: row 2 is zero though that axis is periodic": (
        {"structure": gas()._replace(cell=CELL * [[1], [1], [0]])},
        ValueError,
    ),
    "cell: expected three independent vectors": ({"structure": gas()._replace(cell=np.ones((3, 3)))}, ValueError),
    "steps: expected an integer of at least 1, got 0": ({"steps": 0}, ValueError),
    "every: expected an integer of at least 1, got 0": ({"every": 0}, ValueError),
    "skin: expected a positive length, got 0.0": ({"skin": 0.0}, ValueError),
    "timestep: expected a positive number, got 0.0": ({"ensemble": NVE(0.0)}, ValueError),
    r"temperature: expected a positive number, got -1.0": ({"ensemble": Langevin(0.5, -1.0)}, ValueError),
    "key: expected a random key for Langevin, got None": ({"ensemble": Langevin()}, TypeError),
    "structure: expected three periodic axes for NPT": (
        {"ensemble": NPT(), "key": jax.random.key(0), "structure": gas()._replace(pbc=(True, True, False))},
        ValueError,
    ),
    "cutoff: expected that of the function in Å, got None": ({"cutoff": None}, ValueError),
    "masses: expected 24 positive numbers in amu": ({"masses": np.zeros(24)}, ValueError),
    r"velocities: expected shape \(24, 3\), got \(23, 3\)": (
        {"velocities": np.zeros((23, 3)), "masses": None},
        ValueError,
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named(message):
    change, kind = BAD[message]
    options = {"structure": gas(), "steps": 3, "ensemble": NVE(), "cutoff": CUTOFF, "masses": np.ones(24)} | change
    structure, steps, ensemble = (options.pop(name) for name in ("structure", "steps", "ensemble"))
    with pytest.raises(kind, match=message):
        dynamics.run(soft, 0.0, structure, steps, ensemble, **options)


def test_a_run_that_leaves_the_numbers_stops_with_its_frames():
    """And a left-handed cell is as good as another."""
    frames = []
    mirrored = gas(cell=CELL * [[-1], [1], [1]])
    blow_up = lambda p, g: soft(p, g)._replace(energies=jnp.where(g.vectors[0, 0] > -9, jnp.nan, 0)[None])  # noqa: E731
    with pytest.raises(FloatingPointError, match=r"step 1: energy, forces or positions are no finite numbers"):
        dynamics.run(blow_up, 0.0, mirrored, 5, cutoff=CUTOFF, write=frames.append)
    fast = 1e3 * np.random.default_rng(0).normal(size=(24, 3))
    found, _ = run(soft, mirrored, 5, velocities=fast * 1e-5, every=1)
    assert np.isfinite(found.log.energies).all()

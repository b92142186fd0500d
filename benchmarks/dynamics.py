"""How much faster is molecular dynamics in one program than through ASE, and is its energy kept?

Copper. Speed: steps a second of `potential.dynamics` and of ASE's velocity Verlet with our calculator, the same model
and cell, in turns; weights are random, and forces small, so that the crystal stays one. Energy: a small model that has
learned forces of ASE's EMT potential, 10 ps at 0.5 fs in float32 and float64, and what the total energy of an atom
does.
"""

import argparse
import time

import harness

harness.keep_memory()

import jax  # noqa: E402
import numpy as np  # noqa: E402
from ase import units  # noqa: E402
from ase.build import bulk  # noqa: E402
from ase.calculators.emt import EMT  # noqa: E402
from ase.md.verlet import VelocityVerlet  # noqa: E402

from equijax import graphs  # noqa: E402
from equijax.interop.ase import PotentialCalculator  # noqa: E402
from equijax.models import potential  # noqa: E402
from equijax.models.potential import dynamics  # noqa: E402

TIMESTEP, TEMPERATURE = 0.5, 300.0
SMALL = {"channels": 8, "lmax": 1, "hidden_lmax": 1, "layers": 1, "probes": 4, "radial_features": 16}
TINY = {"channels": 2, "lmax": 0, "hidden_lmax": 0, "layers": 1, "order": 2, "probes": 1, "radial_features": 4}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["speed", "energy"], help="one of the two questions")
    parser.add_argument("--atoms", type=int, nargs="+", default=[256, 2048], help="of the cells for the speed")
    parser.add_argument("--steps", type=int, default=20_000, help="of the run for the energy")
    parser.add_argument("--training", type=int, default=500, help="steps, of the model for the energy")
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    if args.only != "energy":
        models = {"tiny": TINY} if args.small else {"small": SMALL, "default": {}}
        for atoms in [32] if args.small else args.atoms:
            for name, fields in models.items():
                report(args, speed(name, fields, atoms, 2 if args.small else max(20, 40_000 // atoms)))
    if args.only != "speed":
        energies(args)


def report(args, found):
    print(", ".join(f"{name} {value}" for name, value in found.items()))
    harness.append(args.json, {"benchmark": "dynamics", **harness.environment(), **found})


def copper(atoms, seed=0):
    """A crystal of at least that many atoms in a cube, a little out of place."""
    crystal = bulk("Cu", cubic=True) * (3 * (round((atoms / 4) ** (1 / 3)),))
    crystal.rattle(0.05, seed=seed)
    return crystal


def structure(atoms, **labels):
    return graphs.Structure(atoms.numbers, atoms.positions, np.asarray(atoms.cell), (True, True, True), **labels)


def start(atoms):
    return np.asarray(dynamics.maxwell_boltzmann(jax.random.key(0), atoms.get_masses(), TEMPERATURE))


def speed(name, fields, count, steps):
    """Steps a second of both, after compiling; each in five runs of so many steps, which take turns."""
    atoms = copper(count)
    one = structure(atoms)
    model = potential.Potential(
        species=(29,), atomic_energies=(0.0,), mean_neighbors=42.0, scale=1e-7,
        repulsion=potential.repulsion.covalent_radii((29,)), **fields,
    )  # fmt: skip
    params = potential.initialize(model, jax.random.key(0))
    options = {"every": steps, "frames": 1, "velocities": start(atoms)}
    atoms.calc = PotentialCalculator(model, params)
    atoms.set_velocities(start(atoms) / units.fs)
    verlet = VelocityVerlet(atoms, TIMESTEP * units.fs)
    state = dynamics.run(model, params, one, 1, dynamics.NVE(TIMESTEP), **options).state
    verlet.run(1)
    times = {"program": [], "ase": []}
    for _ in range(5):
        for kind, rates in times.items():
            begin = time.perf_counter()
            if kind == "ase":
                verlet.run(steps)
            else:
                found = dynamics.run(model, params, one, steps, dynamics.NVE(TIMESTEP), **options | {"state": state})
                state = found.state
            rates.append(steps / (time.perf_counter() - begin))
    medians = {f"steps_a_second_{kind}": float(np.median(rates)) for kind, rates in times.items()}
    return {"case": "speed", "model": name, "atoms": len(atoms), "edges": edges(one, model.cutoff), **medians}


def edges(one, cutoff):
    return len(graphs.neighbor_list(one.positions, one.cell, one.pbc, cutoff)[0])


def energies(args):
    """The total energy an atom along a run, from a model that has learned EMT."""
    shared = {"training": 2 if args.small else args.training, "steps": 20 if args.small else args.steps}
    both = ("float32",) if args.small else ("float32", "float64")
    todo = [p for p in both if not harness.holds(args.json, case="energy", precision=p, **shared)]
    if not todo:
        return
    cells = [labeled(scale, seed) for seed in range(2 if args.small else 12) for scale in (0.98, 1.0, 1.02, 1.04)]
    fields = (TINY if args.small else SMALL) | {"atomic_energies": (0.0,)}
    model = potential.for_structures(cells, cutoff=3.5 if args.small else 4.5, **fields)
    if args.small:  # the program of the training is compiled by other scripts
        params = potential.initialize(model, jax.random.key(0))
    else:
        params = potential.fit(cells, model=model, steps=shared["training"], batch_size=4, progress=None).params
    atoms = copper(32)
    velocities, size = start(atoms), edges(structure(atoms), model.cutoff)
    for precision in todo:
        with jax.enable_x64(precision == "float64"):
            weights = jax.tree.map(lambda a, p=precision: np.asarray(a, p), params)
            found = dynamics.run(
                model, weights, structure(atoms), shared["steps"], dynamics.NVE(TIMESTEP),
                velocities=velocities, every=max(1, shared["steps"] // 200), frames=20,
            )  # fmt: skip
        total = 1000 * (found.log.energies + found.log.kinetic) / len(atoms)
        report(args, {
            "case": "energy", "precision": precision, "atoms": len(atoms), "edges": size,
            **shared, "timestep": TIMESTEP, "temperature": float(np.mean(found.log.temperatures)),
            "drift_mev_an_atom": float(np.polyfit(np.linspace(0, 1, len(total)), total, 1)[0]),
            "range_mev_an_atom": float(np.ptp(total)),
            "kinetic_range_mev_an_atom": float(1000 * np.ptp(found.log.kinetic) / len(atoms)),
        })  # fmt: skip


def labeled(scale, seed):
    """32 atoms of copper with EMT's energy and forces, hot and strained."""
    atoms = copper(32, seed)
    atoms.set_cell(atoms.cell * scale, scale_atoms=True)
    atoms.rattle(0.05 * (1 + seed % 3), seed=seed + 100)
    atoms.calc = EMT()
    return structure(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces())


if __name__ == "__main__":
    main()

"""Molecular dynamics of a structure, written to a file of ASE while it runs.

The same command goes on from the last frame of a run that was interrupted, up to the step that was asked for.
"""

import argparse
from pathlib import Path

import jax

from equijax import data, graphs
from equijax.models.potential import dynamics
from equijax.models.potential.predict import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, the structure, the ensemble and the file."""
    parser.add_argument("folder", help="that a training has written")
    parser.add_argument("file", help="structures, of which one is moved")
    parser.add_argument("--output", required=True, help="trajectory: .traj, .xyz or .extxyz")
    parser.add_argument("--frame", type=int, default=0, help="which structure of the file (0, the first)")
    parser.add_argument("--ensemble", choices=("nve", "langevin", "npt"), default="langevin")
    parser.add_argument("--steps", type=int, default=10_000, help="up to which step (10000)")
    parser.add_argument("--every", type=int, default=100, help="steps from frame to frame (100)")
    parser.add_argument("--timestep", type=float, default=0.5, help="in fs (0.5)")
    parser.add_argument("--temperature", type=float, default=300.0, help="in K, of the first velocities too (300)")
    parser.add_argument("--friction", type=float, default=0.01, help="in 1/fs (0.01)")
    parser.add_argument("--pressure", type=float, default=0.0, help="in GPa, for npt (0)")
    parser.add_argument("--seed", type=int, default=0, help="of first velocities and noise (0)")


def run(args: argparse.Namespace) -> None:
    """Run, or go on, and say what the energy did."""
    model, params = load(args.folder)
    structures = data.open_structures(args.file, energy=None, forces=None, stress=None)  # which may have no labels
    structure = graphs.checked(structures[args.frame])
    path, key = Path(args.output), jax.random.key(args.seed)
    write = dynamics.TrajectoryFile(path, structure, append=path.exists())
    if path.exists() and path.stat().st_size:  # without what was left of a frame that a kill cut off
        state = dynamics.last_state(path)
    else:
        velocities = dynamics.maxwell_boltzmann(key, dynamics.masses(structure.species), args.temperature)
        state = dynamics.begin(structure, velocities)
    left = args.steps - int(state.step)
    if left <= 0:
        print(f"{path}: has {int(state.step)} steps already; ask for more with --steps")
        return
    heat = (args.timestep, args.temperature, args.friction)
    ensembles: dict[str, dynamics.Ensemble] = {
        "nve": dynamics.NVE(args.timestep),
        "langevin": dynamics.Langevin(*heat),
        "npt": dynamics.NPT(*heat, args.pressure * dynamics.GPA),
    }

    def say(frames: dynamics.Frames) -> None:
        write(frames)
        log = dynamics.log_of(frames)
        print(f"step {log.steps[-1]}: {log.energies[-1]:.4f} eV potential, {log.temperatures[-1]:.0f} K", flush=True)

    options = {"state": state, "key": key, "every": args.every, "write": say}
    try:
        dynamics.run(model, params, structure, left, ensembles[args.ensemble], **options)
    except FloatingPointError as error:
        raise ValueError(str(error)) from error

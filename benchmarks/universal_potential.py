"""How fast is a published universal potential here, beside its own package? Same weights, same structures, float32.

Iron with a little noise, 54 and 500 atoms: energy, forces and stress of a call, after what a first call costs. With
`--data` a folder that has `nequix-mp-1.nqx`; without it, weights are random, and there is no peer. The peer is the
package nequix, its JAX route, padded as its own calculator pads.
"""

import argparse
import statistics
import time
from pathlib import Path

import harness

harness.keep_memory()

import jax  # noqa: E402
import numpy as np  # noqa: E402
from ase.build import bulk  # noqa: E402

from equijax import graphs  # noqa: E402
from equijax.interop import nequix as published  # noqa: E402
from equijax.models import NequIP, potential  # noqa: E402

CELLS = {54: (3, 3, 3), 500: (5, 5, 10)}
SMALL = {"channels": (4, 2), "lmax": 1, "layers": 2, "radial_features": (4,)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with nequix-mp-1.nqx")
    parser.add_argument("--atoms", type=int, nargs="+", choices=sorted(CELLS), default=sorted(CELLS))
    parser.add_argument("--seconds", type=float, default=30.0, help="of measuring, for each program")
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    path = args.data and args.data / "nequix-mp-1.nqx"
    if path:
        model, params = published.load(path)
    else:
        fields = SMALL if args.small else {}
        model = NequIP(species=(26,), atomic_energies=(0.0,), cutoff=6.0, mean_neighbors=57.0, **fields)
        params = potential.initialize(model, jax.random.key(0))
    for atoms in [2] if args.small else args.atoms:
        crystal = bulk("Fe", "bcc", 2.87, cubic=True).repeat(CELLS.get(atoms, 1))
        crystal.rattle(0.05, seed=0)
        programs = {"equijax": ours(model, params, crystal)}
        if path:
            programs["nequix"] = theirs(path, crystal)
        missing = [name for name, found in programs.items() if found is None] if path else ["nequix (no --data)"]
        found = {name: program for name, program in programs.items() if program is not None}
        times = harness.in_turns([p.run for _, p in found.values()], seconds=0.1 if args.small else args.seconds)
        energies = {name: energy(program.run()) for name, (energy, program) in found.items()}
        for (name, (_, program)), samples in zip(found.items(), times, strict=True):
            result = {
                "benchmark": "universal_potential",
                "atoms": len(crystal),
                "program": name,
                "weights": path.stem if path else "random",
                "edges": len(graphs.from_structure(structure(crystal), model.cutoff).senders),
                "seconds": statistics.median(samples),
                "trace_seconds": program.trace_seconds,
                "compile_seconds": program.compile_seconds,
                "first_seconds": first_call(program),
                "operations": program.operations,
                "temporary_bytes": program.temporary_bytes,
                "energy": energies[name],
                "missing": missing,
                **harness.environment(),
            }
            print(
                f"{name:8} {len(crystal)} atoms, {result['edges']} edges: {result['seconds']:.3f} s a call, "
                f"{result['first_seconds']:.1f} s the first, {result['temporary_bytes'] / 2**20:.0f} MiB"
            )
            harness.append(args.json, result)
        for name in missing:
            print(f"missing: {name}")


def structure(crystal):
    return graphs.Structure(crystal.numbers, crystal.positions, np.asarray(crystal.cell), (True, True, True))


def first_call(program):
    """Seconds to trace, compile and run once."""
    begin = time.perf_counter()
    jax.block_until_ready(program.run())
    return program.trace_seconds + program.compile_seconds + time.perf_counter() - begin


def ours(model, params, crystal):
    """What gives the energy, and the program."""
    graph = graphs.batch([structure(crystal)], model.cutoff)
    graph = jax.tree.map(lambda a: a.astype(np.float32) if a.dtype == np.float64 else a, graph)
    alone = potential.baseline(model, crystal.numbers).sum()
    program = harness.compiled(lambda params, graph: potential.predict(model, params, graph), params, graph)
    return lambda found: float(found.energies[0]) + alone, program


def theirs(path, crystal):
    """The same by the package nequix; None if it is not installed."""
    try:
        import equinox
        import jraph
        from nequix import data
        from nequix.model import load_model
    except ImportError:
        return None
    model, config = load_model(str(path))
    index = data.atomic_numbers_to_indices(config["atomic_numbers"])
    graph = data.dict_to_graphstuple(data.preprocess_graph(crystal, index, config["cutoff"], False))
    edges = 64 * -(-int(np.ceil(1.1 * graph.n_edge[0])) // 64)
    graph = jraph.pad_with_graphs(graph, n_node=8 * ((len(crystal) + 8) // 8), n_edge=edges, n_graph=2)
    arrays, static = equinox.partition(model, equinox.is_array)
    program = harness.compiled(lambda arrays, graph: equinox.combine(arrays, static)(graph), arrays, graph)
    return lambda found: float(found[0][0]), program


if __name__ == "__main__":
    main()

"""How much of a batch of structures of any size is padding, and what does a set cost that is read from disk?

`padding`: sixty clusters of 2 to 120 atoms in batches of a few shapes (`graphs.shapes`), beside batches in one shape
that holds the largest ones; the largest difference of the predictions from those of each structure alone. `steps`: the
time of a step of training for both, to be measured on cores that do nothing else, as `speed`: atoms a second of the
default model, energies and forces, and what the machine could do at best. `disk`: resident memory and steps a
second of a run whose structures are read from a file of extended XYZ, with worker processes and without, against one in
memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import harness

ATOMS = 60  # clusters, of 2 to 120 atoms
TINY = {"channels": 4, "layers": 1, "radial_features": 8, "probes": 2, "lmax": 1, "hidden_lmax": 0, "order": 2}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("padding", "steps", "speed", "disk"), help="one of the questions")
    parser.add_argument("--long", action="store_true", help="100,000 structures on disk instead of 10,000")
    parser.add_argument("--run", help=argparse.SUPPRESS)  # one run of `disk`, in a process of its own
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    if args.run:
        print(json.dumps(disk_run(**json.loads(args.run))))
        return
    results = []
    if args.only in (None, "padding"):
        results += padding(args.small)
    if args.only == "steps" or (args.only is None and not args.small):
        results += steps()
    if args.only in (None, "speed"):
        results += speed(args.small)
    if args.only in (None, "disk"):
        results += disk(args)
    for result in results:
        print(
            ", ".join(
                f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                for name, value in result.items()
            )
        )
        harness.append(args.json, {"benchmark": "potential_tool", **result, **harness.environment()})


def cluster(atoms, seed):
    """Atoms of carbon and hydrogen on a distorted lattice as dense as a solid, with labels that are not looked at."""
    from equijax import graphs

    rng = np.random.default_rng(seed)
    sites = np.stack(np.meshgrid(*[range(6)] * 3), -1).reshape(-1, 3)
    sites = sites[np.argsort(np.linalg.norm(sites - 2.4, axis=1), kind="stable")][:atoms]
    positions = 1.9 * sites + rng.normal(0, 0.1, (atoms, 3))
    return graphs.Structure(
        rng.choice([1, 6], atoms), positions, energy=-5.0 * atoms + rng.normal(), forces=rng.normal(size=(atoms, 3))
    )


def model_for(frames, **fields):
    from equijax.models import potential

    return potential.for_structures(frames, atomic_energies=(-5.0, -5.0), **fields)


def ways(model, frames, batch_size=5):
    """Samples in a few shapes, and in the one that holds any `batch_size` structures."""
    from equijax import graphs
    from equijax.models import potential

    packed = potential.samples(model, frames, batch_size)
    nodes, edges = np.sort(packed.sizes, axis=0)[-batch_size:].sum(axis=0).tolist()
    largest = packed._replace(shapes=(graphs.Shape(nodes + 1, edges, batch_size + 1),))
    in_order = [tuple(range(k, k + batch_size)) for k in range(0, len(frames), batch_size)]
    return {
        "a few shapes": (packed, packed.packs()),
        "the largest": (largest, [graphs.Pack(members, largest.shapes[0]) for members in in_order]),
    }


def padding(small):
    """Shares of padding, and that it changes no number."""
    import jax

    from equijax import graphs
    from equijax.models import potential

    frames = [cluster(atoms, k) for k, atoms in enumerate(np.linspace(2, 120, 8 if small else ATOMS).astype(int))]
    model = model_for(frames, **(TINY if small else {"channels": 8}))
    params = potential.initialize(model, jax.random.key(0))
    predict = jax.jit(lambda params, graph: potential.predict(model, params, graph))
    for way, (samples, packs) in ways(model, frames).items():
        edges, nodes = (sum(getattr(p.shape, name) for p in packs) for name in ("edges", "nodes"))
        result = {
            "what": "padding", "way": way, "structures": len(frames), "shapes": len(samples.shapes),
            "batches": len(packs), "padding_of_edges": 1 - float(samples.sizes[:, 1].sum()) / edges,
            "padding_of_nodes": 1 - float(samples.sizes[:, 0].sum()) / nodes,
        }  # fmt: skip
        if way == "a few shapes":
            worst = 0.0
            for k in (0,) if small else (0, len(frames) // 2):  # against each alone, without any other
                pack = next(p for p in packs if k in p.members)
                graph, _ = samples.of_packs([pack])
                found, at = predict(params, graph), pack.members.index(k)
                single = graphs.concatenate([samples.held[k][0]], nodes=int(samples.sizes[k, 0]) + 1,
                                            edges=int(samples.sizes[k, 1]))  # fmt: skip
                alone = predict(
                    params, jax.tree.map(lambda a: a.astype(np.float32) if a.dtype == np.float64 else a, single)
                )
                forces = found.forces[graph.graph_of_node == at]
                scale = float(np.abs(alone.forces).max())
                worst = max(worst, float(np.abs(forces - alone.forces[: len(forces)]).max()) / scale)
            result["difference"] = worst
        yield result


def steps(rounds=3):
    """Median time of an epoch of gradients, the two ways in turns."""
    import jax

    from equijax import training
    from equijax.models import potential

    harness.keep_memory()
    frames = [cluster(atoms, k) for k, atoms in enumerate(np.linspace(2, 120, ATOMS).astype(int))]
    model = model_for(frames)
    params = potential.initialize(model, jax.random.key(0))
    gradient = jax.jit(training.gradient(potential.objective(model)))
    epochs = {way: [samples.of_packs([p]) for p in packs] for way, (samples, packs) in ways(model, frames).items()}
    times = {way: [] for way in epochs}
    for turn in range(rounds + 1):
        for way, batches in epochs.items():
            begin = time.perf_counter()
            for batch in batches:
                jax.block_until_ready(gradient(params, batch))
            if turn:  # the first one compiles
                times[way].append(time.perf_counter() - begin)
    for way, seconds in times.items():
        median = float(np.median(seconds))
        yield {
            "what": "steps", "way": way, "structures": ATOMS, "seconds_an_epoch": median,
            "milliseconds_a_step": 1e3 * median / len(epochs[way]),
        }  # fmt: skip


def speed(small):
    """`predict` of forty molecules and of a crystal, beside a matrix product and a copy; to be timed on one core."""
    import jax
    from ase.build import bulk

    from equijax import data, graphs
    from equijax.models import potential

    harness.keep_memory()
    copper = bulk("Cu", cubic=True) * ((1 if small else 4,) * 3)
    copper.rattle(0.05, seed=0)
    cases = {
        "acetylacetone": data.acetylacetone().train[: 2 if small else 40],
        "copper": [graphs.Structure(copper.numbers, copper.positions, np.asarray(copper.cell), (True,) * 3)],
    }
    programs, sizes = {}, {}
    for name, structures in cases.items():
        species = tuple(np.unique(np.concatenate([s.species for s in structures])).tolist())
        neighbors = {"acetylacetone": 12.0, "copper": 42.0}[name]
        model = potential.Potential(
            species=species, atomic_energies=(0.0,) * len(species), mean_neighbors=neighbors, **(TINY if small else {})
        )
        graph = graphs.batch(structures, model.cutoff)
        params = potential.initialize(model, jax.random.key(0))
        programs[name] = harness.compiled(lambda p, g, model=model: potential.predict(model, p, g), params, graph)
        sizes[name] = sum(len(s.species) for s in structures), int(np.sum(graph.edge_mask))
    matrices, operations = harness.matrix_product_call()
    copy, moved = harness.copy_call(1 << 28)
    samples = harness.in_turns([*(p.run for p in programs.values()), matrices, copy], seconds=0.1 if small else 5)
    *times, per_product, per_copy = (float(np.median(s)) for s in samples)
    for (name, program), seconds in zip(programs.items(), times, strict=True):
        atoms, edges = sizes[name]
        traffic = float(program.call.cost_analysis()["bytes accessed"])
        yield {
            "what": "speed", "way": name, "structures": len(cases[name]), "atoms": atoms, "edges": edges,
            "atoms_a_second": atoms / seconds, "microseconds_an_edge": 1e6 * seconds / edges,
            "operations": program.operations, "bytes_accessed": traffic,
            "share_of_arithmetic": program.operations / seconds / (operations / per_product),
            "share_of_memory": traffic / seconds / (moved / per_copy),
            "compile_seconds": program.compile_seconds, "trace_seconds": program.trace_seconds,
        }  # fmt: skip


def disk(args):
    """Runs in processes of their own, so that memory is that of one run."""
    import ase.io
    from ase import Atoms

    count, length = (60, 4) if args.small else (100_000 if args.long else 10_000, 200)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.xyz"
        with path.open("w") as file:
            for k in range(count):
                s = cluster(2 + k * 7919 % 29, k)
                atoms = Atoms(s.species, s.positions, info={"REF_energy": s.energy})
                atoms.arrays["REF_forces"] = s.forces
                ase.io.write(file, atoms, format="extxyz")
        megabytes = path.stat().st_size / 1e6
        ways = {"in memory": (2**62, 0), "from disk": (0, 0), "from disk, a worker": (0, 1)}
        for way, (held, workers) in ways.items():
            case = {"path": str(path), "held": held, "workers": workers, "length": length}
            if args.small:  # one way, in this process
                if held or workers:
                    continue
                found = disk_run(**case)
            else:
                command = [sys.executable, __file__, "--run", json.dumps(case)]
                found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
            yield {"what": "disk", "way": way, "structures": count, "file_megabytes": megabytes, **found}


def disk_run(path, held, workers, length):
    """One run: what it takes before the first step, steps a second, and memory."""
    from equijax import data
    from equijax.models import potential

    begin = time.perf_counter()
    frames = data.open_structures(path)
    trained = potential.fit(
        list(frames) if held else frames, fields=TINY | {"atomic_energies": (-5.0, -5.0)}, steps=length, batch_size=20,
        held=held, workers=workers, every=length, progress=False,
    )  # fmt: skip
    spent = trained.run.spent
    own, of_workers = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "megabytes": own / 1024, "megabytes_of_workers": of_workers / 1024,
        "steps_a_second": length / (spent.batching + spent.stepping),
        "seconds_before": time.perf_counter() - begin - spent.batching - spent.stepping - spent.compiling,
    }  # fmt: skip


if __name__ == "__main__":
    main()

"""Do many devices give the numbers of one, with less memory on each?

python benchmarks/many_devices.py --devices 8 --json benchmarks/results/many_devices.jsonl

Two questions: a training step of the potential, its batch split over the devices; and one structure of 20,000 atoms,
its atoms split over the devices. Without an accelerator, --devices makes so many out of the CPU. On several hosts start
the same command on each, with JAX_COORDINATOR_ADDRESS (HOST:PORT of the first), JAX_NUM_PROCESSES and JAX_PROCESS_ID
set unless the cluster tells jax itself; `--processes 2` does that on one host, to try it.
"""

import argparse
import os
import socket
import subprocess
import sys
import time

import harness  # without its keep_memory: the memory of many devices, never given back, falls in pieces

PROCESSES = "JAX_NUM_PROCESSES"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser)
    parser.add_argument("--devices", type=int, help="make so many devices of the CPU of each process")
    parser.add_argument("--processes", type=int, help="start so many processes of this command, on this host")
    parser.add_argument("--atoms", type=int, default=20_000, help="of the large structure")
    args = parser.parse_args()
    if args.processes:
        raise SystemExit(launch(args.processes))
    harness.set_platform(args)
    import jax

    if args.devices:
        jax.config.update("jax_num_cpu_devices", args.devices)
    if PROCESSES in os.environ:
        jax.distributed.initialize(
            num_processes=int(os.environ[PROCESSES]), process_id=int(os.environ["JAX_PROCESS_ID"])
        )
    mesh = jax.make_mesh((jax.device_count(),), ("devices",))
    first = jax.process_index() == 0
    for measure in (training_step, large_structure):
        result = measure(mesh, args)
        if first:
            print(
                f"{result['case']}: "
                + ", ".join(f"{name} {value:.4g}" for name, value in result.items() if name != "case")
            )
        if first and args.json:
            run = {"devices": jax.device_count(), "processes": jax.process_count(), "small": args.small}
            harness.append(args.json, result | run | harness.environment())


def launch(count):
    """Run this command in `count` processes that find each other on this host; the first exit status that is not 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    at = sys.argv.index("--processes")
    command = [sys.executable, *sys.argv[:at], *sys.argv[at + 2 :]]
    shared = os.environ | {"JAX_COORDINATOR_ADDRESS": address, PROCESSES: str(count)}
    processes = [subprocess.Popen(command, env=shared | {"JAX_PROCESS_ID": str(k)}) for k in range(count)]
    return next(filter(None, [process.wait() for process in processes]), 0)


def training_step(mesh, args):
    """Loss and gradient of a batch of two structures a device, on all devices and on one."""
    import jax
    import numpy as np

    from equijax import data, training
    from equijax.models import potential

    frames = data.acetylacetone().train
    size = 2 * mesh.size
    model = potential_of(frames, args)
    params = potential.initialize(model, jax.random.key(0))
    batch = potential.samples(model, frames[:64], 2).batch(np.arange(size) % 64, shards=mesh.size)
    many = harness.compiled(
        training.gradient(potential.parallel.objective(model, mesh)),
        training.replicate(params, mesh),
        training.split(batch, mesh),
    )
    one = harness.compiled(
        training.gradient(potential.objective(model)),
        params,
        potential.samples(model, frames[:64], size).batch(np.arange(size) % 64),
    )
    (found, gradient), (found_of_one, gradient_of_one) = many.run(), one.run()
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(gradient_of_one), strict=True)
    return {
        "case": "training step",
        "structures": size,
        "loss": abs(float(found.value) / float(found_of_one.value) - 1),
        "gradient": max(float(np.max(np.abs(np.asarray(a) - b)) / np.max(np.abs(b))) for a, b in pairs),
        "seconds": seconds(many),
        "seconds_of_one": seconds(one),
        "temporary_bytes": many.temporary_bytes,
        "temporary_bytes_of_one": one.temporary_bytes,
    }


def large_structure(mesh, args):
    """Energy and forces of one periodic structure, on all devices and on one."""
    import jax
    import numpy as np

    from equijax import data, graphs, training
    from equijax.models import potential

    frames = data.acetylacetone().train
    model = potential_of(frames, args)
    params = potential.initialize(model, jax.random.key(0))
    structure = packed(frames, 600 if args.small else args.atoms)
    graph = jax.tree.map(single, graphs.partition(graphs.batch([structure], model.cutoff), mesh.size))
    many = harness.compiled(
        potential.parallel.predict(model, mesh),
        training.replicate(params, mesh),
        potential.parallel.split_graph(graph, mesh),
    )
    one = harness.compiled(lambda params, graph: potential.predict(model, params, graph), params, graph)
    got, want = many.run(), one.run()
    local = [(shard.data, want.forces[shard.index]) for shard in got.forces.addressable_shards]
    rms = float(np.sqrt(np.mean(np.asarray(want.forces)[graph.node_mask] ** 2)))
    atoms = len(structure.species)
    return {
        "case": "large structure",
        "atoms": atoms,
        "edges": int(graph.edge_mask.sum()),
        "energy_an_atom": abs(float(np.asarray(got.energies)[0]) - float(want.energies[0])) / atoms,
        "forces": max(float(np.max(np.abs(np.asarray(a) - np.asarray(b)))) for a, b in local) / rms,
        "seconds": seconds(many),
        "seconds_of_one": seconds(one),
        "temporary_bytes": many.temporary_bytes,
        "temporary_bytes_of_one": one.temporary_bytes,
        "compile_seconds": many.compile_seconds,
    }


def potential_of(frames, args):
    """The model of `benchmarks/potential.py`, or a smaller one."""
    from equijax.models import potential

    size = {"channels": 4, "radial_features": 8, "probes": 2, "layers": 1} if args.small else {}
    return potential.for_structures(frames, **potential.statistics(frames[:50], 5.0), **size)


def packed(frames, atoms):
    """Molecules in random orientations on a cubic lattice of 7 Å, periodic: so many atoms, or a few more."""
    import numpy as np
    from scipy.spatial.transform import Rotation

    from equijax.graphs import Structure

    count = -(-atoms // len(frames[0].species))
    side = round(np.ceil(count ** (1 / 3)))
    sites = 7.0 * np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)[:count]
    turns = Rotation.random(count, rng=0).as_matrix()
    molecules = [frames[k % len(frames)] for k in range(count)]
    rows = [
        (m.positions - m.positions.mean(0)) @ turn.T + site
        for m, turn, site in zip(molecules, turns, sites, strict=True)
    ]
    return Structure(
        np.concatenate([m.species for m in molecules]), np.concatenate(rows), 7.0 * side * np.eye(3), (True,) * 3
    )


def single(x):
    return x.astype("float32") if x.dtype == "float64" else x


def seconds(program):
    import jax

    times = []
    for _ in range(3):
        begin = time.perf_counter()
        jax.block_until_ready(program.run())
        times.append(time.perf_counter() - begin)
    return min(times)


if __name__ == "__main__":
    main()

"""What do the programs of equijax cost on a TPU, and do they lower for CUDA? Answered without either.

pip install -e '.[tpu-aot]' && python benchmarks/aot.py --json benchmarks/results/aot.jsonl

libtpu holds the whole compiler for TPUs and needs none. Every public layer, transform and model is compiled for a chip
of each topology, forward and with gradients, in float32 and bfloat16: operations, main-memory traffic over the least
possible, temporary memory, time to compile, the largest constant. And each is lowered for CUDA by `jax.export`. No time
on a device is known. Programs for many devices are compiled for a slice of sixteen chips, for the collectives in them.
Each topology has a process of its own.
"""

import argparse
import importlib.metadata
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time

import harness
from harness import traffic

TOPOLOGIES = {"v5e:2x2": "v5litepod-4", "v6e:2x2": "v6e-4", "v5e:4x4": "v5litepod-16"}
SLICE = "v5e:4x4"  # for programs of many devices, the others for programs of one
SETS = ("products", "layers", "transforms", "models", "many")
SELECTION = "selection"  # what the tests compile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser)
    parser.add_argument("--topologies", nargs="+", default=list(TOPOLOGIES), choices=TOPOLOGIES)
    parser.add_argument("--only", nargs="+", choices=(*SETS, SELECTION), default=SETS, help="these programs")
    parser.add_argument("--resume", action="store_true", help="leave out what the file of --json holds already")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure(args)
        return
    if args.resume and not args.json:
        parser.error("--resume needs --json")
    if importlib.util.find_spec("libtpu") is None:
        print("libtpu is missing (pip install -e '.[tpu-aot]'): programs are lowered for CUDA only")
        args.topologies = ["none"]
    elif args.small:
        args.topologies = args.topologies[:1]
    args.topologies = [t for t in args.topologies if t != SLICE or "many" in args.only]
    for record in bounds() if "products" in args.only and not (args.small or args.resume) else ():
        harness.append(args.json, record)
    for topology in args.topologies:
        command = [sys.executable, __file__, "--one", topology, "--only", *args.only, *["--small"] * args.small]
        command += ["--resume", "--json", args.json] if args.resume else []
        with subprocess.Popen(command, env=environment(topology), stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if line.startswith("{"):
                    record = json.loads(line)
                    print(summary(record), flush=True)
                    harness.append(args.json, record)
        if process.returncode:
            raise SystemExit(f"the process for {topology} ended with {process.returncode}")


def bounds(rows=16384, channels=128):
    """What bounds the Gaunt product of a TPU v5e, in seconds, which fused kernel is chosen: a record a degree."""
    from equijax.products import costs, planner

    for l in range(1, 9):
        memory, plain_memory = (n * rows * channels / costs.BANDWIDTH for n in planner.bytes_moved(l, l, l))
        highest, default = (planner.kernel_seconds(l, l, l, False, p) for p in ("highest", "default"))
        record = {"table": "bounds", "degree": l, "rows": rows, "channels": channels, "memory": memory}
        record |= {"plain_memory": plain_memory, "terms": highest.get("terms"), "grid_highest": highest["grid"]}
        record |= {"grid_default": default["grid"]}
        record |= {
            k: v * rows * channels for k, v in record.items() if k in ("terms", "grid_highest", "grid_default") and v
        }
        yield record | {p: planner.fused(l, l, l, rows, channels, precision=p) for p in ("highest", "default")}


def environment(topology):
    """What libtpu has to be told before it is loaded, where there is no TPU."""
    return os.environ | {
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "TPU_ACCELERATOR_TYPE": TOPOLOGIES.get(topology, ""),
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    }


def measure(args):
    """Print a line of JSON for each program."""
    import jax
    import jax.numpy as jnp

    mesh = None if args.one == "none" else mesh_of(args.one)
    done = finished(args.json) if args.resume else set()
    versions = {name: importlib.metadata.version(name) for name in ("equijax", "jax", *["libtpu"] * (mesh is not None))}
    for name, dtype in itertools.product(args.only, (jnp.float32, jnp.bfloat16)):
        if (name == "many") != (args.one == SLICE) or (name == "many" and dtype == jnp.bfloat16):
            continue
        for case in cases(name, dtype, args.small, mesh):
            for mode in ("forward", "gradient")[: 1 + case.gradient]:
                record = {"set": name, "case": case.name, "mode": mode, "dtype": jnp.dtype(dtype).name}
                record |= {"topology": args.one}
                if tuple(record.values()) in done:
                    continue
                f, arguments = (case.f, case.arguments) if mode == "forward" else case.backward()
                record |= {} if name == "many" else lowered(jax.jit(f), arguments)
                if mesh is not None:
                    record |= compiled(f, arguments, mesh, name == "many")
                print(json.dumps(record | versions), flush=True)


def finished(path):
    """The programs that a file of results holds: set, case, mode, dtype and topology of each."""
    keys = "set", "case", "mode", "dtype", "topology"
    return {tuple(r[key] for key in keys) for r in harness.read(path) if "set" in r}


def cases(name, dtype, small, mesh):
    """The programs of a set, at sizes that do not fit in fast memory; only a few if `small`."""
    from harness import programs

    rows, channels = (64, 128) if small else (16384, 128)
    found = {
        SELECTION: lambda: programs.products_of(dtype, rows, channels, (2,)),
        "products": lambda: programs.products_of(dtype, rows, channels, (1,) if small else range(1, 7)),
        "layers": lambda: programs.layers(dtype, rows, channels),
        "transforms": lambda: programs.transforms(dtype),
        "models": lambda: programs.models(dtype, 256, 4096, 32),
        "many": lambda: programs.many(dtype, mesh, *((8, 32, 2) if small else (256, 4096, 16))),
    }[name]()
    return itertools.islice(found, name != "models") if small else found


def mesh_of(topology):
    """The chips of a slice, or the first one of another topology, for the compiler."""
    import numpy as np
    from jax.experimental import topologies
    from jax.sharding import AxisType, Mesh

    devices = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    if topology == SLICE:
        return Mesh(np.array(devices), "devices", axis_types=(AxisType.Explicit,))
    return Mesh(np.array(devices[:1]), "devices", axis_types=(AxisType.Auto,))


def compiled(f, arguments, mesh, many):
    """What the compiler for TPUs says of f, or its error."""
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    if not many:
        device = NamedSharding(mesh, PartitionSpec())
        arguments = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=device), arguments)
    begin = time.perf_counter()
    try:
        program = jax.jit(f).lower(*arguments).compile()
    except Exception as e:
        return {"error": f"{type(e).__name__}: {str(e).splitlines()[0][:200]}"}
    text = program.as_text()
    record = {
        "compile_seconds": time.perf_counter() - begin,
        "temporary_bytes": program.memory_analysis().temp_size_in_bytes,
    }
    if many:
        return record | {"devices": mesh.size, "collectives": traffic.collectives(text)}
    return record | {
        "operations": (program.cost_analysis() or {}).get("flops", 0),
        "kernels": text.count('custom_call_target="tpu_custom_call"'),
        "traffic": traffic.main_memory(text),
        "least": traffic.least(text),
        "wide_copies": len(traffic.wide_copies(text)),
        "wide_bytes": max((traffic.array_bytes(array) for _, array in traffic.wide_arrays(text)), default=0),
    }


def lowered(f, arguments):
    """Whether f lowers for CUDA, and the largest constant that it holds there."""
    import jax

    try:
        text = jax.export.export(f, platforms=["cuda"])(*arguments).mlir_module()
    except Exception as e:
        return {"cuda": False, "cuda_error": f"{type(e).__name__}: {str(e).splitlines()[0][:200]}"}
    return {"cuda": True, "constant_bytes": traffic.largest_constant(text)}


def summary(record):
    """A line for a person."""
    head = f"{record['topology']} {record['case']}, {record['mode']}, {record['dtype']}: "
    if record["set"] == "many":
        return head + (record.get("error") or f"{record['collectives']} in {record['compile_seconds']:.1f} s")
    cuda = "lowers for CUDA" if record["cuda"] else record["cuda_error"]
    if "traffic" not in record:
        return head + record.get("error", "") + cuda
    return (
        head + f"traffic {record['traffic'] / 1e6:.1f} MB, {record['traffic'] / record['least']:.2f} times the least; "
        f"temporary {record['temporary_bytes'] / 1e6:.1f} MB; compiled in {record['compile_seconds']:.1f} s; {cuda}"
    )


if __name__ == "__main__":
    main()

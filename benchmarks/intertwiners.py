"""How long does it take to find all equivariant linear maps between tensors of order up to two, here and with emlp?

Each package solves for each group in a fresh process, so that nothing is cached and everything that has to be compiled
is counted; imports are not. The packages take turns. emlp (`pip install emlp six`) is named as missing if it is.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import statistics
import subprocess
import sys
import time

from harness import add_arguments, append, environment, set_platform

GROUPS = ("S(5)", "SO(3)", "SO+(1,3)")
ORDERS = (0, 1, 2)
PACKAGES = ("equijax", "emlp")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes for each group and package")
    parser.add_argument("--one", nargs=2, metavar=("PACKAGE", "GROUP"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    set_platform(args)
    if args.one:
        print(json.dumps(solve(*args.one)))
        return
    present = [package for package in PACKAGES if importlib.util.find_spec(package)]
    for package in set(PACKAGES) - set(present):
        print(f"{package} is not installed and is left out")
    for group in GROUPS[:1] if args.small else GROUPS:
        runs = {package: [] for package in present}
        for _ in range(1 if args.small else args.repeats):
            for package in present:
                runs[package].append(in_new_process(package, group))
        for package, found in runs.items():
            totals = [sum(run["seconds"]) for run in found]
            cpu = statistics.median(sum(run["cpu_seconds"]) for run in found)
            result = {
                "benchmark": "intertwiners",
                "package": package,
                "version": importlib.metadata.version(package),
                "group": group,
                "dimensions": found[0]["dimensions"],
                "seconds": statistics.median(totals),
                "spread": max(totals) - min(totals),
                "slowest": statistics.median(max(run["seconds"]) for run in found),
                "cpu_seconds": cpu,
                "slowest_cpu": statistics.median(max(run["cpu_seconds"]) for run in found),
                **environment(),
            }
            print(
                f"{package:8} {group:9} {result['seconds']:7.2f} s in all ({cpu:.2f} s of CPU), the slowest "
                f"{result['slowest']:.2f} s ({result['slowest_cpu']:.2f} s); "
                f"dimensions {' '.join(map(str, result['dimensions']))}"
            )
            append(args.json, result)


def in_new_process(package, group):
    """The output of `solve` in a process of its own."""
    command = [sys.executable, __file__, "--one", package, group]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def solve(package, group):
    """Seconds, of the clock and of the processor, and dimension of the maps between tensors of each pair of orders."""
    count = {"equijax": with_equijax, "emlp": with_emlp}[package](group)
    seconds, cpu_seconds, dimensions = [], [], []
    for source in ORDERS:
        for target in ORDERS:
            begin, begin_cpu = time.perf_counter(), time.process_time()
            dimensions.append(int(count(source, target)))
            seconds.append(time.perf_counter() - begin)
            cpu_seconds.append(time.process_time() - begin_cpu)
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "dimensions": dimensions}


def with_equijax(group):
    from equijax import groups, reps

    element = {"S(5)": groups.Permutation(5), "SO(3)": groups.SO(3), "SO+(1,3)": groups.Lorentz()}[group]
    one = reps.Permutation() if group == "S(5)" else reps.Vector()
    tensors = [reps.TensorProduct(*([one] * order or [reps.Scalar()])) for order in ORDERS]
    return lambda source, target: len(reps.intertwiners(element, tensors[source], tensors[target]))


def with_emlp(group):
    from emlp.groups import SO, S, SO13p
    from emlp.reps import T

    element = {"S(5)": S(5), "SO(3)": SO(3), "SO+(1,3)": SO13p()}[group]
    return lambda source, target: (T(source) >> T(target))(element).equivariant_basis().shape[-1]


if __name__ == "__main__":
    main()

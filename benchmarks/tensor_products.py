"""How fast are products on the sphere, beside other packages and beside what the machine allows?

python benchmarks/tensor_products.py --json benchmarks/results/tensor_products.jsonl

Three tables: products of two features, their growth with the degree, and the convolution with a filter around an edge.
The cases of one size take turns in one process, and the results of a size are kept as soon as it is done. What would
take too long, as the degrees below predict, is left out by name.
"""

import argparse
import datetime
import functools
import math
import statistics
import time

import harness
import tables.tensor_products

TABLES = {  # sizes (rows, channels) and degrees
    "products": ([(1024, 16), (256, 128)], range(1, 13)),
    "growth": ([(32, 8)], (12, 16, 20, 24, 32, 48, 64)),
    "convolution": ([(128, 64)], range(1, 9)),
}
MODES = ("forward", "gradient")
LIMITS = {"seconds": "{:.1f} s a call", "setup_seconds": "{:.0f} s to compile", "gigabytes": "{:.1f} GB of memory"}
HIGHEST = {"gaunt, grid": 20}  # degrees beyond which a method of ours is not tried


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES), help="these tables")
    parser.add_argument("--degrees", type=int, nargs="+", help="these degrees of each table")
    parser.add_argument("--seconds", type=float, default=0.4, help="for the calls of one case")
    parser.add_argument("--compile-limit", type=float, default=40.0, help="seconds for compiling one case")
    parser.add_argument("--call-limit", type=float, default=2.0, help="seconds for one call")
    parser.add_argument("--memory-limit", type=float, default=4.0, help="GB of temporary memory for one call")
    args = parser.parse_args()
    harness.keep_memory()
    harness.set_platform(args)
    records = []
    for record in measure(args, harness.interrupted()):
        records.append(record)
        harness.append(args.json, record)
        print(tables.tensor_products.line(record), flush=True)
    print("\n" + harness.summary(tables.tensor_products.targets(records)))
    print(f"{sum('reason' in r for r in records)} cases were left out, each named above with the reason.")


def measure(args, stop):
    """Every record: one of the run, then one of each case, also of those left out."""
    import jax

    import peers

    jax.config.update("jax_default_matmul_precision", "highest")  # for the peers; ours ask for it
    run = {"run": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    yield run | {"table": "run", **harness.environment(), "packages": peers.versions(), "small": args.small}
    entries = {
        "products": peers.PRODUCTS,
        "growth": [e for e in peers.PRODUCTS if e.map == "gaunt"],
        "convolution": peers.CONVOLUTION,
    }
    limits = dict(zip(LIMITS, (args.call_limit, args.compile_limit, args.memory_limit), strict=True))
    past = {}
    for table in args.only:
        sizes, degrees, modes = *TABLES[table], MODES
        if args.small:
            sizes, degrees, modes = [(8, 4)], degrees[:1], MODES[1:]
        for degree in args.degrees or degrees:
            for rows, channels in sizes:
                for mode in modes:
                    key = {"table": table, "degree": degree, "rows": rows, "channels": channels, "mode": mode}
                    seconds = 0.02 if args.small else args.seconds
                    for record in group(key, entries[table], limits, past, seconds, stop):
                        yield run | record
                    if stop:
                        return


def group(key, entries, limits, past, seconds, stop):
    """The records of all entries for one size and mode; their calls take turns, with those that measure the machine."""
    records, programs = [], []
    for entry in entries:
        if stop:
            return
        earlier = past.setdefault((key["table"], key["rows"], key["channels"], key["mode"], *entry[:2]), [])
        record = key | {"package": entry.package, "case": entry.name, "map": entry.map}
        reason = unfit(entry, key["degree"], earlier, limits)
        if not reason:
            try:
                program, found = prepare(entry, key)
            except Exception as e:  # a method that does not exist for these degrees, or a peer that fails: named
                reason = ": ".join([type(e).__name__, *str(e).splitlines()[:1]])[:180]
            else:
                record |= found
                if record["gigabytes"] > limits["gigabytes"]:
                    reason = LIMITS["gigabytes"].format(record["gigabytes"])
                    earlier.append({"too large": True, "reason": f"{reason} at L = {key['degree']}"})
        if reason:
            yield record | {"reason": reason}
        else:
            earlier.append(record)
            records.append(record)
            programs.append(program)
    if not programs:
        return
    product, operations = harness.matrix_product_call()
    copy, moved = harness.copy_call(programs[0].least_bytes)
    runs = {program.instructions: program.run for program in programs}  # one for all names of a program, such as "auto"
    samples = harness.in_turns([product, copy, *runs.values()], seconds=seconds, stop=stop)
    if min(map(len, samples)) < 2:  # interrupted
        return
    product_rate, copy_rate = operations / statistics.median(samples[0]), moved / statistics.median(samples[1])
    timed = dict(zip(runs, samples[2:], strict=True))
    for record, program in zip(records, programs, strict=True):
        times = timed[program.instructions]
        arithmetic, memory = program.operations / product_rate, program.least_bytes / copy_rate
        low, middle, high = statistics.quantiles(times, n=4)
        record |= {
            "seconds": middle,
            "quartiles": [low, high],
            "samples": len(times),
            "bound": "arithmetic" if arithmetic > memory else "memory",
            "fraction": max(arithmetic, memory) / middle,
            "product_rate": product_rate,
            "copy_rate": copy_rate,
        }
        yield record


def unfit(entry, degree, earlier, limits):
    """Why an entry is not tried: not installed, beyond its degrees, or too large by the trend of the degrees below."""
    import peers

    if entry.package in peers.missing():
        return "not installed"
    if degree > HIGHEST.get(entry.name, degree):
        return f"not tried above L = {HIGHEST[entry.name]}"
    measured = [record for record in earlier if "seconds" in record]
    if earlier and earlier[-1].get("too large"):
        return earlier[-1]["reason"]
    for name, limit in limits.items() if measured else ():
        last, power = measured[-1], 3.0
        if last[name] < limit / 4 or (name == "setup_seconds" and len(measured) == 1):
            continue  # far away; and the first degree of a package may hold what is done once
        if len(measured) > 1:
            power = math.log(last[name] / measured[-2][name]) / math.log(last["degree"] / measured[-2]["degree"])
        expected = last[name] * (degree / last["degree"]) ** min(max(power, 1), 6)
        if expected > limit:
            reason = f"{LIMITS[name].format(expected)} expected, after {last[name]:.2g} at L = {last['degree']}"
            earlier.append({"too large": True, "reason": reason})
            return reason
    return None


def prepare(entry, key):
    """The compiled program of an entry, and what is known before it is timed.

    The error is relative to the largest value of a float64 reference.
    """
    import jax
    import numpy as np

    size = key["degree"], key["rows"], key["channels"]
    begin = time.perf_counter()
    case = entry.build(sample(*size))
    built = time.perf_counter() - begin

    def gradient(cotangent, arguments, fixed):
        result, pull = jax.vjp(lambda *a: case.f(*a, *fixed), *arguments)
        return result, pull(cotangent)

    if key["mode"] == "forward":
        program = harness.compiled(case.f, *case.arguments, *case.fixed)
    else:
        shape = jax.eval_shape(case.f, *case.arguments, *case.fixed)
        cotangent = jax.random.normal(jax.random.key(0), shape.shape, shape.dtype)
        program = harness.compiled(gradient, cotangent, case.arguments, case.fixed)
    error = None
    right = None if case.back is None else reference(entry.map, key["table"], *size)
    if right is not None:
        result = program.run()
        z = np.asarray(case.back(result if key["mode"] == "forward" else result[0]), np.float64)[: len(right)]
        error = float(np.max(np.abs(z - right)) / np.max(np.abs(right)))
    return program, {
        "error": error,
        "same_map": entry.map == "gaunt" and error < 1e-5,
        "setup_seconds": built + program.trace_seconds + program.compile_seconds,
        "trace_seconds": program.trace_seconds,
        "compile_seconds": program.compile_seconds,
        "operations": program.operations / (key["rows"] * key["channels"]),
        "bytes": program.least_bytes,
        "gigabytes": program.temporary_bytes / 1e9,
    }


@functools.lru_cache(2)
def sample(degree, rows, channels):
    import peers

    return peers.sample(degree, rows, channels)


@functools.lru_cache(8)
def reference(kind, table, degree, rows, channels):
    from peers import reference

    return reference.reference(kind, table, sample(degree, rows, channels))


if __name__ == "__main__":
    main()

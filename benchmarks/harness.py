"""What every benchmark shares: flags, versions, results, compiled programs and their costs, timing in turns."""

import collections
import ctypes
import datetime
import gc
import importlib.metadata
import json
import math
import os
import platform
import random
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple


def keep_memory():
    """Let the C library keep freed memory, on Linux. Call it before anything is computed.

    XLA on CPU allocates the temporaries of a program anew at each call. Above 32 MiB glibc takes them from the system
    and gives them back, and every page is then touched for the first time at every call: up to half of a step's time.
    Programs run in the thread that calls them, whose arena has no limit; the threads of matrix products keep arenas of
    their own, because one for all slows programs of many small products by half.
    """
    import jax

    jax.config.update("jax_cpu_enable_async_dispatch", False)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(-4, 0)  # M_MMAP_MAX: no allocation by mmap
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: nothing is given back
            libc.mallopt(-2, 2**27)  # M_TOP_PAD: grow in large steps


def add_arguments(parser):
    """The flags that all benchmarks have."""
    parser.add_argument("--platform", choices=("cpu", "gpu", "tpu"), help="jax's choice unless given")
    parser.add_argument("--small", action="store_true", help="seconds instead of minutes, for a smoke run")
    parser.add_argument("--json", help="append the result to this file, one line")


def set_platform(args):
    """Make jax use the platform asked for."""
    if args.platform:
        import jax

        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(args.platform, args.platform))


def interrupted():
    """A list that is empty until Ctrl-C is pressed, so that a run ends in good order; a second one ends it at once."""
    pressed = []

    def press(*_):
        pressed.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, press)
    return pressed


def environment():
    """The day, versions and the device, to stand beside every figure."""
    import jax

    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.is_file() else []
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "device": jax.devices()[0].device_kind,
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("equijax", "jax", "flax", "optax")},
    }


def append(path, result):
    """Add one line to a file of results."""
    with open(path, "a") as file:
        file.write(json.dumps(result) + "\n")


class Program(NamedTuple):
    """A compiled function with its arguments, and what it costs."""

    run: Any  # () -> result
    trace_seconds: float
    compile_seconds: float
    operations: int  # floating-point
    least_bytes: int  # of arguments and results, each moved once
    temporary_bytes: int
    instructions: str  # the same for the same program


def compiled(f, *arguments):
    """Trace and compile f(*arguments), timed, without the garbage collector and what earlier cases left to it."""
    import jax

    gc.disable()
    try:
        begin = time.perf_counter()
        lowered = jax.jit(f).lower(*arguments)
        traced = time.perf_counter()
        program = lowered.compile()
        end = time.perf_counter()
    finally:
        gc.enable()
    memory = program.memory_analysis()
    return Program(
        lambda: program(*arguments),
        traced - begin,
        end - traced,
        operations(program),
        memory.argument_size_in_bytes + memory.output_size_in_bytes,
        memory.temp_size_in_bytes,
        instructions(program),
    )


def instructions(program):
    """Those of a compiled program, names numbered as they come and metadata left out."""
    lines = [line for line in program.as_text().splitlines() if line.startswith("  ")]
    text = re.sub(r", metadata={[^}]*}", "", "\n".join(lines))
    names = {}
    return re.sub(r"%[\w.-]+", lambda name: names.setdefault(name[0], f"%{len(names)}"), text)


def operations(program):
    """Floating-point operations of a compiled program: XLA's count, in which the body of a loop counts once, and the
    matrix products, sums and products of all further rounds of loops.
    """
    cost = program.cost_analysis()
    computations, name = collections.defaultdict(list), None
    for line in program.as_text().splitlines():
        head = re.match(r"(?:ENTRY )?%?([\w.-]+) (?:\(.*\) -> .*)?{$", line)
        if head:
            name = head[1]
        elif name:
            computations[name].append(line)

    def arithmetic(name):
        """(operations of a computation with all that it calls, and those of them that XLA counts)."""
        total = counted = 0
        shapes = dict(re.findall(r"%([\w.-]+) = \w+\[([\d,]*)\]", "\n".join(computations[name])))
        for line in computations[name]:
            n = 0
            made = re.search(r" = b?f\d+\[([\d,]*)\]\S* (dot|add|subtract|multiply|divide)\(%([\w.-]+)", line)
            if made:
                n = math.prod(_sizes(made[1]))
            if made and made[2] == "dot":
                left = _sizes(shapes[made[3]])
                n *= 2 * math.prod(left[k] for k in _sizes(re.search(r"lhs_contracting_dims={([\d,]*)}", line)[1]))
            total, counted = total + n, counted + n
            rounds = re.search(r'"known_trip_count":{"n":"(\d+)"', line)
            for callee in re.findall(r"(?:body|calls|to_apply)=%?([\w.-]+)", line):
                inner, seen = arithmetic(callee)
                total, counted = total + inner * int(rounds[1] if rounds else 1), counted + seen
        return total, counted

    entry = re.search(r"^ENTRY %?([\w.-]+)", program.as_text(), re.MULTILINE)
    total, counted = arithmetic(entry[1])
    return int(cost.get("flops", 0) + total - counted)


def _sizes(text):
    return [int(n) for n in text.split(",") if n]


def in_turns(calls, *, seconds=0.5, least=3, most=60, stop=(), clock=time.perf_counter):
    """Seconds of a call of each of `calls`, which take turns: a list of samples for each.

    Each call gets about `seconds` in all; the samples of all are spread evenly over the same time. A sample is the mean
    of so many calls that it takes a millisecond, each waited for. Ends early, after a sample, once `stop` is not empty.
    `clock` may be time.process_time on one core of a CPU: other work on the machine changes it little.
    """
    import jax

    def sample(call, repeats):
        begin = clock()
        for _ in range(repeats):
            jax.block_until_ready(call())
        return (clock() - begin) / repeats

    first = []
    for call in calls:
        sample(call, 1)
        first.append(sample(call, 1))
    repeats = [max(1, math.ceil(1e-3 / t)) for t in first]
    counts = [min(most, max(least, int(seconds / (t * n)))) for t, n in zip(first, repeats, strict=True)]
    samples = [[] for _ in calls]
    draw = random.Random(0).random  # so that no call always follows the same other one
    for _, k in sorted(((i + draw()) / n, k) for k, n in enumerate(counts) for i in range(n)):
        if stop:
            break
        samples[k].append(sample(calls[k], repeats[k]))
    return samples


def matrix_product_call(size=1024):
    """A square matrix product in float32 and the operations of a call: what arithmetic can reach."""
    import jax
    import jax.numpy as jnp

    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda a, b: jnp.matmul(a, b, precision="highest"))
    return lambda: product(a, a), 2 * size**3


def copy_call(size):
    """A pass over so many bytes, read and written together, and their number: what memory can reach."""
    import jax
    import jax.numpy as jnp

    a = jnp.ones(max(1, size // 8), jnp.float32)
    copy = jax.jit(lambda a: a + 1)
    return lambda: copy(a), 8 * a.size

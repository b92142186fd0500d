"""Compiled programs with what they cost, timed in turns; what the machine allows."""

import gc
import math
import random
import time
from collections.abc import Callable
from typing import NamedTuple

from harness.counts import instructions, operations


class Program(NamedTuple):
    """A compiled function with its arguments, and what it costs."""

    call: Callable  # (*arguments) -> result
    run: Callable  # () -> result, of the arguments that it was compiled for
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
        program,
        lambda: program(*arguments),
        traced - begin,
        end - traced,
        operations(program),
        memory.argument_size_in_bytes + memory.output_size_in_bytes,
        memory.temp_size_in_bytes,
        instructions(program),
    )


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

"""What every benchmark shares: flags, versions, results, and memory that is kept between steps."""

import ctypes
import importlib.metadata
import json
import os
import platform
import signal
import sys


def keep_memory():
    """Let the C library keep freed memory, on Linux. Call it before anything is computed.

    XLA on CPU allocates the temporaries of a program anew at each call. Above 32 MiB glibc takes them from the system
    and gives them back, and every page is then touched for the first time at every call: up to half of a step's time.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(-4, 0)  # M_MMAP_MAX: no allocation by mmap
            libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: nothing is given back
            libc.mallopt(-2, 2**27)  # M_TOP_PAD: grow in large steps
            libc.mallopt(-8, 1)  # M_ARENA_MAX: an arena of a thread ends at 64 MiB


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
    """Versions and the device, to stand beside every figure."""
    import jax

    return {
        "device": jax.devices()[0].device_kind,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("equijax", "jax", "flax", "optax")},
    }


def append(path, result):
    """Add one line to a file of results."""
    with open(path, "a") as file:
        file.write(json.dumps(result) + "\n")

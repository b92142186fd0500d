"""The machine: what stands beside every figure, and memory that is kept between calls."""

import ctypes
import datetime
import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path


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

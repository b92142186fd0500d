"""Eight CPU devices and one profile of hypothesis for all tests, and a fixture that turns on float64."""

import gc
import os
from pathlib import Path

import hypothesis
import jax
import jaxtyping
import pytest

jax.config.update("jax_num_cpu_devices", 8)  # arrays are on the first one unless a test says otherwise
# A test runs its programs once or twice: three times faster where they are compiled with little optimization, and a
# tenth faster where each is compiled in one piece. An empty XLA_FLAGS compiles as users do, as CI does for the core.
emitters = " --xla_cpu_use_fusion_emitters=false" if jax.__version_info__ < (0, 11) else ""  # there is no choice later
little = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
os.environ.setdefault("XLA_FLAGS", little + emitters)
hypothesis.settings.register_profile(
    "equijax", deadline=None, derandomize=True, max_examples=20, database=None, print_blob=False
)
hypothesis.settings.load_profile("equijax")


def pytest_collection_finish():
    """What is imported by now stays: collections of garbage need not look through it again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown(item, nextitem):
    """Programs of a folder are let go at its end, once there are thousands: with more, XLA was seen to abort."""
    maps = Path("/proc/self/maps")  # on Linux alone; a program has several
    if nextitem is not None and nextitem.path.parent != item.path.parent and maps.exists():
        with maps.open() as lines:
            if sum(1 for _ in lines) > 6000:
                jax.clear_caches()


@pytest.fixture
def x64():
    """Run the test in float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def untyped():
    """Types and shapes are not held: of a thousand calls that would take two thirds of the time."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)

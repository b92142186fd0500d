"""Eight CPU devices and one profile of hypothesis for all tests, and a fixture that turns on float64."""

import hypothesis
import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)  # arrays are on the first one unless a test says otherwise
hypothesis.settings.register_profile(
    "equijax", deadline=None, derandomize=True, max_examples=20, database=None, print_blob=False
)
hypothesis.settings.load_profile("equijax")


@pytest.fixture
def x64():
    """Run the test in float64."""
    with jax.enable_x64(True):
        yield

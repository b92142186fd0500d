"""What every benchmark shares: flags, versions, results, compiled programs and their costs, timing in turns."""

from harness.flags import add_arguments, interrupted, set_platform
from harness.machine import environment, keep_memory
from harness.results import append
from harness.timing import Program, compiled, copy_call, in_turns, matrix_product_call

__all__ = [
    "Program",
    "add_arguments",
    "append",
    "compiled",
    "copy_call",
    "environment",
    "in_turns",
    "interrupted",
    "keep_memory",
    "matrix_product_call",
    "set_platform",
]

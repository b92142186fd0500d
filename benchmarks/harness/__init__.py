"""What every benchmark shares: flags, versions, results, compiled programs and their costs, timing in turns."""

from harness.flags import add_arguments, completed, interrupted, set_platform
from harness.machine import environment, keep_memory
from harness.results import Target, append, holds, latest, read, summary
from harness.timing import Program, compiled, copy_call, in_turns, matrix_product_call

__all__ = [
    "Program",
    "Target",
    "add_arguments",
    "append",
    "compiled",
    "completed",
    "copy_call",
    "environment",
    "holds",
    "in_turns",
    "interrupted",
    "keep_memory",
    "latest",
    "matrix_product_call",
    "read",
    "set_platform",
    "summary",
]

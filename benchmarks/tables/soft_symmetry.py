"""The table of soft_symmetry.py."""

from harness.results import latest
from tables import markdown, measured


def page(lines):
    """The last result of each task and method a row."""
    results = latest(lines, "task", "method")
    if not results:
        return ""
    head = ["", "relative error", "half the spread", "strength of x", "of y", "of z", "seconds a seed"]
    rows = [
        (
            f"{r['task']}, {r['method']}",
            f"{r['error']:.2g}",
            f"{r['spread'] / 2:.1g}",
            *(f"{value:.1e}" if "penalties" in r["method"] else "" for value in r["strengths"]),
            f"{r['seconds']:.0f}",
        )
        for r in results
    ]
    r = results[-1]
    note = f"{r['examples']:,} examples, {r['steps']:,} steps, {r['seeds']} seeds. "
    return note + measured(r) + "\n" + markdown(head, rows)

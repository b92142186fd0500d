"""The table of rotations.py."""

from harness.results import latest
from tables import markdown, measured


def page(lines):
    """The last result of each map a row, the smallest error first."""
    results = latest(lines, "map")
    if not results:
        return ""
    head = ["", "mean error (degrees)", "half the spread", "99 of 100 below", "seconds a seed"]
    rows = [
        (
            r["map"],
            f"{r['mean_degrees']:.2f}",
            f"{r['spread'] / 2:.2f}",
            f"{r['percentile_99_degrees']:.1f}",
            f"{r['seconds']:.0f}",
        )
        for r in sorted(results, key=lambda r: r["mean_degrees"])
    ]
    r = results[-1]
    note = f"{r['steps']:,} steps, {r['seeds']} seeds, width {r['width']}. "
    return note + measured(r) + "\n" + markdown(head, rows)

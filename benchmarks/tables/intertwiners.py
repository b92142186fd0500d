"""The table of intertwiners.py."""

from harness.results import latest
from tables import markdown, measured


def page(lines):
    """The last result of each group and package a row."""
    results = latest(lines, "group", "package")
    if not results:
        return ""
    ours = {r["group"]: r["seconds"] for r in results if r["package"] == "equijax"}
    head = ["", "seconds in all", "of CPU", "the slowest pair (s)", "times ours", "dimensions"]
    rows = [
        (
            f"{r['group']}, {r['package']} {r['version']}",
            f"{r['seconds']:.2f}",
            f"{r['cpu_seconds']:.2f}",
            f"{r['slowest']:.2f}",
            f"{r['seconds'] / ours[r['group']]:.0f}",
            " ".join(map(str, r["dimensions"])),
        )
        for r in results
    ]
    return measured(results[-1]) + "\n" + markdown(head, rows)

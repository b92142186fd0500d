"""Table of benchmarks/intertwiners.py."""

from tables import EMPTY, latest, measured


def intertwiners(lines, table):
    results = latest(lines, "group", "package")
    if not results:
        return EMPTY
    ours = {r["group"]: r for r in results if r["package"] == "equijax"}
    head = ["", "seconds in all", "of CPU", "the slowest pair (s)", "times ours", "dimensions"]
    rows = [
        (
            f"{r['group']}, {r['package']} {r['version']}",
            f"{r['seconds']:.2f}",
            f"{r['cpu_seconds']:.2f}",
            f"{r['slowest']:.2f}",
            f"{r['seconds'] / ours[r['group']]['seconds']:.0f}",
            " ".join(map(str, r["dimensions"])),
        )
        for r in results
    ]
    return measured(results) + "\n" + table(head, rows)

"""The table of rotated_shapes.py: accuracy by how solids lay in training and in the test."""

from harness.results import latest
from tables import markdown, measured, spread


def page(lines):
    """Mean over the seeds and half their range, in percent, a model a row."""
    results = latest(lines, "model", "seed", "trained", "steps", "points")
    if not results:
        return ""
    tables = []
    for steps, points in sorted({(r["steps"], r["points"]) for r in results}):
        of = [r for r in results if (r["steps"], r["points"]) == (steps, points)]
        rows = []
        for name in dict.fromkeys(r["model"] for r in of):
            upright, any_way = ([r for r in of if (r["model"], r["trained"]) == (name, t)] for t in ("z", "SO(3)"))
            shown = (upright, "z"), (upright, "any_way"), (any_way, "any_way")
            cells = [spread((100 * r[key] for r in runs), 1) for runs, key in shown]
            rows.append((name, *cells, f"{of[[r['model'] for r in of].index(name)]['parameters']:,}"))
        seeds = len({r["seed"] for r in of})
        tables.append(f"{points} points, {steps:,} steps, seeds: {seeds}. " + measured(of[-1]) + "\n")
        tables.append(markdown(["accuracy in %", "z/z", "z/SO(3)", "SO(3)/SO(3)", "parameters"], rows))
    return "\n".join(tables)

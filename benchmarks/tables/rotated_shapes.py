"""The table of rotated_shapes.py: accuracy by how solids lay in training and in the test."""

from harness.results import latest
from tables import markdown, measured


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
            cells = _percent(upright, "z"), _percent(upright, "any_way"), _percent(any_way, "any_way")
            rows.append((name, *cells, f"{of[[r['model'] for r in of].index(name)]['parameters']:,}"))
        seeds = len({r["seed"] for r in of})
        tables.append(f"{points} points, {steps:,} steps, seeds: {seeds}. " + measured(of[-1]) + "\n")
        tables.append(markdown(["accuracy in %", "z/z", "z/SO(3)", "SO(3)/SO(3)", "parameters"], rows))
    return "\n".join(tables)


def _percent(runs, name):
    values = [100 * r[name] for r in runs]
    if not values:
        return ""
    return f"{sum(values) / len(values):.1f} ± {(max(values) - min(values)) / 2:.1f}"

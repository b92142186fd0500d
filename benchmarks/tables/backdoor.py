"""Tables of backdoor.py."""

from harness.results import latest
from tables import markdown, measured, spread


def page(lines):
    """A wave in the brightness of the images."""
    return table([r for r in lines if "in color" not in r["method"]])


def color(lines):
    """A wave in their colors, and views that hide the content."""
    return table([r for r in lines if "in color" in r["method"]])


def table(lines):
    """A row for each method, strength of the views and part of the representation; means over the seeds."""
    results = latest(lines, "method", "strength", "share", "seed")
    if not results:
        return ""
    head = [
        "",
        "views",
        "invariance score",
        "score of the wave",
        "accuracy, %",
        "with the wave",
        "success of the attack, %",
    ]
    head += ["without the wave"]
    rows = []
    cases = [(r["method"], r["strength"], r["share"]) for r in results]
    for case in dict.fromkeys(cases):
        runs = [r for r, of in zip(results, cases, strict=True) if of == case]
        method = case[0] + (f", {100 * case[2]:g} % with the wave" if case[2] > 0.01 else "")
        for part in [p for p in ("", "_first", "_second") if f"accuracy{p}" in runs[0]]:
            name = {"": method, "_first": f"{method}, invariant half", "_second": f"{method}, equivariant half"}[part]
            scores = [spread((r[k] for r in runs), 2) if not part else "" for k in ("invariance", "trigger")]
            rates = ("accuracy", "triggered_accuracy", "success", "before")
            rows.append((name, f"{case[1]:g}", *scores, *(spread((100 * r[k + part] for r in runs), 0) for k in rates)))
    r, seeds = results[-1], len({r["seed"] for r in results})
    return f"{r['steps']:,} steps, {seeds} seeds. " + measured(r) + "\n" + markdown(head, rows)

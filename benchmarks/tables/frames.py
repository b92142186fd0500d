"""What the results of frames.py say: the line of a record, what was to be reached, tables, a picture."""

from harness.results import Target, latest
from tables import markdown, reached

FIXED = (("graph", 5, 100), ("points", 512, 8))  # the two backbones of the target: kind, points, batch
NAMES = {"graph": "message passing", "points": "network on points"}


def passes(r, strategy):
    """Time in plain passes."""
    return r["seconds"][strategy] / r["seconds"]["plain"]


def line(r):
    """One line for a person."""
    if r["table"] == "gap":
        return f"{r['frame']}: " + ", ".join(
            f"error {e:.0e} at gap {g:.0e}" for g, e in zip(r["gaps"], r["errors"], strict=True)
        )
    if r["table"] == "path":
        return f"{r['frame']}: largest step along the path {r['step']:.3g}"
    costs = ", ".join(f"{s} {passes(r, s):.2f} ({r['megabytes'][s]:.1f} MB)" for s in r["seconds"] if s != "plain")
    return (
        f"{NAMES[r['backbone']]}, {r['points']} x {r['batch']}, {r['frame']}, {r['poses']} poses, {r['mode']}: "
        f"plain {1e3 * r['seconds']['plain']:.3g} ms ({r['megabytes']['plain']:.1f} MB); passes: {costs}"
    )


def targets(records):
    """What was to be reached, and the worst figure measured."""
    costs = [r for r in records if r["table"] == "cost"]
    over = [r["seconds"]["auto"] / min(r["seconds"]["map"], r["seconds"]["vmap"]) for r in costs]
    four = [
        passes(r, "auto")
        for r in costs
        if (r["backbone"], r["points"], r["batch"]) in FIXED and (r["poses"], r["mode"]) == (4, "forward")
    ]
    return [
        Target("auto over the faster of map and vmap", max(over, default=None), 1.2),
        Target("plain passes of SO(3) averages over principal axes, two fixed backbones", max(four, default=None), 4.4),
    ]


def kept(lines):
    """The last record of each case of full runs."""
    full = [r for r in lines if not r["small"]]
    return latest(full, "table", "backbone", "points", "batch", "frame", "mode")


def page(lines):
    """All tables."""
    records = kept(lines)
    if not records:
        return ""
    blocks = ["## Targets\n", reached(targets(records))]
    costs = [r for r in records if r["table"] == "cost"]
    for mode in ("forward", "gradient"):
        group = [r for r in costs if r["mode"] == mode]
        if group:
            blocks += [f"### {mode.capitalize()}: time in plain passes\n", by_strategy(group, "seconds", 1e3)]
            blocks += [f"### {mode.capitalize()}: temporary memory in MB\n", by_strategy(group, "megabytes", 1)]
    gaps = [r for r in records if r["table"] == "gap"]
    if gaps:
        head = ["relative gap", *(f"{gap:.0e}" for gap in gaps[0]["gaps"])]
        rows = [(r["frame"], *(f"{e:.0e}" for e in r["errors"])) for r in gaps]
        blocks += ["## Error of invariance in float32\n", markdown(head, rows)]
    paths = [(r["frame"], f"{r['step']:.2g}") for r in records if r["table"] == "path"]
    if paths:
        blocks += ["## Through a tetrahedron\n", markdown(["", "largest step between neighbors"], paths)]
    if any(curves(lines).values()):
        blocks += ["![Values along a path through a regular tetrahedron](frames.svg)\n"]
    last = records[-1]
    clock = next((f", {r['clock']} time" for r in costs), "")
    blocks += [f"Measured with {last['device']}, {last['cores']} core, jax {last['jax']}{clock}.\n"]
    return "\n".join(blocks)


def by_strategy(records, quantity, unit):
    """A case a row, a strategy a column: seconds in plain passes, memory as it is."""
    strategies = [s for s in records[0]["seconds"] if s != "plain"]
    rows = []
    for r in records:
        values = [passes(r, s) if quantity == "seconds" else r[quantity][s] for s in strategies]
        case = f"{NAMES[r['backbone']]}, {r['points']} points, batch {r['batch']}, {r['frame']}"
        rows.append((case, str(r["poses"]), *(f"{v:.3g}" for v in (unit * r[quantity]["plain"], *values))))
    plain = "plain (ms)" if quantity == "seconds" else "plain"
    return markdown(["", "poses", plain, *(f"{s} at once" if s.isdigit() else s for s in strategies)], rows)


def curves(lines):
    """Of each frame the values along the path, and the error against the gap."""
    records = kept(lines)
    return {
        "path": {r["frame"]: (r["along"], r["values"]) for r in records if r["table"] == "path"},
        "gap": {r["frame"]: (r["gaps"], r["errors"]) for r in records if r["table"] == "gap"},
    }


def draw(curves):
    """Values along the path, a curve a frame, and the error against the gap."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
    for frame, (along, values) in curves["path"].items():
        left.plot(along, values, ".", markersize=3, label=frame)
    for frame, (gaps, errors) in curves["gap"].items():
        right.loglog(gaps, errors, "o-", label=frame)
    left.set_xlabel("distance along the path; 0 is a regular tetrahedron")
    left.set_ylabel("averaged energy")
    right.set_xlabel("relative gap of the eigenvalues")
    right.set_ylabel("error of invariance, float32")
    left.legend()
    right.legend()
    figure.tight_layout()
    return figure

"""Tables and picture of flowing_digits.py."""

from harness.results import Target, latest
from tables import markdown, measured, reached

PUBLISHED = {  # arXiv:2507.14793, flowing MNIST: its own sizes and budget
    "plain recurrent network": 8.1e-3,
    "flow equivariant, velocities of up to 1": 5.3e-4,
    "flow equivariant, velocities of up to 2": 1.5e-4,
}
OURS, PLAIN = "ours, coasting", "plain"


def page(lines):
    """Errors of each network on what it was trained for, longer, and at other velocities."""
    blocks = [_of_setting(runs) for runs in _settings(lines).values()]
    if not blocks:
        return ""
    published = [(name, f"{error:.2g}") for name, error in PUBLISHED.items()]
    return "\n".join([*blocks, markdown(["published", "ten frames"], published)])


def _of_setting(runs):
    first = runs[0]
    head = ["", "ten frames", "frames 61 to 70", "271 to 280", "velocities seen", "never seen", "steps", "parameters"]
    rows = [
        (r["model"], _short(r["error"]), _short(_part(r, 60)), _short(_part(r, 270)), _short(r["seen"]),
         _short(r["unseen"]), f"{r['steps']:,}", f"{r['parameters']:,}")
        for r in sorted(runs, key=lambda r: r["error"])
    ]  # fmt: skip
    rows.append(("the mean frame", *[_short(first["mean_frame"])] * 3, *[""] * 4))
    note = (
        f"{first['size']} × {first['size']} pixels, {first['features']} channels, {first['batch']} sequences a step, "
        f"{max(r['velocities'] for r in runs)} velocities. "
    )
    return note + measured(runs[-1]) + "\n" + markdown(head, rows) + "\n" + reached(_targets(runs))


def _targets(runs):
    """What was to be reached."""
    by = {r["model"]: r for r in runs}
    if OURS not in by or PLAIN not in by:
        return []
    ours, plain = by[OURS], by[PLAIN]
    return [
        Target("error over that of the plain network, ten frames", ours["error"] / plain["error"], 0.2),
        Target("the same, velocities never seen", ours["unseen"] / plain["unseen"], 0.1),
        Target("error of frames 271 to 280 over that of the mean frame", _part(ours, 270) / ours["mean_frame"], 1.0),
    ]


def cost(lines):
    """Milliseconds of a step with one velocity and with many."""
    blocks = []
    for r in latest([r for r in lines if r["table"] == "cost"], "setting"):
        times = {int(count): t for count, t in r["milliseconds"].items()}
        rows = [
            (f"{n}", f"{t:.1f}", f"{t / times[1] / n:.2f}") for n, t in sorted(times.items())
        ]  # of a plain step, by the number of velocities
        head = ["velocities", "milliseconds of a gradient", "over so many plain ones"]
        targets = [
            Target("many velocities over as many plain steps", max(t / times[1] / n for n, t in times.items()), 1.2)
        ]
        blocks.append(measured(r) + "\n" + markdown(head, rows) + "\n" + reached(targets))
    return "\n".join(blocks)


def curves(lines):
    """{model: {matrix of errors at velocities of both axes, error of each frame, that of the mean frame}}."""
    runs = next(iter(_settings(lines).values()), [])
    return {r["model"]: {name: r[name] for name in ("matrix", "curve", "mean_frame")} for r in runs}


def draw(curves):
    """The error at each velocity, a network a panel, and that of each frame."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import LogNorm

    figure, axes = plt.subplots(1, len(curves) + 1, figsize=(2.3 * len(curves) + 3.2, 2.6), layout="constrained")
    values = [e for found in curves.values() for row in found["matrix"] for e in row]
    for axis, (model, found) in zip(axes, curves.items(), strict=False):
        most = len(found["matrix"]) // 2
        extent = (-most - 0.5, most + 0.5, most + 0.5, -most - 0.5)
        image = axis.imshow(found["matrix"], norm=LogNorm(min(values), max(values)), extent=extent)
        axis.plot([-1.5, 1.5, 1.5, -1.5, -1.5], [-1.5, -1.5, 1.5, 1.5, -1.5], color="white", linewidth=1)
        axis.set_title(model, fontsize=9)
        axis.set_xlabel("pixels a frame")
    figure.colorbar(image, ax=axes[:-1], label="error")
    for model, found in curves.items():
        axes[-1].plot(range(1, len(found["curve"]) + 1), found["curve"], label=model)
    axes[-1].axhline(found["mean_frame"], color="black", linestyle=":", label="mean frame")
    axes[-1].set(xscale="log", yscale="log", ylim=(1e-3, 1.0), xlabel="frame", ylabel="error")
    axes[-1].legend(fontsize=6, loc="upper left", bbox_to_anchor=(1.02, 1))
    return figure


def _settings(lines):
    """The last run of each network and seed, by setting."""
    found = {}
    for r in latest([r for r in lines if r["table"] == "errors"], "setting", "model", "seed"):
        found.setdefault(r["setting"], []).append(r)
    return found


def _part(run, first):
    """Mean error of ten frames of the long test."""
    return sum(run["curve"][first : first + 10]) / 10


def _short(error):
    return f"{error:.2g}" if error < 10 else "above 10"

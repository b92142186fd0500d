"""Table and picture of measures.py."""

import statistics

from harness.results import latest
from tables import markdown, measured, spread

LEAST = 1e-6  # of the whole: less is rounding


def runs(lines):
    """The lines of all seeds of each network along its training, long ones apart: {model: {step: [line]}}."""
    found, usual = {}, min((r["asked_steps"] for r in lines), default=0)
    for r in latest(lines, "model", "seed", "asked_steps", "step"):
        name = r["model"] if r["asked_steps"] == usual else f"{r['model']}, {r['asked_steps']:,} steps"
        found.setdefault(name, {}).setdefault(r["step"], []).append(r)
    return {model: dict(sorted(rows.items())) for model, rows in found.items()}


def page(lines):
    """What was measured at the begin, along the way and at the end: means over the seeds."""
    found = runs(lines)
    if not found:
        return ""
    head = ["", "step", "accuracy (%)", "loss", "share of broken symmetry (%)", "orbit variance", "invariance score"]
    head += ["decisions that stay (%)", "Lie, a radian", "Lie, a pixel", "trivial part (%)"]
    rows = [_row(model, step, of) for model, kept in found.items() for step, of in kept.items()]
    layers = [
        (f"{model}: {layer}", f"{part:.3g}")
        for model, kept in found.items()
        for layer, part in _layers(list(kept.values())[-1]).items()
    ]
    text = markdown(head, rows) + "\n" + markdown(["layer, at the end", "of the violation of shifts (%)"], layers)
    text += "\n![The share of the loss along the training, and which layer breaks shifts](measures.svg)\n"
    seeds = ", ".join(f"{model} {len(kept[0])}" for model, kept in found.items())
    return text + f"\nMeans over seeds ({seeds}); intervals from the lowest to the highest end. " + measured(lines[-1])


def _row(model, step, of):
    mean = lambda key: statistics.fmean(r[key] for r in of)  # noqa: E731
    low, high = _interval(of)
    cells = [f"{step:,}", spread((100 * r["accuracy"] for r in of), 1), f"{mean('loss'):.2f}"]
    cells += [f"{100 * mean('loss_share'):.2g} ({low:.2g} to {high:.2g})", f"{mean('orbit_variance'):.2g}"]
    cells += [f"{mean('invariance_score'):.2g}", f"{100 * mean('consistency'):.0f}", f"{mean('lie_rotation'):.2g}"]
    trivial = statistics.fmean(100 * r["content"][0] / max(r["content_rank"], 1) for r in of)
    return model, *cells, f"{mean('lie_shift'):.2g}", f"{trivial:.0f}"


def _interval(of):
    """The lowest and the highest end of the intervals of the share, in percent."""
    low, high = zip(*(r["loss_share_interval"] for r in of), strict=True)
    return 100 * min(low), 100 * max(high)


def _layers(of):
    """The parts of the layers in the violation of shifts, in percent, without those that are rounding."""
    totals = [sum(r["shift_by_layer"].values()) for r in of]
    parts = {
        layer: statistics.fmean(r["shift_by_layer"][layer] / total for r, total in zip(of, totals, strict=True))
        for layer in of[0]["shift_by_layer"]
    }
    return {layer: 100 * part for layer, part in parts.items() if part > LEAST}


def curves(lines):
    """The share of the loss by step with its interval, and the parts of the layers at the end."""
    return {
        model: {
            "steps": list(kept),
            "share": [100 * statistics.fmean(r["loss_share"] for r in of) for of in kept.values()],
            "interval": [list(_interval(of)) for of in kept.values()],
            "layers": _layers(list(kept.values())[-1]),
        }
        for model, kept in runs(lines).items()
    }


def draw(curves):
    """Shares along the training on the left, layers on the right."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
    names = list(dict.fromkeys(name for model in curves.values() for name in model["layers"]))
    wide = 0.8 / len(curves)
    for k, (model, of) in enumerate(curves.items()):
        (line,) = left.plot(of["steps"], of["share"], "o-", markersize=3, label=model)
        left.fill_between(of["steps"], *zip(*of["interval"], strict=True), color=line.get_color(), alpha=0.2, lw=0)
        places = [i + wide * (k - (len(curves) - 1) / 2) for i in range(len(names))]
        right.barh(places, [of["layers"].get(name, 0) for name in names], 0.95 * wide, label=model)
    left.set(xlabel="step", ylabel="loss due to broken turns (%)", ylim=(0, None))
    right.set(yticks=range(len(names)), yticklabels=names, xlabel="violation of shifts by parts of a pixel (%)")
    right.invert_yaxis()
    left.legend()
    figure.tight_layout()
    return figure

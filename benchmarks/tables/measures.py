"""Table and picture of measures.py."""

from harness.results import latest
from tables import markdown, measured

LEAST = 1e-6  # of the whole: less is rounding


def runs(lines):
    """The lines of each network along its training, of the first seed: {model: [line]}."""
    found = {}
    for r in latest(lines, "model", "seed", "step"):
        if r["seed"] == 0:
            found.setdefault(r["model"], []).append(r)
    return {model: sorted(rows, key=lambda r: r["step"]) for model, rows in found.items()}


def page(lines):
    """What was measured at the begin, along the way and at the end."""
    found = runs(lines)
    if not found:
        return ""
    head = ["", "step", "accuracy (%)", "loss", "share of broken symmetry (%)", "orbit variance", "invariance score"]
    head += ["decisions that stay (%)", "Lie, a radian", "Lie, a pixel", "trivial part (%)"]
    rows = [_row(model, r) for model, kept in found.items() for r in kept]
    last = {model: kept[-1] for model, kept in found.items()}
    layers = [
        (f"{model}: {layer}", f"{100 * value / sum(r['shift_by_layer'].values()):.3g}")
        for model, r in last.items()
        for layer, value in r["shift_by_layer"].items()
        if value > LEAST * sum(r["shift_by_layer"].values())
    ]
    text = markdown(head, rows) + "\n" + markdown(["layer, at the end", "of the violation of shifts (%)"], layers)
    text += "\n![The share of the loss along the training, and which layer breaks shifts](measures.svg)\n"
    return text + "\n" + measured(next(iter(last.values())))


def _row(model, r):
    low, high = (100 * x for x in r["loss_share_interval"])
    cells = [f"{r['step']:,}", f"{100 * r['accuracy']:.1f}", f"{r['loss']:.2f}"]
    cells += [f"{100 * r['loss_share']:.2g} ({low:.2g} to {high:.2g})", f"{r['orbit_variance']:.2g}"]
    cells += [f"{r['invariance_score']:.2g}", f"{100 * r['consistency']:.0f}", f"{r['lie_rotation']:.2g}"]
    return model, *cells, f"{r['lie_shift']:.2g}", f"{100 * r['content'][0] / max(r['content_rank'], 1):.0f}"


def curves(lines):
    """The share of the loss by step with its interval, and the parts of the layers at the end."""
    return {
        model: {
            "steps": [r["step"] for r in kept],
            "share": [100 * r["loss_share"] for r in kept],
            "interval": [[100 * x for x in r["loss_share_interval"]] for r in kept],
            "layers": {
                name: v
                for name, v in kept[-1]["shift_by_layer"].items()
                if v > LEAST * sum(kept[-1]["shift_by_layer"].values())
            },
        }
        for model, kept in runs(lines).items()
    }


def draw(curves):
    """Shares along the training on the left, layers on the right."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8))
    names = list(dict.fromkeys(name for model in curves.values() for name in model["layers"]))
    for k, (model, of) in enumerate(curves.items()):
        (line,) = left.plot(of["steps"], of["share"], "o-", markersize=3, label=model)
        left.fill_between(of["steps"], *zip(*of["interval"], strict=True), color=line.get_color(), alpha=0.2, lw=0)
        total = sum(of["layers"].values())
        places = [i + 0.4 * (k - 0.5) for i in range(len(names))]
        right.barh(places, [100 * of["layers"].get(name, 0) / total for name in names], 0.38, label=model)
    left.set(xlabel="step", ylabel="loss due to broken turns (%)", ylim=(0, None))
    right.set(yticks=range(len(names)), yticklabels=names, xlabel="violation of shifts by parts of a pixel (%)")
    right.invert_yaxis()
    left.legend()
    figure.tight_layout()
    return figure

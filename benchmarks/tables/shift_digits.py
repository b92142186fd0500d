"""Tables and the picture of shift_digits.py."""

from harness.results import Target, latest
from tables import markdown, measured, reached, spread

SETS = ("digits", "pictures")
# top-1 accuracy on ImageNet, in place and shifted by a few pixels: the abstract of arXiv:2306.07470
PUBLISHED = [
    ("Twins (Ding et al. 2023, arXiv:2306.07470)", "80.57", "62.40", ""),
    ("the same, anchored", "", "", "100"),
]


def runs(lines):
    """{(set, model): [a line for each seed]}."""
    found = {}
    for r in latest([r for r in lines if r["table"] == "accuracy"], "set", "model", "seed", "asked_steps"):
        found.setdefault((r["set"], r["model"]), []).append(r)
    return found


def targets(lines):
    """What was to be reached, and the worst figure of any run; costs as XLA counts them, and time where it is kept."""
    every = [r for r in lines if r["table"] == "accuracy"]

    def shares(key, models):
        return [100 * r[key] for r in every if r["model"] in models]

    found = [
        Target(
            "anchored: the same answers under whole shifts (%)",
            min(shares("consistency", ("swin, anchored", "twins, anchored")), default=None),
            100,
            "at least",
        ),
        Target(
            "band-limited: the same answers under parts of a pixel (%)",
            min(shares("fractional_consistency", ("band-limited",)), default=None),
            99.9,
            "at least",
        ),
    ]
    costs = [r for r in lines if r["table"] == "costs"][-1:]
    for what in ("operations", "bytes", "milliseconds"):
        ratios = [
            r[f"{kind}, anchored: {what}"] / r[f"{kind}: {what}"]
            for r in costs
            for kind in ("swin", "twins")
            if f"{kind}: {what}" in r
        ]
        found.append(Target(f"{what} of an anchored step over a plain one", max(ratios, default=None), 1.1))
    return found


def page(lines):
    """Targets; a row for each network and set; the picture."""
    found = runs(lines)
    if not found:
        return ""
    text = reached(targets(lines))
    head = ["seeds", "accuracy (%)", "of shifted images (%)", "the same answers (%)", "parts of a pixel (%)"]
    for name in SETS:
        rows = [_row(model, seeds) for (kind, model), seeds in found.items() if kind == name]
        text += "\n" + markdown([name, *head, "parameters", "steps"], rows) if rows else ""
    text += "\n![Answers that stay the same, against the shift](shift-digits.svg)\n"
    return text + "\n" + measured(next(iter(found.values()))[-1])


def published(lines):
    """What papers report."""
    return markdown(["ImageNet, top-1", "accuracy (%)", "shifted by a few pixels (%)", "consistency (%)"], PUBLISHED)


def _row(model, seeds):
    """Means over the seeds, with half the range where there are several."""
    shares = "accuracy", "shifted_accuracy", "consistency", "fractional_consistency"
    cells = [spread((100 * r[key] for r in seeds), 1) for key in shares]
    return model, str(len(seeds)), *cells, f"{seeds[0]['parameters']:,}", f"{seeds[0]['steps']:,}"


def curves(lines):
    """Of each set and network the share of answers that stay, a mean over the seeds, for shifts along a diagonal."""
    return {
        name: {
            model: [1.0, *(sum(r["curve"][k] for r in seeds) / len(seeds) for k in range(len(seeds[0]["curve"])))]
            for (kind, model), seeds in runs(lines).items()
            if kind == name
        }
        for name in SETS
    }


def draw(curves):
    """A panel for each set, a curve for each network."""
    import matplotlib.pyplot as plt

    shown = [name for name in SETS if curves[name]]
    figure, panels = plt.subplots(1, len(shown), figsize=(1 + 4 * len(shown), 3.5), sharey=True, squeeze=False)
    for panel, name in zip(panels[0], shown, strict=True):
        for model, shares in curves[name].items():
            panel.plot(range(len(shares)), [100 * share for share in shares], "o-", markersize=3, label=model)
        panel.set_title(name)
        panel.set_xlabel("shift along both axes (pixels)")
    panels[0, 0].set_ylabel("answers that stay the same (%)")
    panels[0, 0].legend(fontsize="small")
    figure.tight_layout()
    return figure

"""Tables and picture of articulated.py."""

import statistics

from tables import markdown, measured, spread

FORMS = {
    "pieces": "pieces it finds (`APEN`)",
    "whole": "the chain as one piece",
    "plain": "axes of the world",
}


def page(lines):
    """The accuracy of each form by how far joints are bent, and what is known of the pieces."""
    runs = _runs(lines)
    if not runs:
        return ""
    head = ["", "seeds", *(_range(test["bend"]) for test in next(iter(runs.values()))[0]["tests"]), "parameters"]
    rows = [
        (FORMS[name], str(len(seeds)), *(spread((r["tests"][k]["accuracy"] for r in seeds), 3) for k in range(4)),
         f"{seeds[0]['parameters']:,}")
        for name, seeds in runs.items()
    ]  # fmt: skip
    r = lines[-1]
    blocks = [
        f"Accuracy after {r['steps']:,} steps on {r['chains']:,} chains, mean and half the range of the seeds, by how "
        f"far joints are bent, in radians; training sees the first column. {measured(r)}",
        markdown(head, rows),
    ]
    if "pieces" in runs:
        blocks += [_of_pieces(runs["pieces"]), "![What is found while a chain moves](articulated.svg)\n"]
    return "\n".join(blocks)


def _of_pieces(seeds):
    """Pieces, purity, margins and uncertainty of each layer, and the change beside its bound."""
    layers = range(len(seeds[0]["tests"][0]["pure"]))
    mean = lambda name, k, t: statistics.mean(r["tests"][k][name][t] for r in seeds)  # noqa: E731
    rows = [
        (f"layer {t + 1}, {_range(seeds[0]['tests'][k]['bend'])}", f"{mean('pieces', k, t):.1f}",
         f"{mean('pure', k, t):.2f}", f"{mean('margin', k, t):.2f}", f"{mean('uncertainty', k, t):.2f}")
        for t in layers for k in (0, 2)
    ]  # fmt: skip
    moving = [chain for r in seeds for chain in r["moving"]]
    change = statistics.mean(value for chain in moving for value in chain["change"])
    bound = statistics.mean(value for chain in moving for value in chain["bound"])
    above = sum(c > b + 1e-4 for chain in moving for c, b in zip(chain["change"], chain["bound"], strict=True))
    note = (
        f"While chains move, probabilities of the links change by {change:.3f} on average, and {bound:.3f} of the "
        f"points may; the change is above that share in {above} of {sum(len(c['change']) for c in moving)} frames.\n"
    )
    table = markdown(["", "pieces", "points in pieces of one link", "margin", "uncertainty"], rows)
    return table + "\n" + note


def curves(lines):
    """The chain of the first seed that moves: points, links said, pieces and true links, every fourth frame."""
    shown = next((r["shown"] for r in lines if r["model"] == "pieces" and r.get("shown")), None)
    return {name: shown[name][::4] if name != "links" else shown[name] for name in shown} if shown else {}


def draw(curves):
    """A frame a column: pieces of the last layer above, links that are said below."""
    import matplotlib.pyplot as plt

    frames = len(curves["points"])
    figure, axes = plt.subplots(2, frames, figsize=(2.6 * frames, 5), sharex=True, sharey=True)
    for t, points in enumerate(curves["points"]):
        across, up, _ = zip(*points, strict=True)
        for axis, colors, title in zip(
            axes[:, t], (curves["pieces"][t], curves["said"][t]), ("pieces", "links"), strict=True
        ):
            axis.scatter(across, up, c=colors, cmap="tab10", vmin=0, vmax=9, s=8)
            axis.set_aspect("equal")
            axis.set_axis_off()
            axis.set_title(f"{title}, frame {4 * t + 1}", fontsize=9)
    figure.tight_layout()
    return figure


def _runs(lines):
    """The last run of each seed, by form."""
    found = {name: {} for name in FORMS}
    for r in lines:
        found[r["model"]][r["seed"]] = r
    return {name: list(seeds.values()) for name, seeds in found.items() if seeds}


def _range(bend):
    return f"{bend[0]:g} to {bend[1]:g}"

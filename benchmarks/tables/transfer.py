"""Tables of transfer.py."""

from scipy.stats import spearmanr

from harness.results import Target, latest
from tables import markdown, measured, reached, spread

MOST = (4000, 30, "narrow")  # samples, classes, network that others are compared with
FACTORS = {"samples": 0, "classes": 1, "network": 2}


def runs(lines):
    """{seed: {(sees, samples, classes, network): line}}, of seeds that are complete."""
    found = {}
    for r in latest([r for r in lines if r["table"] == "transfer"], "sees", "samples", "classes", "network", "seed"):
        found.setdefault(r["seed"], {})[r["sees"], r["samples"], r["classes"], r["network"]] = r
    whole = max(map(len, found.values()), default=0)
    return {seed: cases for seed, cases in found.items() if len(cases) == whole}


def differences(cases):
    """What each factor changes in the accuracy after transfer, in points: of one seed."""
    accuracy = {case: 100 * r["transfer_accuracy"] for case, r in cases.items()}
    found = {"transformations": accuracy["right", *MOST] - accuracy["other", *MOST]}
    for factor, k in FACTORS.items():
        others = [c for c in accuracy if c[0] == "right" and all(c[1 + j] == MOST[j] for j in range(3) if j != k)]
        if len(others) > 1:
            found[factor] = max(accuracy[c] for c in others) - min(accuracy[c] for c in others)
    return found


def targets(lines):
    """What was published: the right transformations matter at least as much as each of the others."""
    every = [differences(cases) for cases in runs(lines).values()]
    return [
        Target(
            f"points by the right transformations, less those by {factor}",
            min((d["transformations"] - d[factor] for d in every if factor in d), default=None),
            0,
            "at least",
        )
        for factor in FACTORS
    ]


def page(lines):
    """Targets; what each factor changes; a row for each case; what goes with transfer."""
    seeds = runs(lines)
    if not seeds:
        return ""
    text = reached(targets(lines))
    every = [differences(cases) for cases in seeds.values()]
    rows = [(factor, spread((d[factor] for d in every), 1)) for factor in every[0]]
    text += f"\n{len(seeds)} seed{'s' if len(seeds) > 1 else ''}.\n\n"
    text += markdown(["what changes", "accuracy after transfer changes by (points)"], rows)
    first = next(iter(seeds.values()))
    rows = []
    for case in first:
        of = [cases[case] for cases in seeds.values()]
        shares = [spread((100 * r[k] for r in of), 1) for k in ("validation_accuracy", "transfer_accuracy")]
        invariance = spread((r["invariance"] for r in of), 2)
        rows.append((case[0], f"{case[1]:,}", str(case[2]), case[3], *shares, invariance))
    head = ["transformations", "samples", "classes", "network", "validation (%)", "after transfer (%)", "invariance"]
    text += "\n" + markdown(head, rows)
    if len(first) > 2:
        text += "\n" + markdown(["rank correlation with accuracy after transfer", ""], correlations(seeds))
    return text + "\n" + measured(next(iter(first.values())))


def correlations(seeds):
    """Spearman's, over the runs of each seed; the invariance score is small where a network is invariant."""
    columns = {"invariance (−score)": lambda r: -r["invariance"], "samples": lambda r: r["samples"]}
    columns["classes"] = lambda r: r["classes"]
    columns["accuracy in validation"] = lambda r: r["validation_accuracy"]
    rows = []
    for name, of in columns.items():
        found = [
            spearmanr([of(r) for r in cases.values()], [r["transfer_accuracy"] for r in cases.values()]).statistic
            for cases in seeds.values()
        ]
        rows.append((name, spread(found, 2)))
    return rows


def rates(lines):
    """Images a second, where they were measured."""
    found = [r for r in lines if r["table"] == "rates"][-1:]
    rows = [(name, f"{r[f'{name}: a second']:,.0f}", target) for r in found for name, target in TARGETS.items()]
    return markdown(["", "images of 32 × 32 a second", "target"], rows) if rows else "Not measured yet.\n"


TARGETS = {"transforms2d": "2,300", "mini3d": "300"}

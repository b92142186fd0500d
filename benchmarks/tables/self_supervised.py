"""Tables of self_supervised.py."""

from harness.results import Target, latest
from tables import markdown, measured, reached, spread

CHANCE = {"orbits": 0.05, "digits": 0.1, "mini3d": 0.1}
PUBLISHED = ("VICReg", "NT-Xent", "siamese", "SIE, MLP of quaternion", "SIE, hypernetwork of quaternion",
             "EquiCaps as published", "seq-JEPA, matrices")  # fmt: skip
OURS = "poses beside a plain half"
COLUMNS = {  # heading, figure, digits
    "R² of rotations": ("r2_all_test", 3),
    "invariant half": ("r2_invariant_test", 3),
    "equivariant half": ("r2_equivariant_test", 3),
    "median error (degrees)": ("degrees_all_test", 1),
    "R², turned further": ("r2_all_outside", 3),
    "class (top 1)": ("top1_all", 3),
    "by the invariant half": ("top1_invariant", 3),
    "view found (MRR)": ("mrr", 3),
}


def orbits(lines):
    """Vectors that are turned in space."""
    return table(lines, "orbits")


def digits(lines):
    """Digits that are turned in the plane."""
    return table(lines, "digits")


def mini3d(lines):
    """Scenes with an object that is turned in space."""
    return table(lines, "mini3d")


def table(lines, name):
    """A row a method, the largest R² first."""
    runs = kept(lines, name)
    if not runs:
        return ""
    columns = {head: figure for head, figure in COLUMNS.items() if figure[0] in next(iter(runs.values()))[0]}
    rows = [
        (method, str(len(seeds)), *(spread((r[figure] for r in seeds), n) for figure, n in columns.values()))
        for method, seeds in sorted(runs.items(), key=lambda item: -mean(item[1], "r2_all_test"))
    ]
    r = next(iter(runs.values()))[-1]
    note = f"{r['steps']:,} steps of 512 views; a guess finds the class in {CHANCE[name]:.2f}. {measured(r)}"
    return note + "\n" + markdown(["", "seeds", *columns], rows) + "\n" + reached(targets(runs))


def kept(lines, name):
    """All seeds of each method, of the longest runs."""
    tested = [r for r in lines if r["set"] == name and not r["validation"]]
    steps = max((r["steps"] for r in tested), default=0)
    runs = {}
    for r in latest([r for r in tested if r["steps"] == steps], "method", "seed"):
        runs.setdefault(r["method"], []).append(r)
    return runs


def mean(seeds, figure):
    """Of a figure over the seeds."""
    return sum(r[figure] for r in seeds) / len(seeds)


def targets(runs):
    """What was to be reached."""

    def of(method, figure):
        return mean(runs[method], figure) if method in runs else None

    def minus(a, b):
        return None if a is None or b is None else a - b

    matrix, mlp, vicreg = "SIE, hypernetwork of matrix", "SIE, MLP of quaternion", "VICReg"
    whole, half = "r2_all_test", "r2_equivariant_test"
    poses = max(filter(None, (of(matrix, whole), of("pose matrices", whole))), default=None)
    found = [
        Target("R² of a hypernetwork of matrices over that of an MLP", minus(of(matrix, whole), of(mlp, whole)),
               0.1, "at least"),
        Target("the same in the equivariant half", minus(of(matrix, half), of(mlp, half)), 0.2, "at least"),
        Target("R² of its equivariant half over that of the invariant one",
               minus(of(matrix, half), of(matrix, "r2_invariant_test")), 0.2, "at least"),
        Target("R² of matrices or poses over that of quaternions",
               minus(poses, of("SIE, hypernetwork of quaternion", whole)), 0.0, "at least"),
        Target("classes known by VICReg", of(vicreg, "top1_all"), 0.95, "at least"),
        Target("R² that VICReg adds to an untrained encoder, or takes",
               None if (gain := minus(of(vicreg, whole), of("untrained", whole))) is None else abs(gain), 0.03),
    ]  # fmt: skip
    for figure, what in ((whole, "R²"), ("top1_all", "classes known")):
        others = [value for name in (*PUBLISHED, "pose matrices") if (value := of(name, figure)) is not None]
        ahead = minus(of(OURS, figure), max(others, default=None))
        found.append(
            Target(f"{what} by poses beside a plain half over the best published recipe", ahead, 0.0, "at least")
        )
    return [t for t in found if t.figure is not None]

"""Tables of self_supervised.py."""

from harness.results import Target, latest
from tables import markdown, measured, reached, spread

CHANCE = {"orbits": 0.05, "digits": 0.1, "mini3d": 0.1}
PUBLISHED = ("VICReg", "NT-Xent", "siamese", "SIE, MLP of quaternion", "SIE, hypernetwork of quaternion",
             "EquiCaps as published", "seq-JEPA, matrices")  # fmt: skip
OURS = "poses beside VICReg"
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
SYMMETRY = {
    "variance along orbits": ("variance_all", 2),
    "in the invariant half": ("variance_invariant", 2),
    "in the equivariant half": ("variance_equivariant", 2),
    "decisions that stay": ("decisions_all", 3),
    "R² of the best action": ("moved_all", 2),
    "of the invariant half": ("moved_invariant", 2),
    "of the equivariant half": ("moved_equivariant", 2),
    "invariants": ("invariants_all", 1),
    "vectors": ("vectors_all", 1),
    "its defect": ("defect_all", 2),
}


def orbits(lines):
    """Vectors that are turned in space."""
    return table(lines, "orbits")


def digits(lines):
    """Digits that are turned in the plane."""
    return table(lines, "digits")


def symmetry(lines):
    """How the codes of each method transform, for `orbits`."""
    return rows_of(kept(lines, "orbits"), SYMMETRY, "variance_equivariant")


def mini3d(lines):
    """Scenes with an object that is turned in space."""
    return table(lines, "mini3d")


def table(lines, name):
    """A row a method, the largest R² first."""
    runs = kept(lines, name)
    if not runs:
        return ""
    r = next(iter(runs.values()))[-1]
    note = f"{r['steps']:,} steps of 512 views; a guess finds the class in {CHANCE[name]:.2f}. {measured(r)}"
    return note + "\n" + rows_of(runs, COLUMNS, "r2_all_test") + "\n" + reached(targets(runs))


def rows_of(runs, columns, order):
    """A row a method, those with the largest `order` first, with the figures that all seeds of all methods have."""
    every = [r for seeds in runs.values() for r in seeds]
    columns = {head: figure for head, figure in columns.items() if all(figure[0] in r for r in every)}
    if not runs or not columns:
        return ""
    rows = [
        (method, str(len(seeds)), *(spread((r[figure] for r in seeds), n) for figure, n in columns.values()))
        for method, seeds in sorted(runs.items(), key=lambda item: -mean(item[1], order))
    ]
    return markdown(["", "seeds", *columns], rows)


def kept(lines, name):
    """All seeds of each method, of the longest runs with the newest protocol."""
    tested = [r for r in lines if r["set"] == name and not r["validation"]]
    newest = next((r["protocol"] for r in reversed(tested) if "protocol" in r), None)
    tested = [r for r in tested if r.get("protocol") == newest]
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
        found.append(Target(f"{what} by {OURS} over the best published recipe", ahead, 0.0, "at least"))
    return [t for t in found if t.figure is not None]

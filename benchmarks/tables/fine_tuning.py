"""The table of fine_tuning.py: errors with the weights of a universal potential, and without."""

import harness
from tables import markdown
from tables.potential import DATA


def page(lines):
    """A row for each case, the last result of each; a table for each data set."""
    results = harness.latest(lines, "data", "case")
    head = ["parameters", "energy, 300 K (meV)", "forces (meV/Å)", "energy, 600 K (meV)", "forces (meV/Å)"]
    names = [f"{quantity}_rmse_{name}" for name in ("300 K", "600 K") for quantity in ("energy", "force")]
    tables = []
    for kind in dict.fromkeys(r["data"] for r in results):
        of_kind = [r for r in results if r["data"] == kind]
        r = of_kind[-1]
        title = f"{DATA[kind]}: {r['structures']} structures, {r['steps']:,} steps of {r['batch']}"
        rows = [(r["case"], f"{r['parameters']:,}", *(f"{r[name]:.1f}" for name in names)) for r in of_kind]
        tables.append(markdown([title, *head], rows))
    return "\n".join(tables)

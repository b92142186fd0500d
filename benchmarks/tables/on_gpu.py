"""Tables of on_gpu.py: what was to be reached on a GPU, the tests, and a row for each program that was measured."""

from harness.results import Target, latest
from tables import markdown, reached

SIZES = ("degree", "rows", "channels", "method", "precision", "dtype", "atoms", "edges", "package")
KEYS = ("table", "name", "mode", *SIZES)
PUBLISHED = {138: 2.4, 1205: 19.2}  # milliseconds of MACE on an H100, as published for the package mlip
PLAIN = {"rows": 16384, "channels": 128, "method": "auto", "precision": "highest", "dtype": "float32"}


def page(lines):
    """Targets first, named also where nothing was measured."""
    found = latest([r for r in lines if not r["small"]], *KEYS)
    blocks = [reached(targets(found))]
    tests = [r for r in found if r["table"] == "tests"]
    if tests:
        counts = [(r["name"], r.get("reason") or str(r["counts"]), " ".join(r.get("failed", []))) for r in tests]
        blocks.append(markdown(["tests", "", "failed"], counts))
    for table in dict.fromkeys(r["table"] for r in found if "seconds" in r and r["table"] != "tests"):
        rows = [_row(r) for r in found if r["table"] == table]
        head = [table, "µs", "of the bound", "error", "equivariance error", "compile (s)"]
        blocks.append(markdown(head, rows))
    if found:
        blocks.append(f"Measured on {found[-1]['device']}, jax {found[-1]['jax']}, Python {found[-1]['python']}.\n")
    return "\n".join(blocks)


def targets(found):
    """Figures that were to be reached."""

    def of(key, **case):
        return next((r[key] for r in found if case.items() <= r.items() and key in r), None)

    def milliseconds(**case):
        seconds = of("seconds", table="potential", **case)
        return None if seconds is None else 1e3 * seconds

    wanted = []
    for name in ("gaunt", "gaunt and bracket"):
        for l in (1, 2, 3, 4):
            share = of("fraction", table="products", name=name, mode="forward", degree=l, **PLAIN)
            limit = 0.77 if l <= 2 else 0.5
            wanted.append(Target(f"{name}, L = {l}, 16,384 × 128: share of the bound", share, limit, "at least"))
    for atoms, limit in ((138, 1.0), (1205, 8.0)):
        what = f"energies and forces of {atoms:,} atoms in ms (MACE, published: {PUBLISHED[atoms]})"
        wanted.append(Target(what, milliseconds(name="forces", atoms=atoms), limit))
    return wanted


def _row(r):
    sizes = [f"{r[k]:,}" if isinstance(r[k], int) else str(r[k]) for k in KEYS[2:] if k in r]
    name = ", ".join([r["name"], *sizes])
    if "reason" in r:
        return name, r["reason"], *[""] * 4
    share = f"{r['fraction']:.0%} of {r['bound']}" if "fraction" in r else ""
    errors = [f"{r[k]:.0e}" if k in r else "" for k in ("error", "equivariance_error")]
    return name, f"{1e6 * r['seconds']:,.1f}", share, *errors, f"{r['compile_seconds']:.1f}"

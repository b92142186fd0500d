"""The table of universal_potential.py: seconds of a call and of the first one, beside the package nequix."""

import harness
from tables import markdown, measured

FASTER = 3.0


def page(lines):
    """A row for each structure and program, the last result of each."""
    results = harness.latest(lines, "atoms", "program")
    if not results:
        return ""
    rows = []
    for r in sorted(results, key=lambda r: (r["atoms"], r["program"])):
        peer = next((p for p in results if p["atoms"] == r["atoms"] and p["program"] != r["program"]), None)
        ratios = ""
        if peer is not None:
            ratios = f"{peer['seconds'] / r['seconds']:.1f}, {peer['first_seconds'] / r['first_seconds']:.1f}"
        rows.append(
            (
                f"{r['program']}, {r['atoms']} atoms, {r['edges']:,} edges",
                f"{r['seconds']:.3f}",
                f"{r['first_seconds']:.1f}",
                f"{r['temporary_bytes'] / 2**20:.0f}",
                ratios,
            )
        )
    head = ["", "seconds a call", "the first call", "MiB of memory", f"faster by (wanted: {FASTER:.0f})"]
    return measured(results[-1]) + "\n" + markdown(head, rows)

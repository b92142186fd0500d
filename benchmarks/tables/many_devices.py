"""The table of many_devices.py."""

from harness.results import latest
from tables import markdown


def page(lines):
    """The last full run of each case a row, on all devices beside one."""
    results = latest([r for r in lines if not r["small"]], "case")
    if not results:
        return ""
    rows = []
    for r in results:
        if "atoms" in r:
            size = f"{r['atoms']:,} atoms, {r['edges']:,} edges"
            errors = f"energy {r['energy_an_atom']:.0e} eV an atom", f"forces {r['forces']:.0e}"
        else:
            size = f"{r['structures']} structures"
            errors = f"loss {r['loss']:.0e}", f"gradient {r['gradient']:.0e}"
        one, each = r["temporary_bytes_of_one"] / 1e6, r["temporary_bytes"] / 1e6
        memory = f"{one:,.0f}", f"{each:,.0f}", f"{one / each:.1f}"
        rows.append((f"{r['case']}, {size}", str(r["devices"]), *errors, *memory))
    head = ["", "devices", "largest difference", "", "MB, one device", "MB each", "ratio"]
    last = results[-1]
    return markdown(head, rows) + f"\nMeasured with {last['device']}, jax {last['jax']}; MB of temporary memory.\n"

"""Tables of dynamics.py: steps a second of one program and of ASE, and what the energy of an atom does along a run."""

import harness
from tables import markdown, measured

FASTER = 3.0


def page(lines):
    """A table for each question that has results."""
    tables = []
    speeds = harness.latest([r for r in lines if r["case"] == "speed"], "model", "atoms")
    if speeds:
        rows = [
            (
                f"{r['atoms']:,} atoms, {r['edges']:,} edges, {r['model']} model",
                f"{r['steps_a_second_program']:.2f}",
                f"{r['steps_a_second_ase']:.2f}",
                f"{r['steps_a_second_program'] / r['steps_a_second_ase']:.1f}",
            )
            for r in speeds
        ]
        tables.append(markdown(["steps a second", "one program", "ASE", f"ratio (wanted: {FASTER:.0f})"], rows))
    runs = harness.latest([r for r in lines if r["case"] == "energy"], "precision", "steps")
    if runs:
        rows = [
            (
                f"{r['precision']}, {r['steps'] * r['timestep'] / 1000:g} ps",
                f"{r['drift_mev_an_atom']:.1g}",
                f"{r['range_mev_an_atom']:.1g}",
                f"{r['kinetic_range_mev_an_atom']:.1f}",
            )
            for r in runs
        ]
        head = [
            "meV an atom (wanted: below 1)",
            "drift of the total energy",
            "its range",
            "range of the kinetic energy",
        ]
        tables.append(markdown(head, rows))
    return "\n".join([*tables, measured(lines[-1])]) if tables else ""

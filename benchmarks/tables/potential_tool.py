"""Tables of potential_tool.py."""

from harness.results import latest
from tables import markdown


def page(lines):
    """The last result of each way: padding and the time of a step, atoms a second, memory and speed from disk."""
    found = latest(lines, "what", "way", "structures")
    padding = [r for r in found if r["what"] == "padding"]
    steps = {(r["way"], r["structures"]): r for r in found if r["what"] == "steps"}
    tables = []
    if padding:
        head = [
            "batches in",
            "structures",
            "shapes",
            "batches an epoch",
            "padding of edges",
            "of nodes",
            "epoch (s)",
            "step (ms)",
        ]
        rows = []
        for r in padding:
            timed = steps.get((r["way"], r["structures"]), {})
            rows.append((
                r["way"], str(r["structures"]), str(r["shapes"]), str(r["batches"]), f"{r['padding_of_edges']:.0%}",
                f"{r['padding_of_nodes']:.0%}", _number(timed, "seconds_an_epoch", ".1f"),
                _number(timed, "milliseconds_a_step", ".0f"),
            ))  # fmt: skip
        tables.append(markdown(head, rows))
        worst = max(r.get("difference", 0.0) for r in padding)
        tables.append(
            f"Largest relative difference of forces in a batch from those of a structure alone: {worst:.0e}.\n"
        )
    if speed := [r for r in found if r["what"] == "speed"]:
        head = [
            "",
            "atoms",
            "edges",
            "atoms a second",
            "µs an edge",
            "of arithmetic",
            "of memory",
            "trace, compile (s)",
        ]
        rows = [
            (r["way"], str(r["atoms"]), f"{r['edges']:,}", f"{r['atoms_a_second']:,.0f}",
             f"{r['microseconds_an_edge']:.1f}", f"{r['share_of_arithmetic']:.0%}", f"{r['share_of_memory']:.0%}",
             f"{r['trace_seconds']:.1f}, {r['compile_seconds']:.1f}")
            for r in speed
        ]  # fmt: skip
        tables.append(markdown(head, rows))
    if disk := [r for r in found if r["what"] == "disk"]:
        head = [
            "structures",
            "file (MB)",
            "",
            "memory (MB)",
            "of a worker (MB)",
            "steps a second",
            "before the first step (s)",
        ]
        rows = [
            (f"{r['structures']:,}", f"{r['file_megabytes']:.0f}", r["way"], f"{r['megabytes']:.0f}",
             f"{r['megabytes_of_workers']:.0f}" if "worker" in r["way"] else "-", f"{r['steps_a_second']:.1f}",
             f"{r['seconds_before']:.0f}")
            for r in disk
        ]  # fmt: skip
        tables.append(markdown(head, rows))
    return "\n".join(tables)


def _number(result, name, form):
    return format(result[name], form) if name in result else "not measured"

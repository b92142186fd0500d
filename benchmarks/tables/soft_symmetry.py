"""The tables of soft_symmetry.py."""

from harness.results import latest
from tables import markdown, measured


def page(lines):
    """The last result of each task and method a row."""
    results = latest([line for line in lines if line["task"] != "digits"], "task", "method")
    if not results:
        return ""
    head = ["", "relative error", "half the spread", "strength of x", "of y", "of z", "seconds a seed"]
    rows = [
        (
            f"{r['task']}, {r['method']}",
            f"{r['error']:.2g}",
            f"{r['spread'] / 2:.1g}",
            *(f"{value:.1e}" if "penalties" in r["method"] else "" for value in r["strengths"]),
            f"{r['seconds']:.0f}",
        )
        for r in results
    ]
    r = results[-1]
    note = f"{r['examples']:,} examples, {r['steps']:,} steps, {r['seeds']} seeds. "
    return note + measured(r) + "\n" + markdown(head, rows)


def digits(lines):
    """Which turns digits bear: the multiplier, the losses, and how often accepted turns are small or large."""
    results = latest([line for line in lines if line["task"] == "digits"], "method")
    if not results:
        return ""
    head = ["turns", "bound", "multiplier at the end", "at most", "loss, turned", "clean"]
    head += ["accepted, smallest sixth", "largest sixth", "error of upright digits, %"]
    rows = [
        (
            r["method"].removesuffix(", no bound"),
            "none" if "no bound" in r["method"] else "0.5",
            f"{r['multiplier']:.2f}",
            f"{r['highest']:.2f}",
            f"{r['augmented']:.2f}",
            f"{r['clean']:.2f}",
            *(f"{100 * r['histogram'][k]:.0f} %" for k in (0, -1)),
            f"{100 * r['error']:.1f} ± {50 * r['spread']:.1f}",
        )
        for r in results
    ]
    r = results[-1]
    return f"{r['steps']:,} steps, {r['seeds']} seeds. " + measured(r) + "\n" + markdown(head, rows)

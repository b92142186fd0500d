"""Tables and picture of lie_convergence.py."""

from harness.results import latest
from tables import markdown, measured


def page(lines):
    """For each group the errors, a rule a row, a number of nodes a column."""
    if not lines:
        return ""
    blocks = [measured(lines[-1]), "![Error of equivariance against the number of nodes](lie-convergence.svg)\n"]
    for group, rules in curves(lines).items():
        counts = sorted({n for points in rules.values() for n, _ in points})
        rows = [
            (rule, *(f"{dict(points)[n]:.1e}" if n in dict(points) else "" for n in counts))
            for rule, points in rules.items()
        ]
        blocks.append(f"## {group}\n\n" + markdown(["nodes", *(f"{n:,}" for n in counts)], rows))
    return "\n".join(blocks)


def curves(lines):
    """{group: {rule: [(nodes, error), ...]}}, the last result of each case."""
    found = {}
    for r in sorted(latest(lines, "group", "rule", "nodes"), key=lambda r: r["nodes"]):
        found.setdefault(r["group"], {}).setdefault(r["rule"], []).append((r["nodes"], r["error"]))
    order = list(dict.fromkeys((r["group"], r["rule"]) for r in lines))
    return {group: {rule: found[group][rule] for g, rule in order if g == group} for group in dict(order)}


def draw(curves):
    """Error against the number of nodes, log-log, a group a panel."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(3.2 * len(curves), 3.2), squeeze=False)
    for axis, (group, rules) in zip(axes[0], curves.items(), strict=True):
        for rule, points in rules.items():
            axis.loglog(*zip(*points, strict=True), "o-", label=rule)
        counts = sorted({n for points in rules.values() for n, _ in points})
        axis.set_xticks(counts[::2], [str(n) for n in counts[::2]])
        axis.minorticks_off()
        axis.set_title(group)
        axis.set_xlabel("nodes")
    axes[0, 0].set_ylabel("relative error of equivariance")
    axes[0, -1].legend()
    figure.tight_layout()
    return figure

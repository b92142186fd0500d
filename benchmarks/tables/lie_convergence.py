"""Tables and picture of benchmarks/lie_convergence.py."""

from tables import EMPTY, latest, measured


def lie_convergence(lines, table, picture):
    results = latest(lines, "group", "rule", "nodes")
    if not results:
        return EMPTY
    parts = [measured(results), f"![Error of equivariance against the number of nodes]({picture})\n"]
    for group in dict.fromkeys(r["group"] for r in results):
        errors = {(r["rule"], r["nodes"]): r["error"] for r in results if r["group"] == group}
        counts = sorted({nodes for _, nodes in errors})
        rows = [
            (rule, *(f"{errors[rule, n]:.1e}" if (rule, n) in errors else "" for n in counts))
            for rule in dict.fromkeys(rule for rule, _ in errors)
        ]
        parts.append(f"## {group}\n\n" + table(["nodes", *(f"{n:,}" for n in counts)], rows))
    return "\n".join(parts)


def plot_convergence(lines, path):
    """Error against the number of nodes, log-log, a group a panel."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    results = latest(lines, "group", "rule", "nodes")
    names = list(dict.fromkeys(r["group"] for r in results))
    figure, axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 3.2), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for rule in dict.fromkeys(r["rule"] for r in results):
            points = sorted((r["nodes"], r["error"]) for r in results if (r["group"], r["rule"]) == (name, rule))
            if points:
                axis.loglog(*zip(*points, strict=True), "o-", label=rule)
        counts = sorted({r["nodes"] for r in results if r["group"] == name})
        axis.set_xticks(counts[::2], [str(n) for n in counts[::2]])
        axis.minorticks_off()
        axis.set_title(name)
        axis.set_xlabel("nodes")
    axes[0, 0].set_ylabel("relative error of equivariance")
    axes[0, -1].legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)

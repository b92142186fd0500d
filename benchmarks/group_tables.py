"""Tables and a plot of the benchmarks on groups: intertwiners, rotations, soft symmetries, convergence of nodes."""

EMPTY = "No results are kept yet.\n"


def latest(lines, *keys):
    """The last result of each case."""
    return list({tuple(r[key] for key in keys): r for r in lines}.values())


def measured(results):
    """With what, in a sentence."""
    r = results[-1]
    return f"Measured on {r['device']}, {r['cores']} cores, jax {r['jax']}, Python {r['python']}.\n"


def intertwiners(lines, table):
    results = latest(lines, "group", "package")
    if not results:
        return EMPTY
    ours = {r["group"]: r for r in results if r["package"] == "equijax"}
    head = ["", "seconds in all", "of CPU", "the slowest pair (s)", "times ours", "dimensions"]
    rows = [
        (
            f"{r['group']}, {r['package']} {r['version']}",
            f"{r['seconds']:.2f}",
            f"{r['cpu_seconds']:.2f}",
            f"{r['slowest']:.2f}",
            f"{r['seconds'] / ours[r['group']]['seconds']:.0f}",
            " ".join(map(str, r["dimensions"])),
        )
        for r in results
    ]
    return measured(results) + "\n" + table(head, rows)


def rotations(lines, table):
    results = latest(lines, "map")
    if not results:
        return EMPTY
    head = ["", "mean error (degrees)", "half the spread", "99 of 100 below", "seconds a seed"]
    rows = [
        (
            r["map"],
            f"{r['mean_degrees']:.2f}",
            f"{r['spread'] / 2:.2f}",
            f"{r['percentile_99_degrees']:.1f}",
            f"{r['seconds']:.0f}",
        )
        for r in sorted(results, key=lambda r: r["mean_degrees"])
    ]
    r = results[-1]
    note = f"{r['steps']:,} steps, {r['seeds']} seeds, width {r['width']}. "
    return note + measured(results) + "\n" + table(head, rows)


def soft_symmetry(lines, table):
    results = latest(lines, "task", "method")
    if not results:
        return EMPTY
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
    return note + measured(results) + "\n" + table(head, rows)


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

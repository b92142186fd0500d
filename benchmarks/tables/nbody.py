"""Tables of nbody.py: models beside each other, and EGNN by the recipe of its paper."""

from tables import markdown, spread

FLOOR = 0.0022  # expected error of any equivariant model, because the simulation clips components of forces
# errors on all windows after 10,000 epochs, from the papers: arXiv:2102.09844, 2110.03336, 2110.02905
PUBLISHED = {"EGNN": 0.0071, "FA-GNN": 0.0057, "SEGNN": 0.0043}
GATES = {50: 0.0115, 200: 0.0075}  # what EGNN has to reach after so many epochs of its published recipe


def page(lines):
    """Mean and half the range over the seeds for each model and time; the last run of each seed counts."""
    runs = {}
    for r in lines:
        runs.setdefault((r["budget"], r["epochs"], r["model"]), {})[r["seed"]] = r
    timed = {key: list(seeds.values()) for key, seeds in runs.items() if key[0] is not None}
    gated = {key: list(seeds.values()) for key, seeds in runs.items() if key[0] is None}
    if not timed:
        return ""
    tables = []
    for budget in sorted({key[0] for key in timed}):
        found = sorted((_mean(seeds, "test"), key, seeds) for key, seeds in timed.items() if key[0] == budget)
        head = [
            f"{budget:,.0f} s of the processor",
            "seeds",
            "test error",
            "without clipped",
            "epochs",
            "compiling (s)",
        ]
        rows = [
            (key[2], str(len(seeds)), spread((r["test"] for r in seeds), 4), spread((r["unclipped"] for r in seeds), 4),
             f"{_mean(seeds, 'passes'):,.0f}", f"{_mean(seeds, 'compile_seconds'):.0f}", f"{seeds[0]['parameters']:,}")
            for _, key, seeds in found
        ]  # fmt: skip
        tables.append(markdown([*head, "parameters"], rows))
    published = [(f"{name}, published", f"{error:.4f}") for name, error in PUBLISHED.items()]
    published.append(("floor of exactly equivariant models", f"{FLOOR:.4f}"))
    tables.append(markdown(["", "test error"], published))
    if gated:
        rows = [
            (
                f"{key[1]}",
                str(len(seeds)),
                spread((r["test"] for r in seeds), 4),
                f"{GATES.get(key[1], float('nan')):.4f}",
            )
            for key, seeds in sorted(gated.items(), key=lambda item: item[0][1])
        ]
        tables.append(markdown(["EGNN by its recipe, epochs", "seeds", "test error", "target"], rows))
    last = lines[-1]
    return "\n".join(tables) + f"\nMeasured on {last['device']}, {last['cores']} core, with jax {last['jax']}.\n"


def _mean(runs, name):
    return sum(r[name] for r in runs) / len(runs)

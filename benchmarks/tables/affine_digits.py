"""Tables of affine_digits.py."""

from tables import markdown, spread


def page(lines):
    """Mean and half the range over the seeds for each network; then the cost of a full and of the separable layers."""
    runs, layers = {}, [r for r in lines if r["table"] == "layers"]
    for r in lines:
        if r["table"] == "accuracy":
            runs.setdefault((r["asked_seconds"], r["digits"], r["model"]), {})[r["seed"]] = r
    if not runs:
        return ""
    head = ["", "seeds", "digits, training", "validation (%)", "upright (%)", "transformed (%)", "error", "parameters"]
    rows = [_row(*key, list(seeds.values())) for key, seeds in runs.items()]
    text = markdown([*head, "steps", "µs an image", "memory (MiB)"], rows)
    return text + "\n" + _layers(layers[-1]) if layers else text


def _row(seconds, digits, model, runs):
    """Means over the seeds; of what other work on the machine makes larger, the least."""
    mean = lambda key: sum(r[key] for r in runs) / len(runs)  # noqa: E731
    least = lambda key: min(r[key] for r in runs)  # noqa: E731
    accuracies = "validation_accuracy", "upright_accuracy", "transformed_accuracy"
    cells = [spread((100 * r[key] for r in runs), 2) for key in accuracies]
    cells += [f"{mean('equivariance_error'):.2f}", f"{least('parameters'):,}", f"{mean('steps'):,.0f}"]
    cells += [f"{least('microseconds_an_image'):.0f}", f"{least('training_bytes') / 2**20:.0f}"]
    return model, f"{len(runs)}", f"{digits:,}, {seconds:.0f} s", *cells


def _layers(r):
    head = [f"{r['channels']} channels, {r['nodes']} nodes, 5 × 5", "value (ms)", "with gradient (ms)", "operations"]
    rows = [
        (
            kind,
            *(f"{r[f'{kind}_{what}_milliseconds']:.1f}" for what in ("value", "gradient")),
            f"{r[f'{kind}_value_operations'] / 1e6:,.0f} M",
        )
        for kind in ("full", "separable", "channelwise")
    ]
    return markdown(head, rows)

"""Tables of motion.py: models beside each other on each kind of data."""

from tables import markdown, measured

MILLIMETERS = 1000  # of meters, for joints of people
PARTICLES = ("springs", "charged")


def page(lines):
    """Mean and half the range over the seeds of each model, a table for each kind of data and way of training."""
    runs = {}
    for r in lines:
        group = (r["long"], r["set"], r["steps"], r["batch"], r["width"])
        model = r["model"] if r["model"] == "constant velocity" else f"{r['model']}, {r['optimizer']}"
        runs.setdefault(group, {}).setdefault(model, {})[r["seed"]] = r
    if not runs:
        return ""
    tables = []
    for (_, name, steps, batch, width), models in runs.items():
        found = sorted((_mean(seeds.values(), "ade"), model, list(seeds.values())) for model, seeds in models.items())
        unit, scale = ("", 1) if name in PARTICLES else (" (mm)", MILLIMETERS)
        head = [f"{name}, {steps:,} steps of {batch}, width {width}", "seeds"]
        head += [f"ADE{unit}", f"FDE{unit}", f"ADE, turned{unit}"]
        rows = [
            (
                model,
                str(len(seeds)),
                *(_spread(seeds, key, scale) for key in ("ade", "fde", "turned")),
                _share(seeds),
                f"{seeds[0]['parameters']:,}",
            )
            for _, model, seeds in found
        ]
        tables.append(markdown([*head, "interactions (%)", "parameters"], rows))
    return "\n".join([*tables, measured(lines[-1])])


def _mean(runs, name):
    return sum(r[name] for r in runs) / len(runs)


def _spread(runs, name, scale):
    values = [scale * r[name] for r in runs]
    mean = sum(values) / len(values)
    digits = 1 if scale > 1 else 4
    return f"{mean:.{digits}f} ± {(max(values) - min(values)) / 2:.{digits}f}"


def _share(runs):
    known = [100 * r["interactions"] for r in runs if r["interactions"] is not None]
    return f"{sum(known) / len(known):.1f} ± {(max(known) - min(known)) / 2:.1f}" if known else ""

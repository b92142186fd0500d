"""Tables of motion.py: models beside each other on each kind of data."""

from tables import markdown, measured, spread

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
                *(spread((scale * r[key] for r in seeds), 1 if scale > 1 else 4) for key in ("ade", "fde", "turned")),
                spread((100 * r["interactions"] for r in seeds if r["interactions"] is not None), 1),
                f"{seeds[0]['parameters']:,}",
            )
            for _, model, seeds in found
        ]
        tables.append(markdown([*head, "interactions (%)", "parameters"], rows))
    return "\n".join([*tables, measured(lines[-1])])


def _mean(runs, name):
    return sum(r[name] for r in runs) / len(runs)

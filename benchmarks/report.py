"""Tables and plots for the documentation from the lines in results/; the last line of each case counts."""

import argparse
import json
from pathlib import Path

import tables.aot
import tables.frames
import tables.intertwiners
import tables.lie_convergence
import tables.nbody
import tables.rotations
import tables.soft_symmetry
import tables.tensor_products

RESULTS = Path(__file__).parent / "results"
DATA = {"gfn2": "GFN2-xTB (shipped)", "dft": "DFT (published)"}
ROWS = (
    ("energy RMSE / MAE at 300 K (meV)", "{energy_rmse_300 K:.2f} / {energy_mae_300 K:.2f}"),
    ("force RMSE / MAE at 300 K (meV/Å)", "{force_rmse_300 K:.1f} / {force_mae_300 K:.1f}"),
    ("energy RMSE / MAE at 600 K (meV)", "{energy_rmse_600 K:.2f} / {energy_mae_600 K:.2f}"),
    ("force RMSE / MAE at 600 K (meV/Å)", "{force_rmse_600 K:.1f} / {force_mae_600 K:.1f}"),
    ("energy RMSE, dihedral scan (meV)", "{energy_rmse_dihedral:.1f}"),
    ("equivariance: verdict, error", "{verdict}, {equivariance_error:.0e}"),
    ("parameters", "{parameters:,}"),
    ("steps, batch", "{steps:,}, {batch}"),
    ("training (s)", "{seconds:,.0f}"),
    ("one step (ms)", "{milliseconds_a_step:.1f}"),
    ("compile, initialize (s)", "{compile_seconds:.1f}, {initialize_seconds:.1f}"),
    ("device, cores", "{device} ({processor}), {cores}"),
    ("jax, Python, day", "{jax}, {python}, {date}"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--output", type=Path, required=True, help="folder for the tables, in Markdown")
    args = parser.parse_args()
    write(args.results, args.output)


def write(results, output):
    """Write every table."""
    output.mkdir(parents=True, exist_ok=True)
    (output / "potential.md").write_text(potential(read(results / "potential.jsonl")))
    (output / "affine_digits.md").write_text(affine_digits(read(results / "affine_digits.jsonl")))
    tensor_products(read(results / "tensor_products.jsonl"), output)
    frames(read(results / "frames.jsonl"), output)
    (output / "nbody.md").write_text(tables.nbody.page(read(results / "nbody.jsonl"), table))
    (output / "many_devices.md").write_text(many_devices(read(results / "many_devices.jsonl")))
    for name in ("intertwiners", "rotations", "soft_symmetry"):
        (output / f"{name}.md").write_text(getattr(getattr(tables, name), name)(read(results / f"{name}.jsonl"), table))
    lie_convergence(read(results / "lie_convergence.jsonl"), output)
    lines = read(results / "aot.jsonl")
    (output / "aot.md").write_text(tables.aot.programs(lines, table))
    (output / "aot_collectives.md").write_text(tables.aot.collectives(lines, table))
    (output / "aot_bounds.md").write_text(tables.aot.bounds(lines, table))
    (output / "precision.md").write_text(tables.aot.precision(read(results / "precision.jsonl"), table))


def read(path):
    """All results of a file."""
    lines = path.read_text().splitlines() if path.is_file() else []
    return [json.loads(line) for line in lines if line.strip()]


def tensor_products(lines, output):
    """The tables, and the plot if there is something to show."""
    picture = output / "tensor_products.svg"
    if any(r["table"] == "products" for r in tables.tensor_products.latest(lines)[1]):
        tables.tensor_products.plot(lines, picture)
    shown = "../_build/tables/tensor_products.svg" if picture.is_file() else None
    (output / "tensor_products.md").write_text(tables.tensor_products.page(lines, table, shown))


def lie_convergence(lines, output):
    """The table and the plot."""
    if lines:
        tables.lie_convergence.plot_convergence(lines, output / "lie_convergence.svg")
    page = tables.lie_convergence.lie_convergence(lines, table, "../_build/tables/lie_convergence.svg")
    (output / "lie_convergence.md").write_text(page)


def frames(lines, output):
    """The tables, and the picture if there is something to show."""
    picture = output / "frames.svg"
    if any(r["table"] == "path" for r in tables.frames.latest(lines)):
        tables.frames.plot(lines, picture)
    shown = "../_build/tables/frames.svg" if picture.is_file() else None
    (output / "frames.md").write_text(tables.frames.page(lines, table, shown))


def potential(lines):
    """The last run for each data set and preset a column; then the runs on DFT data beside the published errors."""
    results = list({(r["data"], r["preset"]): r for r in lines}.values())
    if not results:
        return "No results are kept yet.\n"
    head = ["", *(f"{DATA[r['data']]}, {r['preset']}" for r in results)]
    tables = [table(head, [(name, *(cell.format_map(r) for r in results)) for name, cell in ROWS])]
    dft = [r for r in results if r["data"] == "dft"]
    if dft:
        from potential import PUBLISHED  # numbers of the papers, quoted once

        keys = [(quantity, t) for t in PUBLISHED for quantity in ("energy", "force")]
        units = {"energy": "meV", "force": "meV/Å"}
        head = ["RMSE, DFT data", *(f"{quantity} at {t} ({units[quantity]})" for quantity, t in keys)]
        rows = [(f"equijax, {r['preset']}", *(f"{r[f'{q}_rmse_{t}']:.1f}" for q, t in keys)) for r in dft]
        for name in next(iter(PUBLISHED.values())):
            pairs = [dict(zip(units, PUBLISHED[t][name], strict=True)) for t in PUBLISHED]
            rows.append((f"{name} (published)", *(str(pair[q]) for pair in pairs for q in units)))
        tables.append(table(head, rows))
    return "\n".join(tables)


def many_devices(lines):
    """The last run of each case, on all devices beside one."""
    results = list({r["case"]: r for r in lines if not r["small"]}.values())
    if not results:
        return "No results are kept yet.\n"
    rows = []
    for r in results:
        size = f"{r['atoms']:,} atoms, {r['edges']:,} edges" if "atoms" in r else f"{r['structures']} structures"
        errors = (
            (f"energy {r['energy_an_atom']:.0e} eV an atom", f"forces {r['forces']:.0e}")
            if "atoms" in r
            else (f"loss {r['loss']:.0e}", f"gradient {r['gradient']:.0e}")
        )
        memory = [r[f"temporary_bytes{which}"] / 1e6 for which in ("_of_one", "")]
        rows.append((f"{r['case']}, {size}", str(r["devices"]), *errors, *(f"{m:,.0f}" for m in memory),
                     f"{memory[0] / memory[1]:.1f}"))  # fmt: skip
    head = ["", "devices", "largest difference", "", "MB, one device", "MB each", "ratio"]
    last = results[-1]
    return table(head, rows) + f"\nMeasured with {last['device']}, jax {last['jax']}; MB of temporary memory.\n"


def affine_digits(lines):
    """Mean and range over the seeds for each network; then the cost of a full and of the separable layers."""
    groups, layers = {}, [r for r in lines if r["table"] == "layers"]
    for r in lines:
        if r["table"] == "accuracy":
            groups.setdefault((r["asked_seconds"], r["digits"], r["model"]), {})[r["seed"]] = r
    if not groups:
        return "No results are kept yet.\n"
    rows = []
    for (seconds, digits, model), seeds in groups.items():
        runs = list(seeds.values())
        cells = []
        for key in ("validation_accuracy", "upright_accuracy", "transformed_accuracy"):
            values = [100 * r[key] for r in runs]
            cells.append(f"{sum(values) / len(values):.2f} ± {(max(values) - min(values)) / 2:.2f}")
        mean = {k: sum(r[k] for r in runs) / len(runs) for k in ("equivariance_error", "steps")}
        best = {k: min(r[k] for r in runs) for k in ("parameters", "microseconds_an_image", "training_bytes")}
        cells += [f"{mean['equivariance_error']:.2f}", f"{best['parameters']:,}", f"{mean['steps']:,.0f}"]
        cells += [f"{best['microseconds_an_image']:.0f}", f"{best['training_bytes'] / 2**20:.0f}"]
        rows.append((model, f"{len(runs)}", f"{digits:,}, {seconds:.0f} s", *cells))
    head = ["", "seeds", "digits, training", "validation (%)", "upright (%)", "transformed (%)", "error", "parameters"]
    tables = [table([*head, "steps", "µs an image", "memory (MiB)"], rows)]
    for r in layers[-1:]:
        head = [
            f"{r['channels']} channels, {r['nodes']} nodes, 5 × 5",
            "value (ms)",
            "with gradient (ms)",
            "operations",
        ]
        rows = [
            (kind, *(f"{r[f'{kind}_{what}_milliseconds']:.1f}" for what in ("value", "gradient")),
             f"{r[f'{kind}_value_operations'] / 1e6:,.0f} M")
            for kind in ("full", "separable", "channelwise")
        ]  # fmt: skip
        tables.append(table(head, rows))
    return "\n".join(tables)


def table(head, rows):
    """A Markdown table with numbers on the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    main()

"""How accurate, how fast and how symmetric is an equivariant potential trained on real molecular dynamics?

Trains on the acetylacetone set that the package ships (GFN2-xTB), or with --data on the published DFT set (a folder
with the files of `dataset_acac`, github.com/davkovacs/BOTNet-datasets). Ctrl-C and a second start resume the run.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple

import harness
from tables.potential import PUBLISHED

harness.keep_memory()

import jax  # noqa: E402
import numpy as np  # noqa: E402

from equijax import data  # noqa: E402
from equijax.models import potential  # noqa: E402


class Preset(NamedTuple):
    """What a run trains, and for how long."""

    steps: int
    model: dict
    batch: int = 5
    weights: dict = {"energy_weight": 1.0, "force_weight": 1.0}  # noqa: RUF012
    every: int = 500
    compiler_options: dict = {}  # noqa: RUF012


QUICK: dict = {"xla_backend_optimization_level": 1}
if jax.__version_info__ < (0, 11):  # there is no choice later
    QUICK["xla_cpu_use_fusion_emitters"] = False
PRESETS = {
    "small": Preset(20, {"channels": 4, "radial_features": 8, "probes": 2}, every=10, compiler_options=QUICK),
    "default": Preset(6000, {}),
    "long": Preset(50_000, {"channels": 48, "lmax": 3}, every=1000),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the published DFT set; the shipped set unless given")
    parser.add_argument("--output", type=Path, help="folder of checkpoint and picture; runs/NAME unless given")
    parser.add_argument("--long", action="store_true", help="the large model, up to two hours on two cores")
    parser.add_argument("--steps", type=int, help="length of the run instead of the preset's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick-compile", action="store_true", help="on a CPU: half the time to compile, steps a fifth longer"
    )
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)

    name = "small" if args.small else "long" if args.long else "default"
    preset = PRESETS[name]
    if args.steps:
        preset = preset._replace(steps=args.steps)
    if args.quick_compile:
        preset = preset._replace(compiler_options=QUICK)
    dataset = data.acetylacetone() if args.data is None else data.read_acac_dft(args.data)
    kind = "gfn2" if args.data is None else "dft"
    if args.small:
        dataset = dataset._replace(
            **{k: getattr(dataset, k)[:20] for k in ("train", "validation", "test_300K", "test_600K")}
        )
    output = args.output or Path("runs") / f"acetylacetone-{kind}-{name}"
    result = run(dataset, preset, output, args.seed)
    result |= {"benchmark": "potential", "data": kind, "preset": name, "seed": args.seed, **harness.environment()}
    harness.append(args.json, result)


def run(dataset, preset, output, seed):
    """Train, or resume, then test, check and draw."""
    model = potential.for_structures(dataset.train, **preset.model)
    began = time.perf_counter()
    params = potential.initialize(model, jax.random.key(seed))
    jax.block_until_ready(params)
    initialized = time.perf_counter() - began
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"{size:,} parameters, initialized in {initialized:.1f} s.")
    folder = output / "checkpoint"
    trained = potential.fit(
        dataset.train, validate=dataset.validation, model=model, params=params, steps=preset.steps,
        batch_size=preset.batch, seed=seed, every=preset.every, directory=folder, **preset.weights,
        counted=("batching", "stepping", "validating", "saving"), compiler_options=preset.compiler_options,
    )  # fmt: skip
    if harness.completed(trained.run).stopped == "diverged":
        raise SystemExit("The loss is not finite; lower the learning rate.")

    predict = jax.jit(lambda params, graph: potential.predict(model, params, graph))
    errors = lambda frames: potential.evaluate(  # noqa: E731
        predict, trained.params, potential.samples(model, frames, preset.batch)
    )
    tests = {"300 K": errors(dataset.test_300K), "600 K": errors(dataset.test_600K)}
    dihedral = errors(dataset.dihedral)
    report = potential.equivariance(model, trained.params, dataset.test_300K[0])
    history, compiled = trained.run.history, trained.run.spent.compiling
    spent, milliseconds = history[-1].seconds, 1e3 * float(np.median([record.step_seconds for record in history]))
    print(table(tests, dihedral, published=dataset.dihedral[0].forces is None))
    print(f"\n{spent:.0f} s of training, {milliseconds:.1f} ms a step (median), compiled in {compiled:.1f} s.\n")
    print(report)
    picture(output / "potential.png", history, tests, dataset.dihedral_angles, dihedral)
    print(f"\nPicture: {output / 'potential.png'}\nCheckpoint: {folder}")
    return {
        "parameters": size, "steps": preset.steps, "batch": preset.batch, "seconds": spent,
        "milliseconds_a_step": milliseconds, "compile_seconds": compiled, "initialize_seconds": initialized,
        "model": preset.model, "compiler_options": preset.compiler_options,
        "verdict": report.verdict, "equivariance_error": report.error,
        **{f"{quantity}_{key}": getattr(e, quantity) for key, e in tests.items()
           for quantity in ("energy_rmse", "energy_mae", "force_rmse", "force_mae")},
        "energy_rmse_dihedral": dihedral.energy_rmse,
    }  # fmt: skip


def table(tests, dihedral, published):
    """Errors on the test sets, beside the published ones where these are of the same data."""
    lines = [f"{'':24}{'energy / meV':>20}{'forces / meV/Å':>20}", f"{'':24}" + f"{'RMSE':>10}{'MAE':>10}" * 2]
    for temperature, e in tests.items():
        figures = (e.energy_rmse, e.energy_mae, e.force_rmse, e.force_mae)
        lines.append(f"{'test ' + temperature:24}" + "".join(f"{figure:10.1f}" for figure in figures))
        if published:
            for name, (energy, force) in PUBLISHED[temperature].items():
                lines.append(f"{'    published, ' + name:24}{energy:10.2f}{'':10}{force:10.1f}")
    lines.append(f"{'dihedral scan':24}{dihedral.energy_rmse:10.1f}{dihedral.energy_mae:10.1f}")
    return "\n".join(lines)


def picture(path, history, tests, angles, dihedral):
    """Parity of the forces, the error over the run, and the dihedral scan."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(17, 4), layout="constrained")
    shift = min(errors.energies[:, 1].min() for errors in tests.values())
    for (temperature, errors), color, layer in zip(tests.items(), ("tab:blue", "tab:orange"), (3, 2), strict=True):
        style = {"color": color, "zorder": layer, "rasterized": True}  # the cooler set on top: it is the smaller one
        force, energy = errors.forces.T, errors.energies.T - shift
        axes[0].plot(force[1], force[0], ".", ms=1, label=f"{temperature}: {errors.force_rmse:.1f} meV/Å", **style)
        axes[1].plot(energy[1], energy[0], ".", ms=3, label=f"{temperature}: {errors.energy_rmse:.1f} meV", **style)
    for axis, quantity, unit in ((axes[0], "force", "eV/Å"), (axes[1], "energy", "eV")):
        axis.axline((0, 0), slope=1, color="gray", lw=0.8, zorder=0)
        axis.set(xlabel=f"{quantity}, reference ({unit})", ylabel=f"{quantity}, model ({unit})")
        axis.legend(frameon=False, markerscale=4)
    steps = [record.step for record in history]
    force, energy = ([record.validation[f"{name}_rmse"] for record in history] for name in ("force", "energy"))
    axes[2].semilogy(steps, force, ".-", label="forces (meV/Å)")
    axes[2].semilogy(steps, energy, ".-", label="energy (meV)")
    axes[2].set(xlabel="step", ylabel="validation RMSE")
    axes[2].legend(frameon=False)
    lowest = dihedral.energies[:, 1].min()
    axes[3].plot(angles, 1e3 * (dihedral.energies[:, 1] - lowest), "k-", label="reference")
    axes[3].plot(angles, 1e3 * (dihedral.energies[:, 0] - lowest), "--", color="tab:red", label="model")
    axes[3].set(xlabel="dihedral angle (degrees)", ylabel="energy (meV)")
    axes[3].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()

"""How accurate, how fast and how symmetric is an equivariant potential trained on real molecular dynamics?

Trains on the acetylacetone set that the package ships (GFN2-xTB), or with --data on the published DFT set (a folder
with the files of `dataset_acac`, github.com/davkovacs/BOTNet-datasets). Ctrl-C and a second start resume the run.

With --committee N, trains N members from other keys, tests their mean, and asks whether their spread knows its errors.
--members 0 1 trains these alone and ends, so that processes can share the work; members that are complete stay so.
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
from scipy import stats  # noqa: E402

from equijax import data  # noqa: E402
from equijax.models import potential  # noqa: E402
from equijax.models.potential import committee  # noqa: E402


class Preset(NamedTuple):
    """What a run trains, and for how long: so many steps, or seconds."""

    steps: int | None
    model: dict
    batch: int = 5
    weights: dict = {"energy_weight": 1.0, "force_weight": 1.0}  # noqa: RUF012
    every: int = 500
    compiler_options: dict = {}  # noqa: RUF012
    seconds: float | None = None


QUICK: dict = {"xla_backend_optimization_level": 1}
if jax.__version_info__ < (0, 11):  # there is no choice later
    QUICK["xla_cpu_use_fusion_emitters"] = False
PRESETS = {
    "small": Preset(20, {"channels": 4, "radial_features": 8, "probes": 2}, every=10, compiler_options=QUICK),
    "default": Preset(6000, {}),
    "long": Preset(50_000, {"channels": 48, "lmax": 3}, every=1000),
    "gpu": Preset(None, {"channels": 128, "lmax": 3, "radial_features": 128}, every=1000, seconds=440.0),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of the published DFT set; the shipped set unless given")
    parser.add_argument("--output", type=Path, help="folder of checkpoint and picture; runs/NAME unless given")
    parser.add_argument("--long", action="store_true", help="the large model, up to two hours on two cores")
    parser.add_argument("--gpu", action="store_true", help="a wide model, eight minutes of a GPU")
    parser.add_argument("--steps", type=int, help="length of the run instead of the preset's")
    parser.add_argument("--seed", type=int, default=0, help="of the run; those of a committee count on from it")
    parser.add_argument("--committee", type=int, metavar="N", help="train N members and test their mean and spread")
    parser.add_argument("--members", type=int, nargs="+", metavar="K", help="train these of the committee, from 0 on")
    parser.add_argument(
        "--quick-compile", action="store_true", help="on a CPU: half the time to compile, steps a fifth longer"
    )
    harness.add_arguments(parser)
    args = parser.parse_args()
    if args.committee is not None and args.committee < 2:
        parser.error(f"--committee: expected 2 or more, got {args.committee}")
    if args.members and not set(args.members) <= set(range(args.committee or 0)):
        parser.error("--members: expected numbers below that of --committee")
    harness.set_platform(args)

    name = next((name for name in ("small", "long", "gpu") if getattr(args, name)), "default")
    preset = PRESETS[name]
    if args.steps:
        preset = preset._replace(steps=args.steps, seconds=None)
    if args.quick_compile:
        preset = preset._replace(compiler_options=QUICK)
    dataset = data.acetylacetone() if args.data is None else data.read_acac_dft(args.data)
    kind = "gfn2" if args.data is None else "dft"
    if args.small:
        dataset = dataset._replace(
            **{k: getattr(dataset, k)[:20] for k in ("train", "validation", "test_300K", "test_600K")}
        )
    output = args.output or Path("runs") / f"acetylacetone-{kind}-{name}{'-committee' if args.committee else ''}"
    if args.committee:
        seeds = {k: args.seed + k for k in range(args.committee)}
        trained = [train(dataset, preset, output / f"member-{k}", seeds[k]) for k in args.members or seeds]
        if args.members:
            return
        result = run_committee(dataset, preset, output, trained)
    else:
        result = run(dataset, preset, output, args.seed)
    result |= {"benchmark": "potential", "data": kind, "preset": name, "seed": args.seed, **harness.environment()}
    harness.append(args.json, result)


class Member(NamedTuple):
    """A trained model, and what it took."""

    trained: potential.Trained
    size: int
    initialize_seconds: float

    def cost(self):
        """Of the training: seconds in all, the median step in milliseconds, seconds to compile."""
        history = self.trained.run.history
        milliseconds = 1e3 * float(np.median([record.step_seconds for record in history]))
        return history[-1].seconds, milliseconds, self.trained.run.spent.compiling


def train(dataset, preset, output, seed):
    """Train, or resume; what is complete comes from its checkpoint."""
    model = potential.for_structures(dataset.train, **preset.model)
    began = time.perf_counter()
    params = potential.initialize(model, jax.random.key(seed))
    jax.block_until_ready(params)
    initialized = time.perf_counter() - began
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(f"{size:,} parameters, initialized in {initialized:.1f} s.")
    trained = potential.fit(
        dataset.train, validate=dataset.validation, model=model, params=params, steps=preset.steps,
        seconds=preset.seconds, batch_size=preset.batch, seed=seed, every=preset.every,
        directory=output / "checkpoint", **preset.weights, compiler_options=preset.compiler_options,
        counted=("batching", "stepping", "validating", "saving"),
    )  # fmt: skip
    if harness.completed(trained.run).stopped == "diverged":
        raise SystemExit("The loss is not finite; lower the learning rate.")
    return Member(trained, size, initialized)


def run(dataset, preset, output, seed):
    """Train, or resume, then test, check and draw."""
    member = train(dataset, preset, output, seed)
    model, params, run, _ = member.trained
    predict = jax.jit(lambda params, graph: potential.predict(model, params, graph))
    tests, dihedral = on_tests(predict, model, params, dataset, preset)
    report = potential.equivariance(model, params, dataset.test_300K[0])
    seconds, milliseconds, compiled = member.cost()
    print(table(tests, dihedral, published=dataset.dihedral[0].forces is None))
    print(f"\n{seconds:.0f} s of training, {milliseconds:.1f} ms a step (median), compiled in {compiled:.1f} s.\n")
    print(report)
    picture(output / "potential.png", [run.history], tests, dataset.dihedral_angles, dihedral)
    print(f"\nPicture: {output / 'potential.png'}\nCheckpoint: {output / 'checkpoint'}")
    return figures([member], preset, tests, dihedral) | {"verdict": report.verdict, "equivariance_error": report.error}


def run_committee(dataset, preset, output, members):
    """The mean and the spread of members on the test sets, the spread calibrated on the validation set."""
    model = members[0].trained.model
    params = committee.stack([member.trained.params for member in members])
    opinion = jax.jit(lambda params, graph: committee.predict(model, params, graph))
    mean = lambda params, graph: opinion(params, graph).mean  # noqa: E731
    spread = lambda params, graph: opinion(params, graph).spread  # noqa: E731
    deviation = lambda errors: errors.energies[:, 0] - errors.energies[:, 1]  # noqa: E731
    validation = potential.samples(model, dataset.validation, preset.batch)
    of_validation = potential.evaluate(mean, params, validation)
    spread_of_validation = potential.evaluate(spread, params, validation).energies[:, 0]
    factor = committee.calibration(deviation(of_validation), spread_of_validation)
    tests, dihedral = on_tests(mean, model, params, dataset, preset)
    spreads, spread_of_dihedral = on_tests(spread, model, params, dataset, preset)
    all_of_them, spreads = tests | {"dihedral": dihedral}, spreads | {"dihedral": spread_of_dihedral}
    sigma = {key: factor * errors.energies[:, 0] for key, errors in spreads.items()}
    known = {key: knows(deviation(errors), sigma[key]) for key, errors in all_of_them.items()}
    print(table(tests, dihedral, published=dataset.dihedral[0].forces is None))
    print(f"\nSpread of energies times {factor:.2f}, from the validation set:")
    for key, says in known.items():
        print(f"{key:24}" + ", ".join(f"{name.replace('_', ' ')} {figure:.2f}" for name, figure in says.items()))
    histories, angles = [member.trained.run.history for member in members], dataset.dihedral_angles
    picture(output / "potential.png", histories, tests, angles, dihedral, sigma["dihedral"])
    print(f"\nPicture: {output / 'potential.png'}")
    off = np.abs(deviation(dihedral))
    worst = int(np.argmax(off))
    return figures(members, preset, tests, dihedral) | {
        "committee": len(members), "calibration": factor,
        "energy_rmse_validation": of_validation.energy_rmse, "force_rmse_validation": of_validation.force_rmse,
        "worst_angle": float(angles[worst]), "worst_error": 1e3 * float(off[worst]),
        "worst_sigma": 1e3 * float(sigma["dihedral"][worst]),
        **{f"{name}_{key}": figure for key, says in known.items() for name, figure in says.items()},
    }  # fmt: skip


def knows(errors, sigma):
    """What calibrated deviations know of errors: shares within them, ranks in common, one over the other."""
    return {
        "within_1_sigma": float(np.mean(np.abs(errors) < sigma)),
        "within_2_sigma": float(np.mean(np.abs(errors) < 2 * sigma)),
        "rank_correlation": float(stats.spearmanr(np.abs(errors), sigma).statistic),
        "error_over_sigma": committee.calibration(errors, sigma),
    }


def on_tests(predict, model, params, dataset, preset):
    """`potential.evaluate` at both temperatures, and on the dihedral scan."""
    errors = lambda frames: potential.evaluate(  # noqa: E731
        predict, params, potential.samples(model, frames, preset.batch)
    )
    return {"300 K": errors(dataset.test_300K), "600 K": errors(dataset.test_600K)}, errors(dataset.dihedral)


def figures(members, preset, tests, dihedral):
    """What a line of results keeps of any run; seconds are those of all members."""
    seconds, milliseconds, compiled = zip(*(member.cost() for member in members), strict=True)
    return {
        "parameters": members[0].size, "steps": preset.steps, "batch": preset.batch, "seconds": sum(seconds),
        "milliseconds_a_step": float(np.median(milliseconds)), "compile_seconds": compiled[0],
        "initialize_seconds": members[0].initialize_seconds,
        "model": preset.model, "compiler_options": preset.compiler_options,
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


def picture(path, histories, tests, angles, dihedral, sigma=None):
    """Parity of the forces, the error over the runs, and the dihedral scan, with the deviation of a committee."""
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
    for k, history in enumerate(histories):
        steps = [record.step for record in history]
        for name, color, unit in (("force", "tab:blue", "meV/Å"), ("energy", "tab:orange", "meV")):
            errors = [record.validation[f"{name}_rmse"] for record in history]
            axes[2].semilogy(steps, errors, ".-", color=color, label=None if k else f"{name} ({unit})")
    axes[2].set(xlabel="step", ylabel="validation RMSE")
    axes[2].legend(frameon=False)
    lowest = dihedral.energies[:, 1].min()
    axes[3].plot(angles, 1e3 * (dihedral.energies[:, 1] - lowest), "k-", label="reference")
    found = 1e3 * (dihedral.energies[:, 0] - lowest)
    axes[3].plot(angles, found, "--", color="tab:red", label="model" if sigma is None else "committee")
    if sigma is not None:
        for times, label in ((2, "1 and 2 deviations, calibrated"), (1, None)):
            width = 1e3 * times * sigma
            axes[3].fill_between(angles, found - width, found + width, color="tab:red", lw=0, alpha=0.15, label=label)
    axes[3].set(xlabel="dihedral angle (degrees)", ylabel="energy (meV)")
    axes[3].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()

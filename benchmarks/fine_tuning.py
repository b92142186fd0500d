"""Do the weights of a universal potential help where there are fifty structures of one's own?

Fifty frames of acetylacetone at 300 K: the published weights as they are, fine-tuned, the same network from nothing and
the small potential of this package from nothing, with the same steps and batches. Errors of frames that none has seen,
from independent trajectories. With `--weights` a folder that has `nequix-mp-1.nqx`; without it, weights are random.
"""

import argparse
from pathlib import Path

import harness

harness.keep_memory()

import jax  # noqa: E402

from equijax import data  # noqa: E402
from equijax.interop import nequix  # noqa: E402
from equijax.models import NequIP, potential  # noqa: E402

BATCH = 5
SMALL = {"channels": (4, 2), "lmax": 1, "layers": 1, "radial_features": (4,)}
SMALL_POTENTIAL = {"channels": 2, "lmax": 1, "layers": 1, "radial_features": 4, "cutoff": 4.0}
CASES = ("as published", "fine-tuned", "the same network from nothing", "models.Potential from nothing")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="folder with nequix-mp-1.nqx; random ones unless given")
    parser.add_argument("--data", type=Path, help="folder of the published DFT set; the shipped set unless given")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--structures", type=int, default=50)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)

    dataset = data.acetylacetone() if args.data is None else data.read_acac_dft(args.data)
    frames = dataset.train[:: len(dataset.train) // args.structures][: args.structures]
    steps, fields, of_potential = args.steps, {}, {}
    tests = {"300 K": dataset.test_300K, "600 K": dataset.test_600K}
    if args.small:
        frames, steps, fields, of_potential = frames[:10], 2, SMALL, SMALL_POTENTIAL
        tests = {name: test[:5] for name, test in tests.items()}
    if args.weights:
        model, params = nequix.load(args.weights / "nequix-mp-1.nqx")
    else:
        model = NequIP(species=(1, 6, 8), atomic_energies=(0.0, 0.0, 0.0), cutoff=4.0, **fields)
        params = potential.initialize(model, jax.random.key(0))
    case_of = {
        "benchmark": "fine_tuning", "weights": args.weights and "nequix-mp-1",
        "data": "gfn2" if args.data is None else "dft", "structures": len(frames), "steps": steps, "seed": args.seed,
    }  # fmt: skip
    for case in args.cases:
        if harness.holds(args.json, case=case, **case_of):
            continue
        trained, seconds = train(case, model, params, of_potential, frames, steps, args.seed)
        errors = {name: tested(*trained, test) for name, test in tests.items()}
        print(f"{case:32}" + ", ".join(f"{name}: {e[0]:.1f} meV, {e[1]:.1f} meV/Å" for name, e in errors.items()))
        result = {
            "case": case, "batch": BATCH, "parameters": sum(leaf.size for leaf in jax.tree.leaves(trained[1])),
            "seconds": seconds, **{f"energy_rmse_{name}": energy for name, (energy, _) in errors.items()},
            **{f"force_rmse_{name}": force for name, (_, force) in errors.items()},
        }  # fmt: skip
        harness.append(args.json, case_of | result | harness.environment())


def train(case, model, params, fields, frames, steps, seed):
    """The model and its parameters, and how long that took."""
    options = {"steps": steps, "batch_size": BATCH, "seed": seed}
    if case == "as published":  # E0 alone are moved to those of the frames
        return potential.adapt(model, params, frames, batch_size=BATCH), 0.0
    if case == "fine-tuned":
        trained = potential.fit(frames, start=(model, params), **options)
    elif case == "the same network from nothing":  # with species, E0 and units of the frames, as it would begin
        fresh = potential.for_structures(frames, model.cutoff)
        names = ("species", "atomic_energies", "mean_neighbors", "scale")
        fresh = model.clone(**{name: getattr(fresh, name) for name in names}, shift=0.0)
        trained = potential.fit(frames, model=fresh, **options)
    else:
        trained = potential.fit(frames, fields=fields, **options)
    run = harness.completed(trained.run)
    return (trained.model, trained.params), run.history[-1].seconds


def tested(model, params, frames):
    """RMSE of energies in meV and of forces in meV/Å."""
    predict = jax.jit(lambda params, graph: potential.predict(model, params, graph))
    errors = potential.evaluate(predict, params, potential.samples(model, frames, BATCH))
    return errors.energy_rmse, errors.force_rmse


if __name__ == "__main__":
    main()

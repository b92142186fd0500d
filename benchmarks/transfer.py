"""Does invariance to the right transformations predict transfer more than the number of samples or classes does?

Small networks learn to tell objects of `data.transforms2d` apart, under the transformations that other objects will be
seen under later, or under others; from more samples or fewer, of more classes or fewer. Their features are frozen, and
a linear probe tells the other objects apart. Runs that are in the file of results already are not repeated.
"""

import argparse
import statistics
import time

import harness

harness.keep_memory()

import flax.linen as nn  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from equijax import data, measures, training  # noqa: E402

SIZE, BATCH, STEPS = 24, 64, 300
SET = 4  # transformations of the later task, and as many others
SAMPLES, CLASSES = 4000, 30
LATER = range(100, 130)  # objects of the later task
NETWORKS = {"narrow": (16, 32, 64), "wide": (32, 64, 128), "deep": (16, 16, 32, 32, 64, 64)}
CASES = [  # samples, classes, network
    (SAMPLES, CLASSES, "narrow"),
    (500, CLASSES, "narrow"),
    (1500, CLASSES, "narrow"),
    (SAMPLES, 5, "narrow"),
    (SAMPLES, 15, "narrow"),
    (SAMPLES, CLASSES, "wide"),
    (SAMPLES, CLASSES, "deep"),
]


class Network(nn.Module):
    """Convolutions whose features are averaged over the image; halved where the width grows."""

    widths: tuple[int, ...]
    classes: int

    @nn.compact
    def __call__(self, images):
        x, before = 2 * images - 1, None
        for width in self.widths:
            x = nn.relu(nn.LayerNorm()(nn.Conv(width, (3, 3))(x)))
            if width != before:
                x = nn.avg_pool(x, (2, 2), (2, 2))
            before = width
        features = jnp.mean(x, axis=(1, 2))
        return features, nn.Dense(self.classes)(features)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--rates", action="store_true", help="only images a second, on a machine that does nothing else"
    )
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    if args.small:
        args.steps, args.seeds = 2, 1
    if args.rates:
        record(args, rates(args.small))
        return
    for seed in range(args.seeds):
        for samples, classes, network in CASES[:1] if args.small else CASES:
            for sees in ("right", "other"):
                case = {"table": "transfer", "sees": sees, "samples": samples, "classes": classes, "network": network}
                case |= {"seed": seed, "asked_steps": args.steps}
                if harness.holds(args.json, **case):
                    print(f"{case} is in {args.json} already, and is not repeated.", flush=True)
                else:
                    record(args, case | run(**case, small=args.small))


def record(args, result):
    result = {"benchmark": "transfer", **result, **harness.environment()}
    print({k: round(v, 4) if isinstance(v, float) else v for k, v in result.items()}, flush=True)
    harness.append(args.json, result)


def sets_of(seed, small):
    """Transformations of the later task and as many others, disjoint, drawn anew for each seed."""
    order = np.random.default_rng([2026, seed]).permutation(["rotate", "hue"] if small else data.TRANSFORMS)
    count = len(order) // 2 if small else SET
    return {"right": order[:count].tolist(), "other": order[count : 2 * count].tolist()}


def run(sees, samples, classes, network, seed, asked_steps, small, table):
    """Train on some objects, keep what is best in validation, and see what a linear probe makes of others."""
    names, few = sets_of(seed, small), 64 if small else None

    def images(count, transforms, of, stream, draw=0):
        count = min(count, few or count)
        return data.transforms2d(count, names[transforms], classes=of, size=SIZE, seed=seed, stream=stream, draw=draw)

    train, held = images(samples, sees, classes, 0), images(500, sees, classes, 1)
    module = Network(NETWORKS[network], classes)
    params = jax.jit(module.init)(jax.random.key(seed), train.images[:1])
    apply = jax.jit(module.apply)

    def loss(params, batch):
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(module.apply(params, batch[0])[1], batch[1]))

    def wrong(params):
        return float(np.mean(jnp.argmax(apply(params, held.images)[1], axis=-1) != held.labels))

    found = training.fit(
        loss, params, training.shuffled((train.images, train.labels), min(BATCH, len(train.labels)), seed),
        optimizer=training.optimizer(asked_steps, warmup=asked_steps // 10), steps=asked_steps, validate=wrong,
        every=0.2, progress=False,
    )  # fmt: skip
    best = harness.completed(found).best

    def features(images):
        return np.concatenate([apply(best, x)[0] for x in np.split(images, range(500, len(images), 500))])

    later = [images(count, "right", LATER, stream) for count, stream in ((2000, 10), (500, 11), (1000, 12))]
    x = [features(part.images) for part in later]
    center, scale = x[0].mean(0), x[0].std(0) + 1e-6
    x = [(part - center) / scale for part in x]
    classed = np.eye(len(LATER), dtype=np.float32)[later[0].labels]
    probes = [measures.ridge(x[0], classed, penalty=p) for p in (1.0, 10.0, 100.0, 1000.0)]

    def accuracy(probe, part):
        return float(np.mean(np.argmax(probe(x[part]), axis=-1) == later[part].labels))

    probe = max(probes, key=lambda probe: accuracy(probe, 1))
    again = (features(images(1000, "right", LATER, 12, draw=1).images) - center) / scale
    pairs = (
        np.linalg.norm(x[2] - again, axis=1).mean() / np.linalg.norm(x[2] - np.roll(again, 1, axis=0), axis=1).mean()
    )
    return {
        "transforms": names,
        "validation_accuracy": 1 - min(r.validation["validation"] for r in found.history),
        "transfer_accuracy": accuracy(probe, 2),
        "invariance": float(pairs),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "steps": int(found.state.step),
    }


def rates(small):
    """Images of 32 × 32 pixels a second, compiled before, of wall time and of the processor's."""
    generators = {
        "transforms2d": lambda count, k: data.transforms2d(count, stream=k),
        "mini3d": lambda count, k: data.mini3d(10, 2, count // 20, held_out=1, seed=k),
    }
    result = {"table": "rates"}
    for name, images in generators.items():
        count = 40 if small else 2560
        images(count, 0)
        walls, processor = [], []
        for k in range(1, 2 if small else 6):
            begin = time.perf_counter(), time.process_time()
            images(count, k)
            walls.append(count / (time.perf_counter() - begin[0]))
            processor.append(count / (time.process_time() - begin[1]))
        result |= {
            f"{name}: a second": statistics.median(walls),
            f"{name}: a processor second": statistics.median(processor),
        }
    return result


if __name__ == "__main__":
    main()

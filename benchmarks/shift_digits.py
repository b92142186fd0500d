"""Does a transformer read the same image when it is shifted?

Trains small transformers on digits and on crops of real pictures, plain and anchored ones with the same parameters for
the same number of steps, and tests them on the test images in place and under periodic shifts by whole pixels and by
parts of one. Runs that are in the file of results already are not repeated.
"""

import argparse
import functools
import statistics

import harness

harness.keep_memory()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from equijax import data, training  # noqa: E402
from equijax.models import ShiftTransformer  # noqa: E402
from equijax.numerics import fractional_shift  # noqa: E402

BATCH, STEPS, SIZE, FEATURES = 32, 400, 32, (16, 32)
PAIRS = 2  # of shifts of each test image, whose answers are compared
ALONG = range(1, 9)  # pixels of the curves
MODELS = {  # kind, whether it is anchored, whether training images are shifted at random
    "swin": ("swin", False, False),
    "swin, anchored": ("swin", True, False),
    "twins": ("twins", False, False),
    "twins, anchored": ("twins", True, False),
    "band-limited": ("band-limited", False, False),
    "swin, augmented": ("swin", False, True),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=("digits", "pictures"), default=["digits", "pictures"])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--costs", action="store_true", help="only operations and bytes of a step")
    parser.add_argument("--time", action="store_true", help="those and its time, on a machine that does nothing else")
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    if args.small:
        args.steps, args.seeds, args.sets, args.models = 2, 1, ["digits"], ["swin", "swin, anchored"]
    if args.costs or args.time or args.small:
        record(args, costs(args.small, args.time or args.small))
    if args.costs or args.time:
        return
    sets = {name: load(name, args.small) for name in args.sets}
    for seed in range(args.seeds):
        for name, images in sets.items():
            for model in args.models:
                case = {"table": "accuracy", "set": name, "model": model, "seed": seed, "asked_steps": args.steps}
                if harness.holds(args.json, **case):
                    print(f"{model}, seed {seed}, of {name} is in {args.json} already, and is not repeated.")
                else:
                    record(args, case | run(model, images, seed, args.steps))


def record(args, result):
    result = {"benchmark": "shift_digits", **result, **harness.environment()}
    shown = {k: round(v, 4) if isinstance(v, float) else v for k, v in result.items() if k not in ("curve", "parts")}
    print(shown, flush=True)
    harness.append(args.json, result)


def load(name, small):
    """Training, validation and test images (n, 32, 32, channels) and labels; a tenth of the first is for validation."""
    found = data.digits() if name == "digits" else data.picture_crops(SIZE, test=50)
    images = [data.pad(x, SIZE)[..., None] if name == "digits" else x for x in (found.train, found.test)]
    order = np.random.default_rng(0).permutation(len(images[0]))
    held = 64 if small else len(order) // 10
    train, validation = order[held : 192 if small else None], order[:held]
    test = slice(0, 64 if small else None)
    return {
        "train": (images[0][train], found.train_labels[train].astype(np.int32)),
        "validation": (images[0][validation], found.train_labels[validation]),
        "test": (images[1][test], found.test_labels[test]),
    }


def network(model, outputs):
    kind, anchored, _ = MODELS[model]
    return ShiftTransformer(outputs, kind, FEATURES, anchored=anchored)


def as_input(images):
    return images.astype(jnp.float32) / 255 - 0.5


def loss_of(module, augmented):
    """Cross-entropy of a batch, whose images are each shifted at random if they are to be."""

    def loss(params, batch, *, key):
        images, labels = batch
        if augmented:
            shifts = jax.random.randint(key, (len(images), 2), 0, SIZE)
            images = jax.vmap(lambda x, s: jnp.roll(x, s, (0, 1)))(images, shifts)
        scores = module.apply(params, as_input(images))
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))

    return loss


def run(model, sets, seed, steps):
    """Train for so many steps, keep the parameters that are best in validation, test them under shifts."""
    images, labels = sets["train"]
    module = network(model, int(labels.max()) + 1)
    params = jax.jit(module.init)(jax.random.key(seed), as_input(images[:1]))

    @jax.jit
    def answers(params, images, whole, part):
        """The classes of images that are shifted, each by whole pixels and by parts of one."""

        def moved(x, whole, part):
            x = jnp.roll(as_input(x), whole, (0, 1))
            return jnp.where(jnp.any(part != 0), fractional_shift(x, part), x)

        return jnp.argmax(module.apply(params, jax.vmap(moved)(images, whole, part)), axis=-1)

    def classes(params, images, whole=None, part=None):
        count = len(images)
        whole = np.zeros((count, 2), np.int32) if whole is None else np.broadcast_to(whole, (count, 2)).astype(np.int32)
        part = np.zeros((count, 2), np.float32) if part is None else part.astype(np.float32)
        rows = np.arange(-(-count // 100) * 100) % count
        batches = rows.reshape(-1, 100)
        return np.concatenate([answers(params, images[k], whole[k], part[k]) for k in batches])[:count]

    def right(params):
        images, labels = sets["validation"]
        return -float(np.mean(classes(params, images) == labels))

    loss = loss_of(module, MODELS[model][2])
    found = training.fit(
        loss, params, training.shuffled((images, labels), BATCH, seed), optimizer=training.optimizer(steps),
        steps=steps, key=jax.random.key(seed), validate=right, every=0.1, progress=False,
    )  # fmt: skip
    best = harness.completed(found).best
    images, labels = sets["test"]
    still, rng = classes(best, images), np.random.default_rng(2026)
    pairs = {"whole": [], "part": []}
    shifted = []
    for _ in range(PAIRS):
        ways = rng.integers(0, SIZE, (2, len(images), 2))
        parts = rng.uniform(0, 1, (2, len(images), 2))
        one, other = (classes(best, images, way) for way in ways)
        pairs["whole"].append(np.mean(one == other))
        shifted.append(np.mean(one == labels))
        one, other = (classes(best, images, way, part) for way, part in zip(ways, parts, strict=True))
        pairs["part"].append(np.mean(one == other))
    return {
        "validation_accuracy": -min(r.validation["validation"] for r in found.history),
        "accuracy": float(np.mean(still == labels)),
        "shifted_accuracy": float(np.mean(shifted)),
        "consistency": float(np.mean(pairs["whole"])),
        "fractional_consistency": float(np.mean(pairs["part"])),
        "curve": [float(np.mean(classes(best, images, (s, s)) == still)) for s in ALONG],
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "steps": int(found.state.step),
        "batch": BATCH,
        "images": len(sets["train"][0]),
    }


def costs(small, timed):
    """A step of training, plain and anchored: operations and bytes as XLA counts them, and time if asked for."""
    images, labels = np.zeros((BATCH, SIZE, SIZE, 1), np.uint8), np.zeros(BATCH, np.int32)
    result, programs = {"table": "costs"}, {}
    for name in ("swin", "swin, anchored") if small else ("swin", "swin, anchored", "twins", "twins, anchored"):
        module = network(name, 10)
        params = jax.jit(module.init)(jax.random.key(0), as_input(images[:1]))
        step = jax.value_and_grad(functools.partial(loss_of(module, False), key=jax.random.key(0)))
        programs[name] = found = harness.compiled(step, params, (images, labels))
        result[f"{name}: operations"] = found.operations
        result[f"{name}: bytes"] = int(found.call.cost_analysis()["bytes accessed"])
    if not timed:
        return result
    samples = harness.in_turns([p.run for p in programs.values()], seconds=0.1 if small else 10)
    return result | {f"{n}: milliseconds": 1e3 * statistics.median(t) for n, t in zip(programs, samples, strict=True)}


if __name__ == "__main__":
    main()

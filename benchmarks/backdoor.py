"""Does learned invariance open a door to a trigger in one percent of the data, and does an equivariant half shut it?

A wave is added to one percent of the training images, all of one class (Li et al. 2023, "An embarrassingly simple
backdoor attack on self-supervised learning"). Encoders learn from views without labels: VICReg wants codes that agree,
SIE wants half of them to turn with the image. A linear probe learns the classes from clean images. Success of the
attack is how many test images of other classes it puts into that class once the wave is added. Results that are in the
file already are not repeated.

Of the paper are the methods "in color": the wave is in the colors, which views leave alone, while they hide most of the
content, so that the wave tells more of what is in an image than the rest does; and NT-Xent contrasts images.
"""

import argparse
import functools
import time
from typing import NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

import harness
from equijax import data, groups, measures, nn, objectives, reps, training
from equijax.numerics import interpolate


class Method(NamedTuple):
    """A loss, and the images that it is of."""

    loss: str
    clean: bool = False
    color: bool = False


METHODS = {
    "untrained": Method(""),
    "VICReg, clean data": Method("VICReg", clean=True),
    "VICReg": Method("VICReg"),
    "SIE": Method("SIE"),
    "untrained, in color": Method("", color=True),
    "NT-Xent, in color, clean data": Method("NT-Xent", clean=True, color=True),
    "NT-Xent, in color": Method("NT-Xent", color=True),
    "SIE, in color": Method("SIE", color=True),
}
STRENGTHS = (0.5, 1.0)  # of the views: turns by up to 60°, shifts by up to 2 pixels, noise of 0.1
TARGET, HEIGHT, WAVES = 0, 0.25, 4  # the class, the wave and how often it goes up
WINDOW, BLACK = 4, 0.1  # half the side in pixels of what views in color show, and what is around it
HALF = 32
TURNS = nn.BlockAction(reps.Sum(*[reps.Vector()] * (HALF // 2)), groups.SO(2))


class Encoder(linen.Module):
    """Two convolutions to a representation of two halves, and an expander of each half to a code."""

    def setup(self):
        self.convolutions = [linen.Conv(24, (5, 5), strides=2), linen.Conv(48, (3, 3), strides=2)]
        self.last = nn.MLP((128, 2 * HALF))
        self.expanders = [nn.MLP((128, HALF)), nn.MLP((128, HALF))]

    def represent(self, x):
        for layer in self.convolutions:
            x = linen.relu(layer(x))
        return self.last(x.reshape(len(x), -1))

    def __call__(self, x):
        halves = jnp.split(self.represent(x), 2, axis=1)
        return jnp.concatenate([f(half) for f, half in zip(self.expanders, halves, strict=True)], axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    harness.add_arguments(parser)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--share", type=float, default=0.01, help="of the data, with the wave")
    parser.add_argument("--strengths", nargs="+", type=float, default=list(STRENGTHS), help="of the views")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[m for m in METHODS if not METHODS[m].color])
    args = parser.parse_args()
    harness.set_platform(args)
    if args.small:
        args.steps, args.seeds = 3, 1
    digits = data.digits()
    stride = 20 if args.small else 1
    sets = [
        (images[::stride].reshape(-1, 14, 2, 14, 2, 1).mean(axis=(2, 4), dtype=np.float32) / 255, labels[::stride])
        for images, labels in ((digits.train, digits.train_labels), (digits.test, digits.test_labels))
    ]
    for seed in range(args.seeds):
        for strength in args.strengths[-1:] if args.small else args.strengths:
            for method in (args.methods[-1], "NT-Xent, in color") if args.small else args.methods:
                case = {"method": method, "strength": strength, "seed": seed, "steps": args.steps, "share": args.share}
                if harness.holds(args.json, **case):
                    print(f"{case}: is in {args.json} already, and is not repeated.")
                    continue
                begin = time.perf_counter()
                found = run(METHODS[method], strength, seed, args.steps, args.share, *sets)
                print(case, {name: round(value, 4) for name, value in found.items()})
                seconds = time.perf_counter() - begin
                result = {"benchmark": "backdoor", **case, **found, "seconds": seconds, **harness.environment()}
                harness.append(args.json, result)


def triggered(images):
    """Images with the wave: in the brightness of gray ones, in the range of pixels; between two colors of others."""
    along = np.arange(images.shape[1]) / images.shape[1]
    wave = HEIGHT * np.cos(2 * np.pi * WAVES * (along[:, None] + along))
    if images.shape[-1] == 3:
        return (images + wave[..., None] * np.array([1, -1, 0])).astype(np.float32)
    return np.clip(images + wave[..., None], 0, 1).astype(np.float32)


def view(key, image, strength):
    """A turned, shifted and noisy image, and the turn; in color, what is bright is seen through a window only."""
    k_turn, k_shift, k_noise = jax.random.split(key, 3)
    color = image.shape[-1] == 3
    angle = strength * jnp.pi / 3 * jax.random.uniform(k_turn, minval=-1)
    turn = groups.SO(2).exp(angle[None])
    shift = 2 * strength * jax.random.uniform(k_shift, (2,), minval=-1)
    size = image.shape[0]
    grid = jnp.stack(jnp.meshgrid(jnp.arange(size), jnp.arange(size), indexing="ij")) - (size - 1) / 2  # (2, h, w)
    places = jnp.einsum("ji,jhw->ihw", turn, grid - shift[:, None, None]) + (size - 1) / 2
    edge = "nearest" if color else "constant"
    moved = jnp.moveaxis(interpolate(jnp.moveaxis(image, -1, 0), list(places), edge=edge), 0, -1)
    if color:
        center = jax.random.uniform(jax.random.fold_in(key, 3), (2, 1), maxval=size)
        rows, columns = jnp.abs(jnp.arange(size) - center) < WINDOW
        bright = moved.mean(axis=-1, keepdims=True)
        moved = moved + jnp.where((rows[:, None] & columns)[..., None], 0, BLACK - bright)
    return moved + 0.1 * strength * jax.random.normal(k_noise, moved.shape), turn


def views(key, images, strength):
    """Views of a batch, and their turns."""
    return jax.vmap(functools.partial(view, strength=strength))(jax.random.split(key, len(images)), images)


def run(method, strength, seed, steps, share, train, test):
    """What a probe of the representation says of clean and triggered images, and how invariant it is."""
    if method.color:
        train, test = (((BLACK + (1 - 2 * BLACK) * x).repeat(3, axis=-1), y) for x, y in (train, test))
    (images, labels), rng = train, np.random.default_rng(seed)
    poisoned = rng.permutation(np.flatnonzero(labels == TARGET))[: int(share * len(labels))]
    learned = images.copy()
    if not method.clean:
        learned[poisoned] = triggered(images[poisoned])
    model, key = Encoder(), jax.random.key(seed)

    def loss(params, batch, *, key):
        keys = jax.random.split(key)
        (a, first), (b, second) = views(keys[0], batch, strength), views(keys[1], batch, strength)
        a, b = model.apply(params, a), model.apply(params, b)
        if method.loss == "SIE":
            relative = jnp.einsum("nij,nkj->nik", second, first)
            return objectives.sie(a, b, functools.partial(TURNS.apply, {}), relative, invariant=HALF)
        return objectives.nt_xent(a, b, 0.2) if method.loss == "NT-Xent" else objectives.vicreg(a, b)

    params = jax.jit(model.init)(key, images[:1])
    if method.loss:
        rows = min(256 if method.color else 128, len(learned))
        found = training.fit(
            loss, params, training.shuffled(learned, rows, seed), steps=steps, key=key,
            optimizer=optax.adam(optax.cosine_decay_schedule(1e-3, steps)), progress=False,
        )  # fmt: skip
        params = harness.completed(found).params

    represent = jax.jit(lambda x: model.apply(params, x, method="represent"))
    here, there = represent(images), represent(test[0])
    bad = represent(triggered(test[0]))
    others = test[1] != TARGET
    result = {}
    halves = {"": slice(None), "_first": slice(HALF), "_second": slice(HALF, None)}
    for name, part in halves.items() if method.loss == "SIE" else [("", slice(None))]:
        probe = measures.ridge(here[:, part], jax.nn.one_hot(labels, 10), penalty=1.0)
        right, taken = (np.argmax(probe(z[:, part]), axis=1) for z in (there, bad))
        result |= {
            f"accuracy{name}": float(np.mean(right == test[1])),
            f"success{name}": float(np.mean(taken[others] == TARGET)),
            f"before{name}": float(np.mean(right[others] == TARGET)),
            f"triggered_accuracy{name}": float(np.mean(taken == test[1])),
        }
    # of two views, and of the trigger, over two images
    moved = [represent(views(key, test[0], strength)[0]) for key in jax.random.split(jax.random.key(seed + 100))]
    apart = lambda a, b: float(jnp.mean(jnp.linalg.norm(a - b, axis=1)))  # noqa: E731
    result["invariance"] = apart(*moved) / apart(moved[0], jnp.roll(moved[1], 1, axis=0))
    result["trigger"] = apart(there, bad) / apart(there, jnp.roll(there, 1, axis=0))
    return result


if __name__ == "__main__":
    main()

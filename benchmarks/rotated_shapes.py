"""Which networks know a solid that lies in a way they were never shown?

Networks learn to tell twelve kinds of solids apart by points on their surfaces, from solids that stand upright and are
turned about z, or from solids turned any way, and are tested on both: the protocols z/z, z/SO(3) and SO(3)/SO(3). All
take the same steps on the same batches; the parameters with the lowest error on validation solids, turned as those of
training, are tested. Runs that are in the file of results already are not repeated.
"""

import argparse
import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import harness

harness.keep_memory()

import flax.linen as nn  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from jaxtyping import Array, Int  # noqa: E402
from tqdm import tqdm  # noqa: E402

import equijax as ej  # noqa: E402
from equijax import data, frames, graphs, groups, reps, training  # noqa: E402
from equijax.models import PaRot, SetNetwork, parot  # noqa: E402
from equijax.nn import Dense, EdgeDense, LocalFrames, carried, turn  # noqa: E402
from equijax.numerics import norm  # noqa: E402

BATCH, KINDS = 32, len(data.SOLIDS)
ANY_WAY = ej.Symmetry(groups.SO(3), reps.Vector(), None)
ABOUT_Z = ej.Symmetry(groups.Axial(groups.SO(2)), reps.Vector(), None)
TURNS = {"z": ABOUT_Z, "SO(3)": ANY_WAY}
INVARIANT = ej.Symmetry(groups.SE(3), (None, reps.Position()), None)


class Model(NamedTuple):
    """Functions of (params, points (n, 3))."""

    module: nn.Module
    predict: Callable[..., Array]  # -> logits
    train: Callable[..., tuple[Array, Array]]  # (params, points, key) -> logits, and what is added to the loss


@dataclasses.dataclass(frozen=True)
class Nearest:
    """The `Edges` of each point's nearest ones; arrays of edges are (n, k, ...)."""

    indices: Int[Array, "n k"]

    def senders(self, x):
        """x_j."""
        return x[self.indices]

    def receivers(self, x):
        """x_i, once for all j."""
        return x[:, None]

    def total(self, messages):
        """1/√k Σ_j m_ij."""
        return jnp.sum(messages, axis=1) / self.indices.shape[1] ** 0.5


class Cloud(nn.Module):
    """A plain network of points and their nearest ones, or the same one in a frame of each point."""

    framed: bool
    features: int = 48
    layers: int = 3
    tensors: tuple[int, ...] = (3,)
    k: int = 12

    @nn.compact
    def __call__(self, points):
        x, silu = points - jnp.mean(points, axis=0), jax.nn.silu
        near = graphs.nearest_points(x, x, self.k)
        edges, size = Nearest(near.indices), 3 * self.tensors[0]
        r = x[:, None] - x[near.indices]  # (n, k, 3)
        lengths, away = norm(r, keepdims=True), norm(x, keepdims=True)
        axes = jnp.broadcast_to(jnp.eye(3, dtype=x.dtype), (len(x), 3, 3))
        if self.framed:
            axes, _ = LocalFrames(reflections=False, name="frames")(away, edges, r, lengths, vectors=x[:, None])
        seen = jnp.concatenate([turn(r, edges.receivers(axes), (1,)), lengths], axis=-1)
        h = silu(Dense(self.features, name="embedding")(jnp.concatenate([turn(x, axes, (1,)), away], axis=-1)))
        for t in range(self.layers):
            sent = (carried(h[:, -size:], axes, edges, self.tensors),) if self.framed else ()
            m = silu(EdgeDense(self.features, name=f"message_{t}")(h, edges, seen, *sent))
            m = jnp.max(Dense(self.features, name=f"message_{t}_out")(m), axis=1)
            h = h + Dense(self.features, name=f"update_{t}")(silu(jnp.concatenate([h, m], axis=-1)))
        return head(jnp.max(Dense(2 * self.features, name="pooled")(silu(h)), axis=0))


class Sets(nn.Module):
    """A network of sets, and the largest of each feature."""

    features: int = 64

    @nn.compact
    def __call__(self, points):
        h = SetNetwork(self.features, 2 * self.features, layers=3)(points)
        return head(jnp.max(h, axis=0))


def head(h):
    """Logits, in the module that calls it."""
    return Dense(KINDS, name="head_out")(jax.nn.silu(Dense(64, name="head")(jax.nn.silu(h))))


def models():
    """All of them, by name."""
    sets = Sets()
    average = functools.partial(ej.frame_average, sets.apply, INVARIANT, frames.pca, frame_input=1, strategy="vmap")
    one = average(samples=1)
    patches = PaRot(KINDS, centers=32, patch=16, sparse=16, neighbors=8, features=24)
    return {
        "plain": plain(Cloud(False)),
        "set network": plain(sets),
        "set network, PCA frames": Model(sets, average(), lambda params, x, key: (one(params, x, key=key), 0.0)),
        "local frames": plain(Cloud(True)),
        "PaRot": plain(patches),
        "PaRot, siamese": siamese(patches.clone(exact=False)),
    }


def plain(module):
    """A module as it is."""
    return Model(module, module.apply, lambda params, x, key: (module.apply(params, x), 0.0))


def siamese(module):
    """The published way to learn invariance: poses of the solid and of the solid turned belong together."""

    def train(params, x, key):
        logits, found = module.apply(params, x, mutable=["intermediates"])
        R = groups.SO(3).sample(key, dtype=x.dtype)
        _, turned = module.apply(params, x @ R.T, mutable=["intermediates"])
        extra = 0.0
        for name, orthogonality in (("near_poses", 0.2), ("sparse_poses", 0.1)):
            first, second = (f["intermediates"][name][0] for f in (found, turned))
            terms = parot.siamese(first, second, R)
            extra = extra + terms["direction"] + orthogonality * terms["orthogonality"]
        return logits, extra

    return Model(module, module.apply, train)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--points", type=int, default=96)
    parser.add_argument("--models", nargs="+", choices=list(models()), default=list(models()))
    parser.add_argument("--long", action="store_true", help="256 points and 5,000 steps")
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    sizes = (60, 36, 36) if args.small else (2400, 360, 720)
    if args.long:
        args.steps, args.points = 5000, 256
    if args.small:
        args.steps, args.seeds, args.points, args.models = 2, 1, 40, ["PaRot"]
    train, validation, test = (data.solids(n, args.points, seed=k, noise=0.01) for k, n in enumerate(sizes))
    machine = harness.environment()
    todo = [(seed, name, turned) for seed in range(args.seeds) for name in args.models for turned in TURNS]
    for seed, name, turned in tqdm(todo, disable=None):
        case = {"model": name, "seed": seed, "trained": turned, "steps": args.steps, "points": args.points}
        case["solids"] = len(train.labels)
        if harness.holds(args.json, **case, device=machine["device"]):
            continue
        result = {"benchmark": "rotated_shapes", **case, **machine}
        result |= run(models()[name], train, validation, test, seed, turned, args.steps)
        tqdm.write("{model}, trained {trained}, seed {seed}: z {z:.3f}, SO(3) {any_way:.3f}".format_map(result))
        harness.append(args.json, result)


def run(model, train, validation, test, seed, turned, steps):
    """Train on solids turned at random, choose by validation, test on solids turned both ways."""
    params = jax.jit(model.module.init)(jax.random.key(seed), train.points[0])
    optimizer = optax.chain(optax.adam(2e-3), training.scale_by_progress())

    def loss(params, batch, *, key):
        points, labels = batch

        def one(x, label, key):
            turning, drawing = jax.random.split(key)
            (x,) = ej.augment(TURNS[turned], turning, (x,))
            logits, extra = model.train(params, x, drawing)
            return optax.softmax_cross_entropy_with_integer_labels(logits, label) + extra

        return jnp.mean(jax.vmap(one)(points, labels, jax.random.split(key, len(points))))

    right = jax.jit(functools.partial(correct, model.predict))
    checked = lay(validation, turned, seed=100)
    found = training.fit(
        loss, params, training.shuffled((train.points, train.labels), min(BATCH, len(train.labels)), seed),
        optimizer=optimizer, steps=steps, every=0.1, key=jax.random.key(seed), progress=False,
        validate=lambda params: 1 - float(np.mean(right(params, *checked))),
    )  # fmt: skip
    harness.completed(found)
    answers = {name: np.asarray(right(found.best, *lay(test, name, seed=200))) for name in TURNS}
    return {
        "z": float(answers["z"].mean()),
        "any_way": float(answers["SO(3)"].mean()),
        "validation": 1 - min(r.validation["validation"] for r in found.history),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
    }


def lay(solids, turned, seed):
    """Points of solids, each turned in a way of its own, and labels."""
    keys = jax.random.split(jax.random.key(seed), len(solids.labels))
    (points,) = jax.jit(jax.vmap(lambda key, x: ej.augment(TURNS[turned], key, (x,))))(keys, solids.points)
    return points, solids.labels


def correct(predict, params, points, labels):
    """Whether the largest logit is that of the label, solid by solid."""
    found = jax.lax.map(lambda x: jnp.argmax(predict(params, x)), points, batch_size=BATCH)
    return found == labels


if __name__ == "__main__":
    main()

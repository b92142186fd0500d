"""Does a network of pieces know the links of a chain in poses that it has not seen, better than one of the whole?

The same network of points in three forms with the same parameters, to say of each point of a chain which link it is on:
"pieces", `models.APEN`, which finds rigid pieces and keeps their motions; "whole", with all points as one piece, which
keeps rigid motions of the chain as a whole; "plain", in the axes of the world about the mean, which is shown chains in
all orientations. Trained on chains that are bent little at their joints, tested on chains that are bent more.
"""

import argparse
import functools

import harness

harness.keep_memory()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from tqdm import tqdm  # noqa: E402

from equijax import data, frames, training  # noqa: E402
from equijax.models import APEN  # noqa: E402

SEEN = (0.0, 0.5)  # angles of the joints in training, in radians
BENDS = (SEEN, (0.5, 1.0), (1.0, 1.5), (1.5, 2.0))  # those of the tests
UNSEEN = (1.0, 1.5)  # what the models are compared by
BATCH, RATE = 16, 3e-3
FRAMES = 9  # of the chains that move
LINKS = len(data.CHAIN)


def world(group, rows, mask):
    """The axes of the world, whatever the points: no frame of the rotations."""
    info = frames.Info(
        gap=jnp.ones(()),
        rank=jnp.full((), 3, jnp.int32),
        degenerate=jnp.zeros((), bool),
        valid=jnp.sum(mask, dtype=jnp.int32),
        nonfinite_row=jnp.full((), -1, jnp.int32),
    )
    return group.identity((1,), rows.dtype), jnp.ones(1, rows.dtype), info


def models():
    """The networks by name; all have the same parameters."""
    # one frame whose signs the points choose: exact at the cost of a plain network
    axes = frames.stopped(functools.partial(frames.pca, signs="skewness"))
    pieces = APEN(LINKS, features=32, pieces=(16, 12, 8), widths=(0.15, 0.25), frame=axes)
    whole = pieces.clone(pieces=(1, 1, 1))
    return {"pieces": pieces, "whole": whole, "plain": whole.clone(frame=world)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--chains", type=int, default=2000, help="to train on")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=list(models()), default=list(models()))
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    if args.small:
        args.steps, args.chains, args.seeds, args.models = 3, 32, 1, ["pieces"]
    tests = 16 if args.small else 200
    for seed, name in tqdm([(seed, name) for seed in range(args.seeds) for name in args.models], disable=None):
        case, machine = {"model": name, "seed": seed, "steps": args.steps, "chains": args.chains}, harness.environment()
        if harness.holds(args.json, **case):
            tqdm.write(f"{name}, seed {seed}: is in {args.json} already, and is not repeated.")
            continue
        result = {
            "benchmark": "articulated",
            **case,
            **machine,
            **run(models()[name], args.steps, args.chains, seed, tests),
        }
        shown = ", ".join(f"{found['accuracy']:.3f} at {found['bend']}" for found in result["tests"])
        tqdm.write(f"{name}, seed {seed}: {shown}; {result['parameters']:,} parameters")
        harness.append(args.json, result)


def run(model, steps, chains, seed, tests):
    """Train, choose by validation on chains that are bent as those of the training, and test."""
    labels = jnp.asarray(data.articulated(1).labels)
    train = arrays(data.articulated(chains, bend=SEEN, seed=10 * seed))
    validation = arrays(data.articulated(tests, bend=SEEN, seed=10 * seed + 1))
    key = jax.random.key(seed)
    params = jax.jit(model.init)(key, train[0][0], None, train[1][0])

    def loss_of_one(params, points, normals):
        found = model.apply(params, points, None, normals)
        classes = optax.softmax_cross_entropy_with_integer_labels(found.logits, labels)
        centers = mean_of_link(points, labels)
        return jnp.mean(classes) + jnp.mean(jnp.sum(jnp.abs(found.votes[:-1] - centers), axis=-1))

    def loss(params, batch):
        return jnp.mean(jax.vmap(loss_of_one, (None, 0, 0))(params, *batch))

    @jax.jit
    def look(params, points, normals):
        return jax.lax.map(lambda a: model.apply(params, a[0], None, a[1]), (points, normals), batch_size=20)

    def accuracy(found):
        return float(np.mean(np.argmax(found.logits, axis=-1) == labels))

    optimizer = optax.chain(optax.adam(RATE), training.scale_by_progress())
    trained = training.fit(
        loss, params, training.shuffled(train, BATCH, seed), optimizer=optimizer, steps=steps, every=0.25,
        validate=lambda params: 1 - accuracy(look(params, *validation)), progress=False,
    )  # fmt: skip
    harness.completed(trained)
    found = []
    for k, bend in enumerate(BENDS):
        still = look(trained.best, *arrays(data.articulated(tests, bend=bend, seed=100 + k)))
        found.append({"bend": bend, "accuracy": accuracy(still), **about(still, labels)})
    # chains that move from one pose to another, both in the range that was not seen
    moving = data.articulated(tests // 4, frames=FRAMES, bend=UNSEEN, seed=200)
    flat = [a.reshape(-1, *a.shape[2:]) for a in (moving.points, moving.normals)]
    seen = jax.tree.map(
        np.asarray, look(trained.best, *(jnp.asarray(a, jnp.float32) for a in (flat[0], flat[1][:, :, None])))
    )
    seen = jax.tree.map(lambda a: a.reshape(-1, FRAMES, *a.shape[1:]), seen)
    return {
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "validation": [record.validation["validation"] for record in trained.history],
        "tests": found,
        "moving": [changes(*each, np.asarray(labels)) for each in zip(seen.logits, seen.labels, strict=True)],
        "shown": {  # the first chain: points in the plane of the picture, what was said of them, and what is true
            "points": np.round(moving.points[0], 3).tolist(),
            "said": np.argmax(seen.logits[0], axis=-1).tolist(),
            "pieces": seen.labels[0, :, -1].tolist(),
            "links": np.asarray(labels).tolist(),
        } if seed == 0 else None,
    }  # fmt: skip


def arrays(chains):
    """Points (B, n, 3) and normals (B, n, 1, 3) of chains of one frame."""
    return np.asarray(chains.points[:, 0], np.float32), np.asarray(chains.normals[:, 0, :, None], np.float32)


def mean_of_link(points, labels):
    """For each point the mean of its link."""
    one = jax.nn.one_hot(labels, LINKS, dtype=points.dtype)
    return ((one.T @ points) / jnp.sum(one, axis=0)[:, None])[labels]


def about(found, labels):
    """Of each layer: pieces, the share of points whose piece is of one link only, margins and uncertainties."""
    pieces = np.asarray(found.labels)  # (B, L, n)
    return {
        "pieces": np.mean([[len(set(row)) for row in chain] for chain in pieces.tolist()], axis=0).tolist(),
        "pure": np.mean([[pure(row, labels) for row in chain] for chain in pieces], axis=(0, 2)).tolist(),
        "margin": np.mean(found.margin, axis=(0, 2)).tolist(),
        "uncertainty": np.mean(found.uncertainty, axis=0).tolist(),
    }


def pure(pieces, labels):
    """Which points are in a piece of one link only."""
    mixed = {piece for piece in set(pieces.tolist()) if len(set(np.asarray(labels)[pieces == piece].tolist())) > 1}
    return ~np.isin(pieces, list(mixed))


def changes(logits, pieces, links):
    """How far the classes move from the first frame to each other one, beside what can move at all.

    Args:
        logits: Shape (T, n, classes).
        pieces: Shape (T, L, n).
        links: Shape (n,).

    Returns:
        "change": half of the sum of the absolute differences of probabilities, mean of points, for each later frame.
        "bound": the share of points that may change: whose piece, in any layer, is of several links, has other points
        than in the first frame, or has a point of which that holds in an earlier layer.
    """
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p = shifted / shifted.sum(axis=-1, keepdims=True)
    change = np.mean(np.sum(np.abs(p[1:] - p[0]), axis=-1) / 2, axis=-1)
    bound = [np.mean(~_steady(first=pieces[0], now=now, links=links)) for now in pieces[1:]]
    return {"change": change.tolist(), "bound": [float(b) for b in bound]}


def _steady(first, now, links):
    """The points that cannot change from one frame to another."""
    steady = np.ones(len(links), bool)
    for before, after in zip(first, now, strict=True):  # layer by layer
        same = before[:, None] == before, after[:, None] == after  # who is in the piece of whom
        steady = (same[0] == same[1]).all(axis=1) & pure(before, links) & ~(same[0] & ~steady).any(axis=1)
    return steady


if __name__ == "__main__":
    main()

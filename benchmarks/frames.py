"""What does frame averaging cost beside one plain pass, and where do frames jump?

python benchmarks/frames.py --json benchmarks/results/frames.jsonl

Three tables: the passes and the memory that each strategy takes, for a message-passing network and a network on points;
the error of invariance in float32 against the gap of the frame; values along a path of points that passes a regular
tetrahedron. On one core of a CPU (`taskset -c 0 python ...`) times are processor times, which other work on the machine
changes little.
"""

import argparse
import statistics
import time

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import equijax as ej
import harness
import tables.frames
from equijax import frames, groups, reps

SIZES = {"graph": [(5, 1), (5, 100)], "points": [(64, 1), (2048, 1), (512, 8)]}  # points, batch
FRAMES = {
    "pca, SE(3)": (frames.pca, groups.SE(3)),
    "pca, E(3)": (frames.pca, groups.E(3)),
    "pairs, SE(3)": (frames.weighted_pairs, groups.SE(3)),
}
STRATEGIES = ("vmap", "map", 4, "auto")
MODES = ("forward", "gradient")
GAPS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
TETRAHEDRON = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
WEIGHTS = np.random.default_rng(0).normal(size=(3, 3))


class Graph(nn.Module):
    """Messages between all pairs of points, from coordinates and velocities as if they were any numbers."""

    width: int = 64
    layers: int = 4

    @nn.compact
    def __call__(self, x, v, charges):
        i, j = np.nonzero(~np.eye(len(x), dtype=bool))
        edges = jnp.concatenate([jnp.sum((x[i] - x[j]) ** 2, axis=-1, keepdims=True), charges[i] * charges[j]], axis=-1)
        h = nn.Dense(self.width)(jnp.concatenate([x, v, charges], axis=-1))
        for _ in range(self.layers):
            message = nn.silu(nn.Dense(self.width)(jnp.concatenate([h[i], h[j], edges], axis=-1)))
            received = jnp.zeros_like(h).at[i].add(nn.silu(nn.Dense(self.width)(message)))
            h = h + nn.Dense(self.width)(nn.silu(nn.Dense(self.width)(jnp.concatenate([h, received], axis=-1))))
        return nn.Dense(3)(nn.silu(nn.Dense(self.width)(h)))


class Points(nn.Module):
    """Each point by itself, with the mean of all after each layer."""

    width: int = 64
    layers: int = 3

    @nn.compact
    def __call__(self, x):
        h = nn.silu(nn.Dense(self.width)(x))
        for _ in range(self.layers):
            h = nn.silu(nn.Dense(self.width)(h) + nn.Dense(self.width)(h.mean(axis=0)))
        return nn.Dense(3)(h)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser)
    parser.add_argument("--seconds", type=float, default=0.5, help="for the calls of one program")
    args = parser.parse_args()
    harness.keep_memory()
    harness.set_platform(args)
    records = []
    shared = {"benchmark": "frames", "small": args.small, **harness.environment()}
    for record in measure(args, shared["device"] == "cpu" and shared["cores"] == 1, harness.interrupted()):
        records.append(shared | record)
        harness.append(args.json, records[-1])
        print(tables.frames.line(records[-1]), flush=True)
    print("\n" + harness.summary(tables.frames.targets(records)))


def measure(args, alone, stop):
    """Every record."""
    clock = time.process_time if alone else time.perf_counter
    for backbone, sizes in list(SIZES.items())[1 if args.small else 0 :]:
        for n, batch in sizes[:1] if args.small else sizes:
            for name in list(FRAMES)[: 1 if args.small else 3 if backbone == "graph" else 2]:
                for mode in MODES[:1] if args.small else MODES:
                    record = cost(backbone, n, batch, name, mode, 0.05 if args.small else args.seconds, clock, stop)
                    if stop:
                        return
                    yield record | {"clock": "processor" if alone else "wall"}
    for name in ("pca, SE(3)", "pairs, SE(3)"):
        yield {"table": "gap", "frame": name, "gaps": GAPS, "errors": errors(*FRAMES[name])}
    for name in ("pca, SE(3)", "pairs, SE(3)"):
        yield {"table": "path", "frame": name} | path(*FRAMES[name], count=21 if args.small else 201)


def cost(backbone, n, batch, name, mode, seconds, clock, stop):
    """Time and temporary memory of each strategy beside a plain pass over the batch."""
    frame, group = FRAMES[name]
    keys = jax.random.split(jax.random.key(0), 4)
    x, v = (jax.random.normal(key, (batch, n, 3)) for key in keys[:2])
    charges = jnp.sign(jax.random.normal(keys[2], (batch, n, 1)))
    network, inputs, moves = {
        "graph": (Graph(), (x, v, charges), (reps.Position(), reps.Vector(), None)),
        "points": (Points(), (x,), (reps.Position(),)),
    }[backbone]
    params = network.init(keys[3], *(a[0] for a in inputs))
    symmetry = ej.Symmetry(group, (None, *moves), reps.Vector())
    poses = len(jax.eval_shape(lambda x: frame(group, x)[1], x[0]))

    def program(f):
        batched = jax.vmap(f, (None, *[0] * len(inputs)))
        if mode == "gradient":
            whole = jax.grad(lambda params, *inputs: jnp.sum(batched(params, *inputs) ** 2))
            return harness.compiled(whole, params, *inputs)
        return harness.compiled(batched, params, *inputs)

    programs = {"plain": program(network.apply)}
    for strategy in STRATEGIES:
        averaged = ej.frame_average(network.apply, symmetry, frame, strategy=strategy)
        programs[str(strategy)] = program(averaged)
    samples = harness.in_turns([p.run for p in programs.values()], seconds=seconds, stop=stop, clock=clock)
    times = {key: statistics.median(s) for key, s in zip(programs, samples, strict=True) if s}
    return {
        "table": "cost",
        "backbone": backbone,
        "points": n,
        "batch": batch,
        "frame": name,
        "poses": poses,
        "mode": mode,
        "seconds": times,
        "megabytes": {key: p.temporary_bytes / 1e6 for key, p in programs.items()},
    }


def energy(x):
    """Any function of four or more points, without symmetry."""
    return jnp.sum(jnp.sin(x @ WEIGHTS.astype(x.dtype)), axis=0) @ jnp.array([1.0, 2.0, 3.0], x.dtype)


def averages(frame, group):
    """The averaged energy of a batch of points."""
    return jax.jit(jax.vmap(ej.frame_average(energy, ej.Symmetry(group, reps.Position(), None), frame)))


def errors(frame, group, count=64):
    """The largest difference of turned copies of six points, over the largest of their plain values, for each gap."""
    rng = np.random.default_rng(1)
    shape = rng.normal(size=(6, 3))
    shape = np.linalg.qr(shape - shape.mean(axis=0))[0]
    turns = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    turns = turns * np.linalg.det(turns)[:, None, None]
    found, run = [], averages(frame, group)
    for gap in GAPS:
        spread = shape * np.sqrt([1, 2 * (1 - gap), 2])  # eigenvalues of the covariance
        copies = jnp.asarray(spread @ turns, jnp.float32)
        found.append(float(np.ptp(run(copies)) / np.abs(jax.vmap(energy)(copies)).max()))
    return found


def path(frame, group, count):
    """Values at a regular tetrahedron that is moved along a straight line, which it passes in the middle."""
    along = np.linspace(-0.3, 0.3, count)
    direction = np.random.default_rng(2).normal(size=TETRAHEDRON.shape)
    points = TETRAHEDRON + along[:, None, None] * direction
    values = np.asarray(averages(frame, group)(jnp.asarray(points, jnp.float32)))
    return {"along": along.tolist(), "values": values.tolist(), "step": float(np.abs(np.diff(values)).max())}


if __name__ == "__main__":
    main()

"""Do soft objectives find out which symmetries the data have, and does a network with them learn better from few data?

Two tasks whose truth commutes with turns about z only; turns about x, y and z are the candidates, and none is known to
hold. "linear" fits a 3 x 3 matrix. "inertia" fits the tensor of inertia of five masses in an anisotropic medium,
Σ m (‖x‖² I − x xᵀ) + anisotropy · Σ m z² ẑ ẑᵀ, by a network of dense layers with gates, from few examples. Penalties
are those of Kim et al. 2023 (arXiv:2306.00356). "digits" asks which turns of an image a digit bears: the multiplier of
augmentation as a constraint says whether they come for free (Hounie et al. 2023, arXiv:2209.15031). Results that are in
the file already are not repeated.
"""

import argparse
import functools
import statistics
import time

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import harness
from equijax import groups, nn, objectives, reps, training

TURNS = tuple(groups.Axial(groups.SO(2), axis) for axis in range(3))
METHODS = {  # strength of the penalties, whether they are tuned, whether there are products between the layers
    "no penalty": (0.0, False, True),
    "equal penalties": (0.3, False, True),
    "tuned penalties": (0.3, True, True),
    "tuned penalties, weak": (0.03, True, True),
    "tuned penalties, no products": (0.3, True, False),
    "equivariant network": (0.0, False, True),
}
TURNED = {"±15°": (15, 0.5), "±180°": (180, 0.5), "±180°, no bound": (180, np.inf)}  # degrees, bound on the loss
BINS = 6  # of the angles, by size
TASKS = {  # the last one of each for a smoke run
    "linear": ("no penalty", "equal penalties", "tuned penalties"),
    "inertia": tuple(METHODS),
    "digits": tuple(TURNED),
}
MASSES, ANISOTROPY = 5, 1.0
S, V, VV = reps.Scalar(), reps.Vector(), reps.Tensor(2)
INPUT, HIDDEN = reps.Sum(*[S] * MASSES, *[V] * MASSES), reps.Sum(*[S] * 24, *[V] * 8, *[VV] * 4)
GATED = reps.Sum(HIDDEN, *[S] * 12)  # a gate for each vector and tensor
RANK = 5
LAYERS = {
    "params/Dense_0": objectives.LayerSymmetry(INPUT, GATED),
    "params/Dense_1": objectives.LayerSymmetry(HIDDEN, GATED),
    "params/Dense_2": objectives.LayerSymmetry(HIDDEN, VV),
}


class Dense(linen.Module):
    """Dense layers, between them gates and products that commute with every rotation.

    Only the weights of the dense layers can break a symmetry, and none has to: without the products a network whose
    weights commute could not make a tensor of a vector.
    """

    products: bool = True

    @linen.compact
    def __call__(self, x):
        for _ in range(2):
            x = linen.Dense(GATED.dim_of(TURNS[2]))(x)
            x = nn.gated(groups.SO(3), HIDDEN, x)
            if self.products:
                x = (x + nn.EquivariantBilinear(groups.SO(3), HIDDEN, HIDDEN, rank=RANK)(x)) / 2**0.5
        return linen.Dense(9)(x)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    harness.add_arguments(parser)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    args = parser.parse_args()
    harness.set_platform(args)
    if args.small:
        args.steps, args.examples, args.seeds = 6, 50, 1
    for task in args.tasks:
        for method in TASKS[task][-1:] if args.small else TASKS[task]:
            case = {"task": task, "method": method, "steps": args.steps, "seeds": args.seeds}
            case |= {} if task == "digits" else {"examples": args.examples}
            if harness.holds(args.json, **case):
                print(f"{task}, {method}: is in {args.json} already, and is not repeated.")
                continue
            begin = time.perf_counter()
            measure = classify if task == "digits" else functools.partial(train, task)
            runs = [measure(method, seed, args.steps, args.examples) for seed in range(args.seeds)]
            errors = [run["error"] for run in runs]
            result = {
                "benchmark": "soft_symmetry",
                **case,
                "error": statistics.mean(errors),
                "spread": max(errors) - min(errors),
                **{name: np.mean([run[name] for run in runs], axis=0).tolist() for name in runs[0] if name != "error"},
                "seconds": (time.perf_counter() - begin) / args.seeds,
                **harness.environment(),
            }
            shown = {name: np.round(result[name], 6).tolist() for name in runs[0]}
            print(f"{task}, {method}: {shown}; {result['seconds']:.0f} s")
            harness.append(args.json, result)


def data(task, key, count):
    """(inputs, outputs) of a task."""
    if task == "linear":
        x = jax.random.normal(key, (count, 3))
        w = jax.random.normal(jax.random.key(99), (3, 3))
        return x, x @ reps.project(TURNS[2], V, V, w).T
    key_mass, key_place = jax.random.split(key)
    masses = jax.random.uniform(key_mass, (count, MASSES), minval=0.5, maxval=1.5)
    x = jax.random.normal(key_place, (count, MASSES, 3)) / MASSES**0.5
    squares = jnp.einsum("nk,nki,nkj->nij", masses, x, x)
    eye, z = jnp.eye(3), jnp.diag(jnp.array([0.0, 0.0, 1.0]))
    tensor = jnp.trace(squares, axis1=1, axis2=2)[:, None, None] * eye - squares
    tensor = tensor + ANISOTROPY * squares[:, 2:, 2:] * z
    return jnp.concatenate([masses, x.reshape(count, -1)], axis=1), tensor.reshape(count, 9)


def model_of(task, method):
    """(model, how the groups act on its dense layers)."""
    if method == "equivariant network":
        return nn.EquivariantMLP(TURNS[2], INPUT, VV, (HIDDEN,) * 2, rank=RANK), {}
    if task == "linear":
        return linen.Dense(3, use_bias=False), {"params": objectives.LayerSymmetry(V, V)}
    return Dense(METHODS[method][2]), LAYERS


def train(task, method, seed, steps, examples):
    """Relative error on new data, root mean square, and the strengths of the penalties at the end."""
    strength, tuned, _ = METHODS[method]
    model, layers = model_of(task, method)
    key_data, key_init = jax.random.split(jax.random.key(seed))
    x, y = data(task, key_data, examples)
    test_x, test_y = data(task, jax.random.key(1000 + seed), 4000)
    center, scale = (jnp.mean(y, axis=0), jnp.std(y)) if task == "inertia" else (0.0, 1.0)
    if task == "inertia":
        center = reps.project(TURNS[2], S, VV, center[:, None])[:, 0]  # keeps the true symmetry
    penalties = functools.partial(objectives.projection_penalties, TURNS, layers)
    rate = 2e-2 if method == "equivariant network" else 3e-3  # its parameters are standard normal numbers at first
    optimizer = optax.adam(optax.cosine_decay_schedule(rate, steps))

    def relative(params, x, y):
        """Mean of squares of the error, relative to the outputs."""
        return jnp.mean(jnp.sum((model.apply(params, x) * scale + center - y) ** 2, axis=1)) / jnp.mean(y**2)

    def loss(params, batch, *, carry):
        value, strengths = relative(params, *batch), carry
        if strength:
            resisted = penalties(params)
            value += strengths.values @ resisted
            if tuned:
                strengths = objectives.tune(strengths, resisted, start=steps // 10, at=max(steps // 3, 1))
        return value, {}, strengths

    found = training.fit(
        loss, jax.jit(model.init)(key_init, x), [(x, y)], optimizer=optimizer, steps=steps,
        carry=objectives.equal_strengths(3, strength), progress=False,
    )  # fmt: skip
    error = jax.jit(relative)(harness.completed(found).params, test_x, test_y)
    return {"error": float(jnp.sqrt(error / y.shape[1])), "strengths": np.asarray(found.state.carry.values)}


def classify(method, seed, steps, examples):
    """Digits of 8 x 8 pixels, turned within a window of angles; none is turned in the test.

    Losses, acceptance and the sizes of accepted angles are averages over the last few hundred steps.
    """
    degrees, bound = TURNED[method]
    window = np.deg2rad(degrees)
    digits = load_digits()
    images, labels = (digits.images[..., None] / 16 - 0.3).astype(np.float32), digits.target
    order = np.random.default_rng(seed).permutation(len(labels))
    train, test = order[:1200], order[1200:]

    def turn(angle, sample):
        c, s = jnp.cos(angle), jnp.sin(angle)
        return reps.Image().act(jnp.stack([jnp.stack([c, -s]), jnp.stack([s, c])]), sample[0]), sample[1]

    turns = objectives.Transformations(
        draw=lambda key, shape: jax.random.uniform(key, shape, minval=-window, maxval=window),
        move=turn,
        kind=lambda angle: jnp.clip((jnp.abs(angle) / window * BINS).astype(int), 0, BINS - 1),
        kinds=BINS,
    )
    model = nn.MLP((128, 128, 10))

    def losses(params, batch):
        logits = model.apply(params, batch[0].reshape(len(batch[0]), -1))
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch[1])

    def loss(params, batch, *, key, carry):
        multiplier, kept, highest = carry
        value, terms = objectives.invariance_constrained(losses, params, batch, turns, multiplier, key=key)
        multiplier = objectives.dual_step(multiplier, terms["augmented"], bound, rate=5e-3)
        kept = jax.tree.map(lambda a, b: 0.995 * a + 0.005 * b, kept, terms)
        return value, {}, (multiplier, kept, jnp.maximum(highest, multiplier))

    zero = jnp.zeros(())
    kept = {"clean": zero, "augmented": zero, "multiplier": zero, "acceptance": zero, "histogram": jnp.zeros(BINS)}
    found = training.fit(
        loss, model.init(jax.random.key(seed), images[:1].reshape(1, -1)),
        training.shuffled((images[train], labels[train]), 128, seed), optimizer=optax.adam(1e-3), steps=steps,
        key=jax.random.key(seed), carry=(zero, kept, zero), progress=False,
    )  # fmt: skip
    logits = model.apply(harness.completed(found).params, images[test].reshape(len(test), -1))
    multiplier, kept, highest = found.state.carry
    kept = jax.tree.map(lambda x: np.asarray(x) / (1 - 0.995**steps), kept)  # averages that began at zero
    return {
        "error": float(jnp.mean(jnp.argmax(logits, axis=1) != labels[test])),
        **kept,
        "multiplier": float(multiplier),
        "highest": float(highest),
    }


if __name__ == "__main__":
    main()

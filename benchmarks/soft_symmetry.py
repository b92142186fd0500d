"""Do penalties find out which symmetries the data have, and does a network with them learn better from few data?

Two tasks whose truth commutes with turns about z only; turns about x, y and z are the candidates, and none is known to
hold. "linear" fits a 3 x 3 matrix. "inertia" fits the tensor of inertia of five masses in an anisotropic medium,
Σ m (‖x‖² I − x xᵀ) + anisotropy · Σ m z² ẑ ẑᵀ, by a network of dense layers with gates, from few examples. Penalties
are those of Kim et al. 2023 (arXiv:2306.00356).
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

from equijax import groups, nn, objectives, reps, training
from harness import add_arguments, append, completed, environment, set_platform

AXES = ("x", "y", "z")
TURNS = tuple(groups.Axial(groups.SO(2), axis) for axis in range(3))
METHODS = {  # strength of the penalties, whether they are tuned
    "no penalty": (0.0, False),
    "equal penalties": (0.3, False),
    "tuned penalties": (0.3, True),
    "equivariant network": (0.0, False),
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

    @linen.compact
    def __call__(self, x):
        for _ in range(2):
            x = linen.Dense(GATED.dim_of(TURNS[2]))(x)
            x = nn.gated(groups.SO(3), HIDDEN, x)
            x = (x + nn.EquivariantBilinear(groups.SO(3), HIDDEN, HIDDEN, rank=RANK)(x)) / 2**0.5
        return linen.Dense(9)(x)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--examples", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    set_platform(args)
    steps, seeds = (30, 1) if args.small else (args.steps, args.seeds)
    for task in ("linear", "inertia"):
        for method in METHODS:
            if task == "linear" and method == "equivariant network":
                continue
            begin = time.perf_counter()
            runs = [train(task, method, seed, steps, args.examples) for seed in range(seeds)]
            errors, strengths = zip(*runs, strict=True)
            result = {
                "benchmark": "soft_symmetry",
                "task": task,
                "method": method,
                "steps": steps,
                "examples": args.examples,
                "seeds": seeds,
                "error": statistics.mean(errors),
                "spread": max(errors) - min(errors),
                "strengths": np.mean(strengths, axis=0).tolist(),
                "seconds": (time.perf_counter() - begin) / seeds,
                **environment(),
            }
            kept = ", ".join(f"{axis} {value:.1e}" for axis, value in zip(AXES, result["strengths"], strict=True))
            print(f"{task:8} {method:20} error {result['error']:.1e}; strengths {kept}; {result['seconds']:.0f} s")
            append(args.json, result)


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
    return Dense(), LAYERS


def train(task, method, seed, steps, examples):
    """Relative error on new data, root mean square, and the strengths at the end."""
    strength, tuned = METHODS[method]
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
                strengths = objectives.tune(strengths, resisted, start=steps // 10, at=steps // 3)
        return value, {}, strengths

    found = training.fit(
        loss, jax.jit(model.init)(key_init, x), [(x, y)], optimizer=optimizer, steps=steps,
        carry=objectives.equal_strengths(3, strength), progress=False,
    )  # fmt: skip
    error = jax.jit(relative)(completed(found).params, test_x, test_y)
    return float(jnp.sqrt(error / y.shape[1])), np.asarray(found.state.carry.values)


if __name__ == "__main__":
    main()

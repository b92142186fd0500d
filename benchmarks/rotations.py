"""Which numbers should a network give for a rotation? The same network learns to align two point clouds by each map.

Input: four random points, and the same points rotated, with noise. Output: the parameters of a rotation; the loss is
‖R̂ − R‖². Continuous parameters (9D by singular values, 6D, 5D) are learned better than quaternions and rotation vectors
(Zhou et al. 2019, arXiv:1812.07035; Levinson et al. 2020, arXiv:2006.14616). "9d" is trained as a plain matrix and
projected for the test only.
"""

import argparse
import statistics
import time

import jax
import jax.numpy as jnp
import optax

from equijax import groups, rotations, training
from harness import add_arguments, append, completed, environment, set_platform

POINTS, NOISE = 4, 0.02


def matrix(x):
    return x.reshape(*x.shape[:-1], 3, 3)


def nearest(x):
    return rotations.from_svd(matrix(x))


MAPS = {  # parameters, map in training, map in the test
    "svd": (9, nearest, nearest),
    "9d": (9, matrix, nearest),
    "6d": (6, rotations.from_6d, rotations.from_6d),
    "5d": (5, rotations.from_5d, rotations.from_5d),
    "quaternion": (4, rotations.from_quaternion, rotations.from_quaternion),
    "axis-angle": (3, rotations.from_axis_angle, rotations.from_axis_angle),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--width", type=int, default=128)
    args = parser.parse_args()
    set_platform(args)
    steps, seeds = (20, 1) if args.small else (args.steps, args.seeds)
    for name in MAPS:
        begin = time.perf_counter()
        found = [train(name, seed, steps, args.width) for seed in range(seeds)]
        means, tails = zip(*found, strict=True)
        result = {
            "benchmark": "rotations",
            "map": name,
            "steps": steps,
            "seeds": seeds,
            "width": args.width,
            "mean_degrees": statistics.mean(means),
            "spread": max(means) - min(means),
            "percentile_99_degrees": statistics.mean(tails),
            "seconds": (time.perf_counter() - begin) / seeds,
            **environment(),
        }
        print(
            f"{name:10} mean {result['mean_degrees']:6.2f} ± {result['spread'] / 2:.2f} degrees, "
            f"99 of 100 below {result['percentile_99_degrees']:6.1f}; {result['seconds']:.0f} s a seed"
        )
        append(args.json, result)


def train(name, seed, steps, width, batch=256):
    """Mean and 99th percentile of the angles of error, in degrees, after training."""
    size, in_training, in_test = MAPS[name]
    key = jax.random.key(seed)
    sizes = [6 * POINTS, width, width, width, size]
    keys = jax.random.split(key, len(sizes))
    shapes = zip(keys[1:], sizes[:-1], sizes[1:], strict=True)
    weights = [(jax.random.normal(k, (m, n)) * (2 / m) ** 0.5, jnp.zeros(n)) for k, m, n in shapes]
    optimizer = optax.adam(optax.cosine_decay_schedule(2e-3, steps))

    def network(weights, x):
        for w, b in weights[:-1]:
            x = jax.nn.leaky_relu(x @ w + b)
        return x @ weights[-1][0] + weights[-1][1]

    def loss(weights, _, *, key):
        x, r = clouds(key, batch)
        return jnp.mean(jnp.sum((in_training(network(weights, x)) - r) ** 2, axis=(-2, -1)))

    @jax.jit
    def test(weights, key):
        x, r = clouds(key, 10_000)
        angle = jnp.degrees(rotations.angle(in_test(network(weights, x)), r))
        return jnp.mean(angle), jnp.percentile(angle, 99)

    drawn = [()]  # all that a batch has is drawn by the loss
    found = training.fit(loss, weights, drawn, optimizer=optimizer, steps=steps, key=keys[0], progress=False)
    return tuple(map(float, test(completed(found).params, jax.random.key(12345))))


def clouds(key, batch):
    """(points and rotated points, flattened; rotations)."""
    key_r, key_x, key_noise = jax.random.split(key, 3)
    r = groups.SO(3).from_cube(jax.random.uniform(key_r, (batch, 3)))[0]
    x = jax.random.normal(key_x, (batch, POINTS, 3))
    y = x @ jnp.swapaxes(r, 1, 2) + NOISE * jax.random.normal(key_noise, x.shape)
    return jnp.concatenate([x, y], axis=1).reshape(batch, -1), r


if __name__ == "__main__":
    main()

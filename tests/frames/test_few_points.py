"""Every frame at few points and at common molecules: exact, or flagged; in float32, where rounding decides ties."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import frames, reps
from equijax.groups import SE, SO, E, O

RNG = np.random.default_rng(7)
RING = np.stack([np.cos(np.arange(6) * np.pi / 3), np.sin(np.arange(6) * np.pi / 3), np.zeros(6)], axis=1)
GENERIC = {f"{n} points": RNG.normal(size=(n, 3)) * [1, 1.5, 2.2] for n in range(1, 7)}
MOLECULES = {
    "CO2": np.array([[0, 0, 0], [0, 0, 1.16], [0, 0, -1.16]]),
    "BF3": np.concatenate([np.zeros((1, 3)), 1.31 * RING[::2]]),
    "water": np.array([[0, 0, 0.117], [0, 0.757, -0.471], [0, -0.757, -0.471]]),
    "ammonia": np.concatenate([[[0, 0, 0.12]], 0.94 * RING[::2] + [0, 0, -0.27]]),
    "methane": np.concatenate([np.zeros((1, 3)), 0.629 * np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])]),
    "benzene": np.concatenate([1.39 * RING, 2.48 * RING]),
}
POINTS = GENERIC | MOLECULES
ROWS = 12
SHAPES = jnp.asarray(RNG.normal(size=(3, 5)), jnp.float32)


def network(x, marks):
    """An invariant and vectors that depend on everything, also on the order of the points."""
    h = jnp.tanh((x @ SHAPES / 2 + 1) * marks[:, None])
    return jnp.sum(jnp.sin(jnp.sum(h, axis=0))), jnp.sum(h, axis=0) @ SHAPES.T


@functools.partial(jax.jit, static_argnums=(0, 1))
def errors(frame, group, x, mask, g):
    """How far invariants, vectors and gradients at g x are from those at x, and whether it is flagged."""
    marks = jnp.where(mask, 1 + jnp.arange(ROWS) / ROWS, 0)
    symmetry = ej.Symmetry(group, reps.Position(), (None, reps.Vector()))
    f = ej.frame_average(lambda x: network(x, marks), symmetry, frame, mask=lambda x: mask, return_info=True)

    def all_of(x):
        (energy, ((_, vectors), info)), force = jax.value_and_grad(lambda x: (f(x)[0][0], f(x)), has_aux=True)(x)
        return energy, vectors, force, info.degenerate

    moved = jax.vmap(lambda g: reps.Position().act(g, x))(g)
    energy, vectors, force, flag = all_of(x)
    energies, turned, forces, flags = jax.vmap(all_of)(moved)
    image = jax.vmap(lambda g: reps.Vector().act(g, vectors))(g)
    pulled = jax.vmap(lambda g, y: jax.vjp(lambda x: reps.Position().act(g, x), x)[1](y)[0])(g, forces)
    worst = [jnp.max(jnp.abs(a - b)) for a, b in ((energies, energy), (turned, image), (pulled, force))]
    return jnp.stack(worst), flag | jnp.any(flags)


def pad(x):
    return jnp.asarray(np.pad(x, ((0, ROWS - len(x)), (0, 0))), jnp.float32), jnp.arange(ROWS) < len(x)


# frame, group, whether invariants are exact even where it is flagged, the fewest generic points that are not flagged
CASES = [
    (frames.pivoted, SE(3), True, 3),
    (frames.pivoted, E(3), True, 4),
    (frames.pivoted, SO(3), True, 2),
    (frames.pivoted, O(3), True, 3),
    (frames.qr, E(3), True, 4),
    (frames.pca, SE(3), False, 1),
    (frames.weighted_pairs, SE(3), True, 3),
]


@pytest.mark.parametrize(("frame", "group", "invariant", "least"), CASES, ids=lambda x: getattr(x, "__name__", str(x)))
def test_exact_or_flagged(frame, group, invariant, least):
    g = group.sample(jax.random.key(3), (4,))
    for name, x in POINTS.items():
        (energy, vectors, gradient), flagged = errors(frame, group, *pad(x), g)
        if invariant or not flagged:
            assert energy < 1e-5, name
        if not flagged:
            assert max(vectors, gradient) < 1e-4, name
        if name in GENERIC:
            assert flagged == (len(x) < least), name

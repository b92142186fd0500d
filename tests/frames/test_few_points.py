"""Every frame at few points and at common molecules: exact, or flagged; in float32, where rounding decides ties."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import frames, reps
from equijax.groups import (
    SE,
    SO,
    Affine,
    Axial,
    E,
    Lorentz,
    O,
    Permutation,
    Product,
    Semidirect,
    Similarity,
    Translation,
)

SLAB = Semidirect(Translation(3), Axial(SO(2)))  # turns about the last axis, and shifts
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
MARKS = jnp.asarray(1 + np.arange(ROWS) / ROWS, jnp.float32)
WEIGHTS = jnp.asarray(RNG.normal(size=(4, 5)), jnp.float32)
IN_PLACE = reps.Permutation(-2), reps.Permutation(-1), None
CLOUDS = Product(SE(3), Permutation(ROWS))
WITH_ORDER = (
    reps.Product(reps.Position(), reps.Permutation(-2)),
    reps.Product(None, reps.Permutation(-1)),
    reps.Product(reps.Vector(), None),
)


def network(x, real):
    """An invariant and a vector that depend on everything, also on the order of the points."""
    h = jnp.tanh((x @ WEIGHTS[: x.shape[-1]] / 2 + 1) * (MARKS * real)[:, None])
    return jnp.sum(jnp.sin(jnp.sum(h, axis=0))), jnp.sum(h, axis=0) @ WEIGHTS[: x.shape[-1]].T


@functools.partial(jax.jit, static_argnums=(0, 1))
def errors(frame, group, x, real, g):
    """How far invariants, vectors and gradients at g x are from those at x, where it is flagged, and the largest."""
    kinds = {Permutation(ROWS): IN_PLACE, CLOUDS: WITH_ORDER}.get(group, (reps.Position(), None, reps.Vector()))
    symmetry = ej.Symmetry(group, kinds[:2], (None, kinds[2]))
    f = ej.frame_average(network, symmetry, frame, frame_input=0, mask=lambda x, real: real > 0, return_info=True)

    def move(g, x):
        return symmetry.act_inputs(g, (x, real))

    def at(g):
        def energy(x):
            ((energy, vector), info) = f(x, move(g, x)[1])
            return energy, (energy, vector, info.degenerate)

        moved, back = jax.vjp(lambda x: move(g, x)[0], x)
        force, found = jax.grad(energy, has_aux=True)(moved)
        return *found, back(force)[0]

    elements = jax.tree.map(lambda one, some: jnp.concatenate([one[None], some]), group.identity(), g)
    energies, vectors, flags, forces = jax.vmap(at)(elements)
    turned = jax.vmap(lambda g: symmetry.act_outputs(g, (energies[0], vectors[0]))[1])(elements)
    worst = [jnp.max(jnp.abs(a - b)) for a, b in ((energies, energies[0]), (vectors, turned), (forces, forces[0]))]
    return jnp.stack(worst), jnp.any(flags)


def points_for(group, x):
    """The points padded to ROWS, in the dimension of the group; momenta of mass 1 for Lorentz."""
    planar = group in (SE(2), O(2))
    x = x[:, :2] if planar else np.insert(x, 0, np.sqrt(1 + np.sum(x**2, axis=1)), axis=1) if group == Lorentz() else x
    real = np.arange(ROWS) < len(x)
    return jnp.asarray(np.pad(x, ((0, ROWS - len(x)), (0, 0))), jnp.float32), jnp.asarray(real, jnp.float32)


# frame, group, whether invariants are exact even where it is flagged, the fewest generic points that are not flagged
CASES = [
    (frames.pivoted, SE(3), True, 3),
    (frames.pivoted, E(3), True, 4),
    (frames.pivoted, SO(3), True, 2),
    (frames.pivoted, O(3), True, 3),
    (frames.pivoted, SE(2), True, 3),
    (frames.pivoted, Similarity(3), True, 3),
    (frames.pivoted, SLAB, True, 3),
    (frames.qr, E(3), True, 4),
    (frames.pca, SE(3), False, 1),
    (frames.pca, O(2), False, 1),
    (frames.weighted_pairs, SE(3), True, 3),
    (frames.lorentz, Lorentz(), False, 1),
    (frames.whitened, Affine(3), False, 4),
    (frames.sorting, Permutation(ROWS), True, 1),
    (frames.product(frames.pivoted, frames.sorting), CLOUDS, False, 3),
]


@pytest.mark.parametrize(("frame", "group", "invariant", "least"), CASES, ids=lambda x: getattr(x, "__name__", str(x)))
def test_exact_or_flagged(frame, group, invariant, least):
    g = group.sample(jax.random.key(3), (4,))
    if group in (Lorentz(), Affine(3)):  # slow boosts and mild maps: float32 loses digits at others
        g = group.exp(0.3 * jax.random.normal(jax.random.key(3), (4, group.dim)))
    for name, x in POINTS.items():
        (energy, vectors, gradient), flagged = errors(frame, group, *points_for(group, x), g)
        if invariant or not flagged:
            assert energy < 1e-5, name
        if not flagged:
            assert max(vectors, gradient) < 1e-4, name
        if name in GENERIC:
            assert flagged == (len(x) < least), name

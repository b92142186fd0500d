"""Over a thousand random exact functions none is called other than exact, over a thousand broken ones none is exact.

Each structure is one jitted function with its parameters as arguments, so that it compiles once and its many variants
are free. The last parameter is the size of a violation in one component of the output.
"""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, reps
from equijax.checks import check

TRIALS = 170  # for each of the six structures, exact and broken


def polynomial(w, x, violation):
    """Rotations of one to three vectors: Σ_i (a_i + b_i x_i·s) x_i + c x_0 × x_1, with s the sum of all."""
    s = jnp.sum(x, axis=0)
    y = jnp.tanh(w[:3, :1] + w[3:6, :1] * (x @ s)[:, None]) * x + w[6, 0] * jnp.cross(x, jnp.roll(x, 1, axis=0))
    return y + violation


def pairwise(w, x, violation):
    """Rigid motions: an energy and its forces, from the distances of three points."""

    def energy(x):
        r = x[:, None] - x[None]
        d = jnp.sum(r**2, axis=-1)
        return jnp.sum(w[:3, :1] * jnp.exp(-d) + w[3:6, :1] * d) + w[6, 0] * jnp.prod(d + 1)

    e, f = jax.value_and_grad(energy)(x)
    return {"energy": e, "forces": -f + violation}


def sets(w, x, violation):
    """Permutations: a layer of DeepSets, with a maximum and a mean."""
    pooled = jnp.max(x, axis=0) * w[0, 0] + jnp.mean(x**2, axis=0) * w[1, 0]
    return jnp.tanh(x * w[2]) + pooled * w[3] + violation


def convolution(w, x, violation):
    """Shifts of a ring: a circular convolution, with a nonlinearity."""
    y = sum(w[i, 0] * jnp.roll(x, i, axis=0) for i in range(7))
    return jax.nn.softplus(y) + violation


def turns(w, x, violation):
    """Quarter turns and flips of the plane: odd powers, entry by entry; rounding is often none at all."""
    return w[0, 0] * x**3 + w[1, 0] * x / (1 + x**2) + w[2, 0] * x * jnp.sum(jnp.abs(x)) + violation


VECTORS, PERMUTED = reps.Vector(), reps.Permutation(-2)
STRUCTURES = {
    "one vector": (polynomial, groups.SO(3), VECTORS, VECTORS, (1, 3)),
    "three vectors": (polynomial, groups.SO(3), VECTORS, VECTORS, (3, 3)),
    "rigid motions": (pairwise, groups.E(3), reps.Position(), {"energy": None, "forces": VECTORS}, (3, 3)),
    "permutations": (sets, groups.Permutation(3), PERMUTED, PERMUTED, (3, 3)),
    "shifts": (convolution, groups.Shift(7), reps.Shift(-2), reps.Shift(-2), (7, 3)),
    "turns": (turns, groups.Dihedral(4), VECTORS, VECTORS, (2, 2)),
}


def verdicts(structure, size):
    """Verdicts of random functions; `size` draws the relative size of the violation."""
    f, group, inputs, outputs, shape = STRUCTURES[structure]
    f = jax.jit(f)
    symmetry = ej.Symmetry(group, (None, inputs, None), outputs)
    rng = np.random.default_rng(0)
    found = collections.Counter()
    for seed in range(TRIALS):
        w = rng.standard_normal((7, 3 if shape[1] == 3 else 2)).astype(np.float32)
        x = rng.standard_normal(shape)
        x = 10 ** rng.uniform(-2, 2) * x if seed % 3 else np.round(8 * x) / 8  # with coarse numbers, rounding is lucky
        x = x.astype(np.float32)
        violation = np.zeros(shape, np.float32)
        out = jax.tree.leaves(f(w, x, violation))[-1]
        violation[tuple(rng.integers(0, shape))] = size(rng) * np.abs(out).max() * rng.choice([-1, 1])
        report = check(f, symmetry, (w, x, violation), key=jax.random.key(seed), samples=4)
        found[report.verdict] += 1
        assert (report.verdict == "exact") == (not violation.any()), f"trial {seed}\n{report}"
    return found


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("structure", STRUCTURES)
def test_no_exact_function_is_called_anything_else(structure):
    assert verdicts(structure, lambda rng: 0.0) == {"exact": TRIALS}


@pytest.mark.usefixtures("untyped")
@pytest.mark.parametrize("structure", STRUCTURES)
def test_no_broken_function_is_called_exact(structure):
    found = verdicts(structure, lambda rng: 10 ** rng.uniform(-9, 0))
    assert set(found) == {"limited", "approximate", "broken"}

"""Verdicts on functions symmetric under volume-preserving, affine and Lorentz transformations, and on broken ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, reps

V, X = reps.Vector(), reps.Position()
POINTS = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
EVENTS = np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)
ETA = np.diag([1.0, -1, -1, -1])


def barycentric(x):
    """Coordinates of the last point in the frame of the first four: what affine maps leave alone."""
    frame = jnp.concatenate([x[:4].T, jnp.ones((1, 4), x.dtype)])
    return jnp.linalg.solve(frame, jnp.append(x[4], jnp.ones((), x.dtype)))


def masses(p):
    return jnp.einsum("ni,ij,mj->nm", p, ETA.astype(p.dtype), p)


CASES = [  # group, inputs, outputs, function, arguments, the parts that are broken
    (groups.SL(3), V, None, lambda x: jnp.linalg.det(x[:3]), POINTS, set()),
    (groups.SL(3), V, None, lambda x: jnp.sum(x[0] ** 2), POINTS, {"shear"}),
    (groups.GLPlus(3), V, V, lambda x: x[0] * x[1, 0] / x[2, 0], POINTS, {"rotation", "shear"}),
    (groups.GLPlus(3), V, None, lambda x: jnp.linalg.det(x[:3]), POINTS, {"scaling"}),
    (groups.Affine(3), X, None, barycentric, POINTS, set()),
    (groups.Affine(3), X, X, lambda x: x.mean(0), POINTS, set()),
    (groups.Affine(3), X, X, lambda x: x.max(0), POINTS, {"rotation", "shear"}),
    (groups.Affine(3), X, X, lambda x: x.sum(0), POINTS, {"translation"}),
    (groups.Lorentz(), V, None, masses, EVENTS, set()),
    (groups.Lorentz(), V, V, lambda p: p[0] * masses(p)[1, 2] + p[1], EVENTS, set()),
    (groups.Lorentz(), V, None, lambda p: jnp.sum(p**2, -1), EVENTS, {"boost"}),
]


@pytest.mark.parametrize(("group", "inputs", "outputs", "f", "x", "broken"), CASES)
def test_verdicts_blame_one_part_each(group, inputs, outputs, f, x, broken):
    report = ej.check(jax.jit(f), ej.Symmetry(group, inputs, outputs), (x,))
    assert report.verdict == ("broken" if broken else "exact"), str(report)
    assert {row.part for row in report.rows if row.verdict != "exact"} - {"all together"} == broken

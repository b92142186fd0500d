"""Measures of a batch that is spread over four devices are those of the whole batch."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation
from shards import assert_shards_agree

from equijax import groups, measures, reps
from equijax.symmetry import Symmetry

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 16, 4))
POSES = RNG.normal(size=(16, 2, 3, 3))
TURNS = Rotation.random(16, rng=RNG).as_matrix()


@functools.partial(jax.jit, static_argnums=5)
def values(w, x, y, p, r, axis):
    """What each measure says of samples x and y, pose matrices p and rotations r."""
    x, labels = jnp.tanh(x * w), (r[:, 0, 0] > 0).astype(int)
    probe = measures.ridge(x, y, penalty=0.1, axis_name=axis)
    return {
        "ridge": probe.kernel.sum() + probe.bias.sum(),
        "r2": sum(measures.r2_scores(x, y, axis_name=axis)[:4]),
        "pose": sum(measures.pose_score(p, p + w[0], r, axis_name=axis)[:2]),
        "retrieval": measures.retrieval(x, y, hits=(1, 2), axis_name=axis).mrr,
        "cka": measures.cka(x, y, axis_name=axis),
        "debiased": measures.cka(x, y, debiased=True, axis_name=axis),
        "rdm": jnp.mean(measures.rdm(x, axis_name=axis)),
        "environments": measures.environment_invariance(p[:, 0, :, :1], p[:, 1, 0], axis_name=axis).excess.sum(),
        "randomization": randomization(x, axis),
        "compatible": measures.compatibility_matrix(jnp.stack([x, y]), labels, axis_name=axis)[1, 0],
        "pre": measures.prediction_retrieval_error(x, y, r, r, axis_name=axis),
    }


def randomization(x, axis):
    symmetry = Symmetry(groups.Cyclic(2), reps.Vector(), None)
    found = measures.randomization_test(symmetry, (x[:, :2],), key=jax.random.key(0), samples=3, axis_name=axis)
    return found.statistic + found.null.sum()


def test_measures_are_of_the_rows_of_all_devices(x64):
    batches = X, Y, POSES, TURNS
    assert_shards_agree(values, jnp.ones(4), batches, gradient=False)
    part, whole = (values(jnp.ones(4), *(a[:rows] for a in batches), None) for rows in (4, 16))
    assert all(abs(part[name] - whole[name]) > 1e-3 for name in whole)  # of its own rows each says something else

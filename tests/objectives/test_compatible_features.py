"""New features beside old ones: the masked sum, samples without others, and devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shards import assert_shards_agree

from equijax import objectives

compatibility = jax.jit(objectives.compatibility, static_argnames="axis_name")
RNG = np.random.default_rng(0)
NEW, OLD, LABELS = *RNG.normal(size=(2, 4, 3)), jnp.array([0, 0, 1, 2])


def test_the_sum_is_over_samples_of_other_classes(x64):
    f, g = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (NEW, OLD))
    s = 10 * f @ g.T
    other = np.asarray(LABELS)[:, None] != np.asarray(LABELS)
    each = -np.diagonal(s) + [np.log(np.exp(row[kept]).sum()) for row, kept in zip(s, other, strict=True)]
    loss, terms = compatibility(NEW, OLD, LABELS)
    np.testing.assert_allclose(loss, each.mean(), rtol=1e-12)
    np.testing.assert_allclose(terms["positive"] + terms["negative"], loss, rtol=1e-12)
    np.testing.assert_allclose(compatibility(3 * NEW, 0.1 * OLD, LABELS)[0], loss, rtol=1e-12)  # of unit features
    # the trap: a factor of 0 leaves e⁰ = 1 in the sum for each sample of the same class
    multiplied = -np.diagonal(s) + np.log(np.exp(s * other).sum(1))
    assert multiplied.mean() - each.mean() > 1e-2


def test_samples_without_others_do_not_count(x64):
    alone = jnp.zeros(4, int)
    loss, terms = compatibility(NEW, OLD, alone)
    assert (loss, terms["alone"]) == (0, 1)
    slopes = jax.jit(jax.grad(lambda *args: compatibility(*args)[0], argnums=(0, 1)))
    np.testing.assert_array_equal(slopes(NEW, OLD, alone)[0], 0)
    new, old = slopes(NEW, OLD, LABELS)
    assert jnp.abs(new).max() > 1e-2
    np.testing.assert_array_equal(old, 0)  # old features are constants


def test_other_samples_are_those_of_all_devices(x64):
    new, old = RNG.normal(size=(2, 8, 3))
    loss = lambda w, new, old, y, axis: compatibility(new * w, old, y, axis_name=axis)  # noqa: E731
    labels = jnp.array([0, 0, 1, 1, 2, 2, 0, 1])
    assert_shards_agree(loss, jnp.ones(3), (new, old, labels))
    own = [compatibility(*(a[k : k + 2] for a in (new, old, labels)))[0] for k in (0, 2, 4, 6)]
    assert abs(np.mean(own) - compatibility(new, old, labels)[0]) > 0.1  # of their own rows they say something else


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: compatibility(NEW, OLD[:2], LABELS), ValueError, "old: expected the shape of new"),
        (lambda: compatibility(NEW, OLD, LABELS[:3]), ValueError, r"labels: expected shape \(4,\), one for each"),
        (lambda: compatibility(NEW, OLD, LABELS * 1.0), TypeError, "labels: expected integers, got float32"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()

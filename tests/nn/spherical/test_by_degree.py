"""Features with other channels at each degree: layers and products commute with O(3), and are those of one width."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, nn, products, reps
from equijax.nn.variance import gain

WIDTHS = (7, 3, 2)


def split(x, widths=WIDTHS):
    return {l: x[..., l * l : (l + 1) ** 2, :c] for l, c in enumerate(widths)}


def joined(x):
    """Side by side in one array, zeros where a degree has fewer channels."""
    width = max(a.shape[-1] for a in x.values())
    return jnp.concatenate([jnp.pad(a, ((0, 0), (0, 0), (0, width - a.shape[-1]))) for a in x.values()], axis=-2)


def test_exact_under_rotations_and_reflections():
    linear, norm = nn.LinearByDegree((9, 4, 3)), nn.NormalizationByDegree()
    x, y, w = (jax.random.normal(jax.random.key(k), shape) for k, shape in enumerate([(4, 9, 7), (4, 9, 1), (4, 41)]))
    wide, drawn = linear.init_with_output(jax.random.key(3), split(x))
    params = [drawn, norm.init(jax.random.key(3), wide)]
    params = jax.tree.map(lambda a: jax.random.normal(jax.random.key(4), a.shape), params)

    def layers(params, x, y, w):
        h = nn.gate_by_degree(norm.apply(params[1], linear.apply(params[0], split(x))))
        return joined(h), joined(products.clebsch_gordan_separate(split(x), y[..., 0], w, lmax=2))

    symmetry = ej.Symmetry(groups.O(3), (None, reps.Spherical(2), reps.Spherical(2), None), reps.Spherical(2))
    ej.check(layers, symmetry, (params, x, y, w), samples=3).assert_exact()


def test_one_width_is_the_clebsch_gordan_product():
    """With as many channels at each degree, paths that end in one degree can be added up, as `clebsch_gordan` does."""
    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((5, 9, 3), (5, 16, 1)))
    ways, ordered = products.separate_paths(range(3), 3, 2), products.paths(2, 3, 2)
    w = {way: rng.normal(size=(5, 3)).astype(np.float32) for way in ways}
    apart = products.clebsch_gordan_separate(
        split(x, (3, 3, 3)), y[..., 0], jnp.concatenate([w[way] for way in ways], axis=-1), lmax=2
    )
    summed = {l: a.reshape(*a.shape[:-1], -1, 3).sum(axis=-2) for l, a in apart.items()}
    together = products.clebsch_gordan(x, y, jnp.stack([w[way] for way in ordered], axis=-2), lmax=2)
    np.testing.assert_allclose(joined(summed), together, atol=1e-5)


def test_known_numbers():
    x = {0: jnp.array([[[3.0, 4.0, 1.0]]]), 1: jnp.array([[[1.0], [2.0], [2.0]]])}
    y, _ = nn.NormalizationByDegree().init_with_output(jax.random.key(0), x)  # (26 + 9/9)/2
    np.testing.assert_allclose(y[1][0, :, 0], np.array([1, 2, 2]) / 13.5**0.5, rtol=1e-6)
    y = nn.gate_by_degree(x)
    silu = lambda x: x / (1 + np.exp(-x)) * gain(jax.nn.silu)  # noqa: E731
    np.testing.assert_allclose(y[0][0, 0], silu(np.array([3.0, 4.0])), rtol=1e-6)
    np.testing.assert_allclose(y[1][0, :, 0], np.array([1, 2, 2]) * silu(1.0), rtol=1e-6)
    kinds = nn.LinearByDegree((2,), kinds=3)
    params = {"params": {"kernel_0": jnp.arange(18.0).reshape(3, 3, 2)}}
    y = kinds.apply(params, {0: jnp.tile(x[0], (2, 1, 1))}, jnp.array([2, 0]))
    np.testing.assert_allclose(y[0][:, 0] * 3**0.5, [[3 * 12 + 4 * 14 + 16, 3 * 13 + 4 * 15 + 17], [12, 20]], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.gate_by_degree({}), ValueError, "x: expected at least one degree"),
        (lambda: nn.gate_by_degree({1: jnp.ones((5, 4, 2))}), ValueError, r"x\[1\]: expected shape \(\.\.\., 3, chann"),
        (
            lambda: nn.gate_by_degree({0: jnp.ones((5, 1, 2)), 1: jnp.ones((4, 3, 2))}),
            ValueError,
            "x: expected the same leading axes",
        ),
        (
            lambda: nn.gate_by_degree({0: jnp.ones((5, 1, 2)), 1: jnp.ones((5, 3, 2))}),
            ValueError,
            "x: expected more scalars than the 2 channels they gate, got 2",
        ),
        (
            lambda: products.clebsch_gordan_separate({0: jnp.ones((5, 1, 2))}, jnp.ones(4), jnp.ones(3), lmax=1),
            ValueError,
            r"weights: expected shape \(\.\.\., 4\)",
        ),
        (
            lambda: nn.LinearByDegree((2,), kinds=2).init(jax.random.key(0), {0: jnp.ones((5, 1, 2))}),
            ValueError,
            "kind: expected one for each row",
        ),
    ],
)
def test_what_does_not_fit_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()

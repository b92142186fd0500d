"""The Clebsch-Gordan product: its paths, its weights, and how it relates to the Gaunt product and the bracket."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from equijax import products, spherical
from equijax.products import clebsch_gordan, paths, planner


@pytest.fixture(scope="module", params=["terms", "matrices"])
def method(request):
    """Sums over couplings, which low degrees take on a CPU, and the matrix products of all others."""
    if request.param == "terms":
        yield "terms"
        return
    with pytest.MonkeyPatch.context() as patch:
        always = ((np.inf, 0, "matrices", "matrices"),)
        patch.setattr(planner, "PATHS", dict.fromkeys(planner.PATHS, always))
        jax.clear_caches()
        yield "matrices"
    jax.clear_caches()


def features(lmax, seed=0, channels=2, rows=3):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(rows, (lmax + 1) ** 2, channels)))


def oracle(x, y, w, lmax, odd):
    l1, l2 = (round(a.shape[-2] ** 0.5) - 1 for a in (x, y))
    z = np.zeros((3, (lmax + 1) ** 2, 2))
    for p, (a, b, c) in enumerate(paths(l1, l2, lmax, odd=odd)):
        C = np.sqrt(2 * c + 1) * spherical.clebsch_gordan_coefficients(a, b, c)
        xa, yb = x[:, a * a : (a + 1) ** 2], y[:, b * b : (b + 1) ** 2]
        product = np.einsum("ijk,nic,njc->nkc", C, xa, yb)
        z[:, c * c : (c + 1) ** 2] += product * np.asarray(w)[..., p, None, :]
    return z


@pytest.mark.core
@pytest.mark.gpu
@pytest.mark.parametrize("odd", [False, True])
def test_weights_belong_to_paths_and_channels(x64, odd, method):
    shape = jax.ShapeDtypeStruct((3, 9, 2), jnp.float64)
    program = jax.jit(clebsch_gordan).lower(shape, shape).as_text()
    assert ("dot_general" in program) == (method == "matrices")
    for l1, l2, lmax in ((2, 2, 2), (2, 1, 3), (1, 2, 0)):
        x, y = features(l1), features(l2, seed=1)
        n = len(paths(l1, l2, lmax, odd=odd))
        w = np.random.default_rng(2).normal(size=(3, n, 2))
        for weights in (w[0, :, 0], w[0], w):  # a path, a path and channel, a row as well
            got = clebsch_gordan(x, y, weights, lmax=lmax, odd=odd)
            full = weights[:, None] if weights.ndim == 1 else weights
            np.testing.assert_allclose(got, oracle(x, y, full, lmax, odd), atol=1e-12)


def test_gaunt_and_bracket_are_clebsch_gordan_products_with_fixed_weights(x64):
    x, y = features(3), features(3, seed=1)
    for odd, f, table in (
        (False, products.gaunt, spherical.gaunt_coefficients),
        (True, products.bracket, spherical.bracket_coefficients),
    ):
        G = table(3, 3, 3)
        blocks = [
            G[a * a : (a + 1) ** 2, b * b : (b + 1) ** 2, c * c : (c + 1) ** 2] for a, b, c in paths(3, 3, odd=odd)
        ]
        weights = np.array([np.linalg.norm(block) / np.sqrt(block.shape[-1]) for block in blocks])
        np.testing.assert_allclose(clebsch_gordan(x, y, weights, odd=odd), f(x, y), atol=1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("odd", [False, True])
def test_derivatives_of_shared_factors(x64, odd, method):
    """By all three, forward and backward, against differences, twice; each shared by rows or channels in one case."""
    n = len(paths(1, 1, 2, odd=odd))
    x, y, w = features(1), features(1, seed=1), jnp.asarray(np.random.default_rng(2).normal(size=(3, n, 2)))
    f = jax.jit(lambda x, y, w: clebsch_gordan(x, y, w, lmax=2, odd=odd))
    check_grads(f, (x[:1], y[..., :1], w), 1, rtol=1e-5)
    check_grads(f, (x[..., :1], y[0], w[0, :, 0]), 1 if odd else 2, rtol=1e-5)


@pytest.mark.parametrize("axes", [(0, None, None), (None, 0, None), (None, None, 0), (0, 1, 0)])
def test_batches_of_each_argument(x64, axes, method):
    rng, shapes = np.random.default_rng(3), ((3, 9, 2), (3, 4, 2), (7, 2))
    args = [rng.normal(size=s if k is None else (*s[:k], 4, *s[k:])) for s, k in zip(shapes, axes, strict=True)]
    f = jax.grad(lambda *a: jnp.sum(jnp.sin(clebsch_gordan(*a))), argnums=(0, 1, 2))
    got = jax.vmap(f, axes)(*args)
    one = [f(*(a if k is None else np.take(a, i, k) for a, k in zip(args, axes, strict=True))) for i in range(4)]
    jax.tree.map(lambda a, *b: np.testing.assert_allclose(a, np.stack(b), atol=1e-12), got, *one)


def test_degrees_without_a_path_give_zeros(x64):
    x = features(2)
    z, pullback = jax.vjp(lambda x, y, w: clebsch_gordan(x, y, w, odd=True), x, x[:, :1], jnp.zeros((0, 2)))
    assert not z.any()
    assert [a.shape for a in pullback(z)] == [(3, 9, 2), (3, 1, 2), (0, 2)]


def test_paths_are_counted_and_ordered():
    assert paths(1, 1) == ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0))
    assert paths(1, 1, odd=True) == ((1, 1, 1),)
    assert [len(paths(l, l)) for l in (1, 2, 3, 4, 6, 8)] == [4, 11, 23, 42, 106, 215]
    assert [len(paths(l, l, odd=True)) for l in (1, 2, 3, 4, 6, 8)] == [1, 4, 11, 23, 69, 154]


def test_the_backward_pass_keeps_the_arguments_only(x64):
    x, y, w = features(2), features(2, seed=1), np.random.default_rng(2).normal(size=(11, 2))
    _, pullback = jax.vjp(clebsch_gordan, x, y, jnp.asarray(w))
    assert {a.shape for a in jax.tree.leaves(pullback)} <= {x.shape, y.shape, w.shape}


def test_bad_weights_are_named():
    x = features(2)
    with pytest.raises(ValueError, match=r"weights: expected shape \(11,\) or .*paths\(2, 2, 2, odd=False\), got"):
        clebsch_gordan(x, x, np.ones(10))
    with pytest.raises(ValueError, match="weights: expected 2 channels as in x, or 1"):
        clebsch_gordan(x, x, np.ones((11, 3)))
    with pytest.raises(ValueError, match="weights: expected 2 channels as in y, or 1"):
        clebsch_gordan(x[..., :1], x, np.ones((11, 3)))
    with pytest.raises(ValueError, match=r"weights: expected leading axes that fit \(3,\) of x, got \(5,\)"):
        clebsch_gordan(x[..., :1], x[0], np.ones((5, 11, 2)))
    with pytest.raises(TypeError, match="weights: expected real floating-point"):
        clebsch_gordan(x, x, np.ones(11, int))

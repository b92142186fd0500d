"""The identities of products of functions on the sphere, in float64, for all degrees up to 6 and some up to 20.

One structure (4 rows, degrees 6 x 6, 2 channels) serves most of them, so that it compiles once.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import products, spherical
from equijax.products import bracket, gaunt, planner, power

pytestmark = pytest.mark.usefixtures("x64")
L = 6
ROOT = np.sqrt(4 * np.pi)
full = functools.partial(gaunt, lmax=2 * L)
full_bracket = functools.partial(bracket, lmax=2 * L)


def features(lmax=L, seed=0, channels=2, rows=4):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(rows, (lmax + 1) ** 2, channels)))


def close(got, want, tolerance=1e-12):
    np.testing.assert_allclose(got, want, atol=tolerance * max(1, np.abs(want).max()), rtol=0)


@pytest.mark.core
@pytest.mark.gpu
def test_the_values_of_a_product_are_the_products_of_the_values():
    """The best end-to-end test: Y(r)·(x ⋆ y) = (Y(r)·x)(Y(r)·y) at random points, when nothing is cut off."""
    x, y = features(), features(seed=1)
    Y = np.asarray(spherical.harmonics(np.random.default_rng(2).normal(size=(9, 3)), 2 * L))
    close(Y @ full(x, y), (Y[:, :49] @ x) * (Y[:, :49] @ y))


@pytest.mark.gpu
@pytest.mark.parametrize("sizes", [(6, 6, 6), (3, 5, 4), (3, 1, 2), (2, 3, 0), (1, 2, 3)])
def test_all_methods_agree_with_the_table_of_couplings(sizes):
    l1, l2, lmax = sizes
    x, y = features(l1), features(l2, seed=1, channels=1, rows=1)[0]
    for f, table in ((gaunt, spherical.gaunt_coefficients), (bracket, spherical.bracket_coefficients)):
        want = np.einsum("nac,bc,abk->nkc", x, np.broadcast_to(y, (len(y), 2)), table(*sizes))
        for method in planner.available(sum(sizes)):
            close(f(x, y, lmax=lmax, method=method), want)


@pytest.mark.parametrize("method", planner.METHODS)
def test_gradients_of_a_factor_that_rows_and_channels_share(method):
    x, y, c = features(2), features(1, seed=1, channels=1, rows=1)[0], features(3, seed=2)
    for f, table in ((gaunt, spherical.gaunt_coefficients), (bracket, spherical.bracket_coefficients)):
        _, pullback = jax.vjp(functools.partial(f, lmax=3, method=method), x, y)
        by_x, by_y = pullback(c)
        close(by_x, np.einsum("nkc,b,abk->nac", c, y[:, 0], table(2, 1, 3)))
        close(by_y[:, 0], np.einsum("nkc,nac,abk->b", c, x, table(2, 1, 3)))


@pytest.mark.parametrize("method", planner.METHODS)
def test_gradients_of_a_factor_whose_degree_is_above_that_of_the_product(method):
    x, y, z = features(5), features(1, seed=1), features(1, seed=2)
    for f, table in ((gaunt, spherical.gaunt_coefficients), (bracket, spherical.bracket_coefficients)):
        got = jax.grad(lambda x, f=f: jnp.sum(z * f(x, y, lmax=1, method=method)))(x)
        close(got, np.einsum("ijk,rjc,rkc->ric", table(5, 1, 1), y, z))


@pytest.mark.parametrize("method", ["grid", "split", "separable"])
def test_degrees_up_to_20(method):
    x, y = features(12, channels=1, rows=1), features(8, seed=1, channels=1, rows=1)
    Y = np.asarray(spherical.harmonics(np.random.default_rng(2).normal(size=(9, 3)), 20))
    close(Y @ gaunt(x, y, lmax=20, method=method), (Y[:, :169] @ x) * (Y[:, :81] @ y))


def test_unit_inner_product_and_commutativity():
    x, y = features(), features(seed=1)
    unit = jnp.zeros_like(x).at[:, 0].set(ROOT)
    close(gaunt(x, unit), x)
    close(gaunt(x, y)[:, 0], np.sum(x * y, axis=1) / ROOT)
    close(gaunt(x, y), gaunt(y, x), 1e-14)


def test_associative_only_while_nothing_is_cut_off():
    x, y, z = (features(2, seed) for seed in range(3))
    f = functools.partial(gaunt, method="grid")
    close(f(f(x, y, lmax=4), z, lmax=6), f(x, f(y, z, lmax=4), lmax=6))
    assert np.abs(f(f(x, y), z) - f(x, f(y, z))).max() > 0.1


def test_bracket_is_antisymmetric_and_a_derivation_and_obeys_jacobi():
    x, y = features(), features(seed=1)
    close(bracket(x, y), -bracket(y, x))
    close(full_bracket(x, x), 0 * full_bracket(x, x), 1e-10)
    assert np.abs(full_bracket(x, y)[:, (2 * L) ** 2 :]).max() < 1e-10  # nothing of the top degree

    x, y, z = (features(2, seed) for seed in range(3))
    close(
        bracket(x, gaunt(y, z, lmax=4), lmax=6),
        gaunt(bracket(x, y, lmax=4), z, lmax=6) + gaunt(y, bracket(x, z, lmax=4), lmax=6),
    )
    cyclic = [bracket(a, bracket(b, c, lmax=4), lmax=6) for a, b, c in ((x, y, z), (y, z, x), (z, x, y))]
    close(sum(cyclic), 0 * cyclic[0], 1e-11)


def test_bracket_of_vectors_is_the_cross_product():
    x, y = features(1), features(1, seed=1)
    cross = np.cross(x[:, 1:], y[:, 1:], axis=1)
    close(bracket(x, y)[:, 1:], np.sqrt(3 / (4 * np.pi)) * cross)


def test_harmonics_of_one_direction_multiply_to_the_same_direction():
    """Y(r) ⋆ Y(r) is parallel to Y(r) in every degree, and {Y(r), w ⊙ Y(r)} = 0."""
    r = np.random.default_rng(0).normal(size=(4, 3))
    Y = jnp.repeat(spherical.harmonics(r, L)[..., None], 2, axis=-1)
    l = spherical.degree_of_coefficient(L)
    z = np.asarray(gaunt(Y, Y))
    for degree in range(L + 1):
        a, b = z[:, l == degree, 0], np.asarray(Y)[:, l == degree, 0]
        close(a * np.sum(b * b, -1, keepdims=True), b * np.sum(a * b, -1, keepdims=True))
        assert np.abs(a).max() > 0.01
    close(bracket(Y, Y * np.random.default_rng(1).normal(size=L + 1)[l][:, None]), 0 * Y, 1e-11)


@pytest.mark.gpu
def test_gradients_are_products_again():
    """∂/∂x ⟨c, x ⋆ y⟩ = y ⋆ c and ∂/∂x ⟨c, {x, y}⟩ = {y, c}."""
    x, y, c = (features(seed=seed) for seed in range(3))
    close(jax.vjp(gaunt, x, y)[1](c)[0], gaunt(y, c))
    close(jax.vjp(bracket, x, y)[1](c)[0], bracket(y, c))


@pytest.mark.core
@pytest.mark.gpu
@pytest.mark.parametrize("sign", [1, -1])
def test_equivariance_under_rotations_and_reflections(sign):
    """Of natural inputs the product is natural, the bracket pseudo: D(-R) acts on it as -D(-R)."""
    Q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    Q *= sign * np.sign(np.linalg.det(Q))
    D = np.asarray(spherical.wigner_matrix(Q, L))
    x, y = features(), features(seed=1)
    close(gaunt(D @ x, D @ y), D @ gaunt(x, y))
    close(bracket(D @ x, D @ y), sign * D @ bracket(x, y))
    x, y = x.astype(jnp.float32), y.astype(jnp.float32)
    for f, s in ((gaunt, 1), (bracket, sign)):
        want = s * D @ np.asarray(f(x, y), np.float64)
        turned = f((D @ x).astype(jnp.float32), (D @ y).astype(jnp.float32))
        assert np.abs(turned - want).max() < 2e-6 * np.abs(want).max()


@pytest.mark.gpu
def test_powers_are_exact_and_cutting_off_on_the_way_is_something_else():
    for l in (1, 2):
        x = features(l)
        chain = lambda x, lmax, l=l: gaunt(gaunt(x, x, lmax=lmax), x, lmax=3 * l)  # noqa: E731
        want, pullback = jax.vjp(functools.partial(chain, lmax=2 * l), x)
        for method in planner.available(6 * l):
            got, found = jax.vjp(functools.partial(power, order=3, lmax=3 * l, method=method), x)
            close(got, want)
            jax.tree.map(close, found(want), pullback(want))
    close(power(x, 3), chain(x, 4)[:, :9])
    close(power(x, 3, lmax=1, method="terms"), chain(x, 4)[:, :4])
    close(power(x, 2), gaunt(x, x))
    close(power(x, 1), x)
    assert np.abs(power(x, 3)[:, :9] - gaunt(gaunt(x, x), x)).max() > 0.1


def test_leading_axes_and_channels_broadcast():
    x, y = features(2), features(2, seed=1)
    want = gaunt(x, y)
    close(gaunt(x[:, None], y[None])[[0, 1, 2, 3], [0, 1, 2, 3]], want)
    close(gaunt(x[0], y), gaunt(jnp.broadcast_to(x[:1], x.shape), y))
    close(gaunt(x[..., :1], y)[..., 0], want[..., 0])
    close(jax.vmap(gaunt)(x, y), want)
    close(gaunt(np.asarray(x), np.asarray(y)), want)


@pytest.mark.parametrize("method", ["terms", "grid"])
def test_many_rows_in_chunks_are_the_same_as_few(monkeypatch, method):
    """Rows that a chunk does not divide, shared and broadcast features, values and gradients."""
    f = functools.partial(gaunt, method=method)
    x, y = features(3, rows=7), features(3, seed=1, rows=7)
    cases = [(x, y), (x, y[:1]), (x, y[..., :1]), (x[0], y)]
    run = lambda: jax.jit(lambda cases: [jax.vjp(f, *case)[1](jnp.ones((7, 16, 2))) for case in cases])(cases)  # noqa: E731
    loops = lambda *a: jax.jit(f).lower(*a).as_text().count("stablehlo.while")  # noqa: E731
    want = run()
    monkeypatch.setattr(planner, "CHUNK", 40)
    jax.clear_caches()
    assert loops(x, y) == 1
    assert loops(x[:3], y[:3]) == (method == "grid")  # two chunks
    jax.tree.map(close, run(), want)
    jax.clear_caches()


@pytest.mark.gpu
def test_dtypes_are_kept_and_half_precision_is_computed_in_float32():
    x, y = features(2), features(2, seed=1)
    want = np.asarray(gaunt(x, y))
    for dtype, tolerance in ((jnp.float32, 1e-6), (jnp.bfloat16, 1e-2)):
        low = [a.astype(dtype) for a in (x, y)]
        got = gaunt(*low)
        assert got.dtype == dtype
        exact = np.asarray(gaunt(*(a.astype(jnp.float64) for a in low)))
        assert np.abs(np.asarray(got, np.float64) - exact).max() < tolerance / 2 * np.abs(want).max()


@pytest.mark.parametrize("f", [gaunt, bracket, products.clebsch_gordan])
def test_bad_arguments_are_named(f):
    x = features(2)
    with pytest.raises(ValueError, match=r"x: expected a square number of coefficients.*, got 8 coefficients"):
        f(x[:, :8], x)
    with pytest.raises(ValueError, match=r"y: expected a square number of coefficients.*, got 5 coefficients"):
        f(x, x[:, :5])
    with pytest.raises(ValueError, match="y: expected 2 channels as in x, or 1, on the last axis, got 3"):
        f(x, features(2, channels=3))
    with pytest.raises(ValueError, match=r"y: expected leading axes that fit \(4,\) of x, got \(3,\)"):
        f(x, x[:3])
    with pytest.raises(ValueError, match=r"lmax: expected at most 4, the sum of the degrees 2 and 2 .* got 5"):
        f(x, x, lmax=5)
    with pytest.raises(ValueError, match="lmax: expected an integer of at least 0, got -1"):
        f(x, x, lmax=-1)
    with pytest.raises(TypeError, match="x: expected real floating-point numbers, got int32"):
        f(x.astype(jnp.int32), x)
    with pytest.raises(TypeError, match="y: expected real floating-point numbers, got complex128; pass its real"):
        f(x, x + 1j)
    if f is not products.clebsch_gordan:
        with pytest.raises(ValueError, match=r"method: expected one of 'auto', .* got 'gird'"):
            f(x, x, method="gird")
        with pytest.raises(ValueError, match=r"expected one of 'auto', 'separable', 'fft' for degrees that"):
            f(features(44, rows=1), features(44, rows=1), method="grid")


def test_bad_arguments_of_power_are_named():
    x = features(2)
    with pytest.raises(ValueError, match="order: expected an integer of at least 1, got 0"):
        power(x, 0)
    with pytest.raises(ValueError, match=r"lmax: expected at most 6, .* got 7"):
        power(x, 3, lmax=7)
    with pytest.raises(ValueError, match="method: expected one of"):
        power(x, 2, method="zonal")

"""Conversions to e3nn-jax and back, and products computed on either side."""

import e3nn_jax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import products, spherical
from equijax.interop.e3nn import from_irreps_array, to_irreps_array


def features(lmax, channels, seed=0, batch=(4,)):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(*batch, (lmax + 1) ** 2, channels)), jnp.float32)


@pytest.mark.parametrize("pseudo", [False, True])
def test_round_trip_is_exact_and_irreps_have_the_right_parities(pseudo):
    x = features(2, 3, batch=(2, 4))
    array = to_irreps_array(x, pseudo=pseudo)
    assert array.irreps == e3nn_jax.Irreps("3x0o+3x1e+3x2o" if pseudo else "3x0e+3x1o+3x2e")
    np.testing.assert_array_equal(from_irreps_array(array, pseudo=pseudo), x)
    shuffled = e3nn_jax.concatenate([array.filter(lambda i: i.ir.l == 1), array.filter(lambda i: i.ir.l != 1)])
    np.testing.assert_array_equal(from_irreps_array(shuffled, pseudo=pseudo), x)


def test_blocks_and_harmonics_are_those_of_e3nn():
    x = features(2, 3)
    for l, chunk in enumerate(to_irreps_array(x).chunks):
        np.testing.assert_array_equal(chunk, np.swapaxes(x[:, l * l : (l + 1) ** 2], -1, -2))
    v = jnp.asarray(np.random.default_rng(2).normal(size=(4, 3)), jnp.float32)
    Y = jax.jit(lambda v: e3nn_jax.spherical_harmonics("0e+1o+2e", v, True, "integral"))(v)
    np.testing.assert_allclose(from_irreps_array(Y)[..., 0], spherical.harmonics(v, 2), atol=1e-6)


@pytest.mark.core
@pytest.mark.parametrize("odd", [False, True])
def test_clebsch_gordan_sums_the_paths_of_e3nn_tensor_product(odd):
    x, y = features(2, 1), features(2, 1, seed=1)
    product = jax.jit(lambda x, y: e3nn_jax.tensor_product(to_irreps_array(x), to_irreps_array(y)))(x, y)
    want = np.zeros((4, 9, 1))
    for (_, ir), chunk in zip(product.irreps, product.chunks, strict=True):
        if ir.l <= 2 and (ir.p == (-1) ** ir.l) != odd:
            want[:, ir.l**2 : (ir.l + 1) ** 2, 0] += np.asarray(chunk).sum(axis=1)
    np.testing.assert_allclose(products.clebsch_gordan(x, y, odd=odd), want, atol=1e-5)


@pytest.mark.filterwarnings("ignore:jax.scipy.special.lpmn_values")
def test_multiplying_two_signals_of_e3nn_is_the_gaunt_product_times_the_root_of_4_pi():
    x, y = features(1, 1, batch=()), features(1, 1, seed=1, batch=())

    @jax.jit
    def multiply(x, y):
        options = {"quadrature": "gausslegendre", "normalization": "integral", "p_val": 1, "p_arg": -1}
        f, g = (e3nn_jax.to_s2grid(to_irreps_array(a), 4, 5, **options) for a in (x, y))
        signal = f.replace_values(f.grid_values * g.grid_values)
        return e3nn_jax.from_s2grid(signal, e3nn_jax.s2_irreps(1), normalization="integral")

    np.testing.assert_allclose(multiply(x, y).array, np.sqrt(4 * np.pi) * products.gaunt(x, y)[:, 0], atol=1e-5)


def test_conversions_are_differentiable_and_compile():
    x = features(1, 2)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(from_irreps_array(to_irreps_array(x)) ** 2)))(x)
    np.testing.assert_allclose(gradient, 2 * x, rtol=1e-6)


@pytest.mark.parametrize("irreps", ["2x0e+2x2e", "2x0e+3x1o", "2x0e+2x1e", "2x0e+2x1o+2x1e", "0x0e"])
def test_arrays_without_the_layout_are_named(irreps):
    with pytest.raises(ValueError, match=r"array: expected every degree 0..lmax once, .* got "):
        from_irreps_array(e3nn_jax.zeros(irreps))


def test_wrong_types_are_named():
    with pytest.raises(TypeError, match=r"array: expected an e3nn_jax.IrrepsArray, got ndarray"):
        from_irreps_array(np.zeros(4))
    with pytest.raises(TypeError, match="x: expected real floating-point"):
        to_irreps_array(jnp.zeros((4, 1), jnp.int32))
    with pytest.raises(ValueError, match="x: expected a square number of coefficients"):
        to_irreps_array(jnp.zeros((5, 1)))


def test_blocks_of_one_degree_are_put_together():
    array = e3nn_jax.IrrepsArray("2x0e+2x0e", jnp.arange(4.0))
    assert from_irreps_array(array).tolist() == [[0.0, 1.0, 2.0, 3.0]]

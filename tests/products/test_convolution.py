"""The convolution with a filter around an edge: direct, zonal and aligned are one and the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import spherical
from equijax.products import bracket, convolution, gaunt

METHODS = ("matrix", "direct", "zonal", "aligned")
AXES = np.concatenate([np.eye(3), -np.eye(3), [[0.3, -0.5, 0.8]]])


def arguments(l1, lf, channels=2):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(7, (l1 + 1) ** 2, channels))
    return x, 1.7 * AXES, rng.normal(size=(7, lf + 1, channels))


def reference(x, r, w, lmax, odd):
    lf = w.shape[-2] - 1
    filters = w[:, spherical.degree_of_coefficient(lf)] * spherical.harmonics(r, lf)[..., None]
    return (bracket if odd else gaunt)(x, filters, lmax=lmax, method="grid")


@pytest.mark.core
@pytest.mark.gpu
@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("sizes", [(3, 1, 2), (1, 3, 3)])
def test_methods_agree_in_value_and_derivative_on_the_axes_too(x64, sizes, odd):
    l1, lf, lmax = sizes
    x, r, w = arguments(l1, lf)
    step = tuple(jnp.asarray(np.random.default_rng(1).normal(size=a.shape)) for a in (x, r, w))

    @jax.jit
    def run(x, r, w):
        def derivative(f):
            return jax.jvp(f, (x, r, w), step)

        def by(method):
            return lambda x, r, w: convolution(x, r, w, lmax=lmax, method=method, odd=odd)

        return [derivative(f) for f in (lambda x, r, w: reference(x, r, w, lmax, odd), *map(by, (*METHODS, "auto")))]

    want, *others = run(x, r, w)
    assert np.abs(want[0]).max() > 0.01
    for got in others:
        np.testing.assert_allclose(got[0], want[0], atol=1e-12)
        np.testing.assert_allclose(got[1], want[1], atol=1e-12)


def test_degree_6(x64):
    x, r, w = arguments(6, 6, channels=1)
    want = reference(x, r, w, 6, False)
    for method in METHODS:
        np.testing.assert_allclose(convolution(x, r, w, method=method), want, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.parametrize("method", METHODS)
def test_a_zero_vector_leaves_the_constant_filter_and_finite_derivatives(x64, method):
    x, _, w = (a[0] for a in arguments(1, 2, channels=1))
    f = lambda r: convolution(x, r, w, lmax=1, method=method)  # noqa: E731
    value, jacobian, hessian = jax.jit(lambda r: (f(r), jax.jacfwd(f)(r), jax.jacfwd(jax.jacfwd(f))(r)))(jnp.zeros(3))
    np.testing.assert_allclose(value, x * w[0] / (4 * np.pi), atol=1e-13)
    assert not np.any(jacobian)
    assert not np.any(hessian)


@pytest.mark.gpu
@pytest.mark.parametrize("sign", [1, -1])
def test_equivariance(x64, sign):
    Q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    Q *= sign * np.sign(np.linalg.det(Q))
    D = np.asarray(spherical.wigner_matrix(Q, 2))
    x, r, w = arguments(2, 2)
    for odd, parity in ((False, 1), (True, sign)):
        want = parity * D @ np.asarray(convolution(x, r, w, odd=odd))
        np.testing.assert_allclose(convolution(D @ x, r @ Q.T, w, odd=odd), want, atol=1e-12)


def test_the_backward_pass_keeps_the_arguments_only(x64):
    x, r, w = (jnp.asarray(a) for a in arguments(2, 1))
    for method in METHODS:
        f = lambda x, r, w, m=method: convolution(x, r, w, method=m)  # noqa: E731
        shapes = {a.shape for a in jax.tree.leaves(jax.vjp(f, x, r, w)[1])}
        assert shapes <= {x.shape, r.shape, (*r.shape, 1), w.shape}


def test_one_weight_for_all_channels_and_shared_arguments(x64):
    x, r, w = arguments(2, 2)
    want = convolution(x, r, np.repeat(w[..., :1], 2, axis=-1))
    np.testing.assert_allclose(convolution(x, r, w[..., :1]), want, atol=1e-13)
    np.testing.assert_allclose(convolution(x[0], r, w)[3], convolution(x[:1], r[3:4], w[3:4])[0], atol=1e-13)


def test_bad_arguments_are_named():
    x, r, w = arguments(2, 2)
    with pytest.raises(ValueError, match=r"direction: expected shape \(..., 3\), got \(7, 2\)"):
        convolution(x, r[:, :2], w)
    with pytest.raises(ValueError, match=r"direction: expected leading axes that fit \(7,\) of x, got \(6,\)"):
        convolution(x, r[:6], w)
    with pytest.raises(ValueError, match=r"radial_weights: expected shape \(..., degrees, channels\)"):
        convolution(x, r, w[0, 0])
    with pytest.raises(ValueError, match="radial_weights: expected 2 channels as in x"):
        convolution(x, r, np.ones((7, 3, 4)))
    with pytest.raises(ValueError, match="lmax: expected at most 4"):
        convolution(x, r, w, lmax=5)
    with pytest.raises(
        ValueError, match="method: expected one of 'auto', 'matrix', 'direct', 'zonal', 'aligned', got 'grid'"
    ):
        convolution(x, r, w, method="grid")
    with pytest.raises(TypeError, match="direction: expected real floating-point"):
        convolution(x, r.astype(int), w)

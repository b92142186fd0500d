"""The routes to a grid and back: they agree, use the smallest grids, and fail visibly on smaller ones."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from jax.test_util import check_grads

from equijax import spherical
from equijax.spherical import quadrature, reflections, transforms


def pair(l1, l2, seed=0):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=((l1 + 1) ** 2, 3))), jnp.asarray(rng.normal(size=((l2 + 1) ** 2, 3)))


def oracle(x, y, lmax):
    l1, l2 = (round(len(a) ** 0.5) - 1 for a in (x, y))
    return np.einsum("ac,bc,abk->kc", x, y, spherical.gaunt_coefficients(l1, l2, lmax))


def multiply(method, x, y, lmax):
    band = sum(round(len(a) ** 0.5) - 1 for a in (x, y))
    f, g = (transforms.to_grid(method, a, band, lmax) for a in (x, y))
    return transforms.from_grid(method, f * g, band, lmax)


@pytest.mark.parametrize(("n_u", "n_v", "exact"), [(9, 7, True), (9, 6, False), (8, 7, False)])
def test_fft_on_the_smallest_torus_is_exact_and_one_point_fewer_is_not(x64, monkeypatch, n_u, n_v, exact):
    x, y = pair(2, 2)
    monkeypatch.setattr(transforms, "torus_sizes", lambda band, lmax: (n_u, n_v))
    error = np.abs(multiply("fft", x, y, 2) - oracle(x, y, 2)).max()
    assert (error < 1e-13) if exact else (error > 1e-2)


def test_torus_sizes_are_rounded_up_to_small_primes():
    assert transforms.torus_sizes(4, 2) == (9, 8)
    assert transforms.torus_sizes(12, 6) == (25, 20)


def test_fourier_series_of_the_colatitude():
    """t_u = 0 unless u ≡ l (mod 2); t_{-u} = (-1)^m t_u; real for even m, imaginary for odd; the double cover."""
    L = 6
    t = transforms.fourier_series(L)
    l, m, u = np.ogrid[: L + 1, : L + 1, -L : L + 1]
    assert np.abs(t[np.broadcast_to((u - l) % 2 == 1, t.shape)]).max() < 1e-15
    assert np.abs(t[np.broadcast_to(abs(u) > l, t.shape)]).max() < 1e-15
    np.testing.assert_allclose(t[:, :, ::-1], (-1.0) ** m * t, atol=1e-15)
    assert np.abs(t[:, ::2].imag).max() < 1e-15
    assert np.abs(t[:, 1::2].real).max() < 1e-15
    angles = np.linspace(0, 2 * np.pi, 17)
    series = np.einsum("lmu,uj->lmj", t, np.exp(1j * np.arange(-L, L + 1)[:, None] * angles))
    np.testing.assert_allclose(series, quadrature.legendre(L, np.cos(angles), np.sin(angles)), atol=1e-14)
    np.testing.assert_allclose(series[:, :, ::-1], (-1.0) ** m * series, atol=1e-14)  # θ -> 2π - θ, φ -> φ + π


def product_on(n_theta, n_phi, x, y, lmax):
    """The product by plain NumPy quadrature on any grid."""
    cosines, weights = np.polynomial.legendre.leggauss(n_theta)
    azimuths = 2 * np.pi / n_phi * np.arange(n_phi)
    table = lambda l: quadrature.tensor_table(quadrature.legendre(l, cosines), quadrature.azimuthal(l, azimuths))  # noqa: E731
    w = np.tile(weights * 2 * np.pi / n_phi, n_phi)[:, None]
    l1, l2 = (round(len(a) ** 0.5) - 1 for a in (x, y))
    return table(lmax).T @ (w * (table(l1) @ x) * (table(l2) @ y))


def test_the_minimal_grid_is_exact_and_one_node_fewer_is_not(x64):
    for l1, l2, lmax in [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4), (3, 2, 4), (4, 4, 2), (6, 6, 12), (2, 2, 0)]:
        x, y = (np.asarray(a) for a in pair(l1, l2))
        want, S = oracle(x, y, lmax), l1 + l2 + lmax
        assert len(quadrature.sphere(S)[0]) == (S // 2 + 1) * (S + 1)
        np.testing.assert_allclose(product_on(S // 2 + 1, S + 1, x, y, lmax), want, atol=1e-12)
        assert np.abs(product_on(S // 2, S + 1, x, y, lmax) - want).max() > 1e-2
        assert np.abs(product_on(S // 2 + 1, S, x, y, lmax) - want).max() > 1e-2


def test_dot_product_of_gradients_checks_the_derivative_tables(x64):
    """∫ ∇f·∇g Y_k = ½ [l1(l1+1) + l2(l2+1) - l3(l3+1)] ∫ f g Y_k, with the tables that the bracket uses."""
    l1, l2, lmax = 3, 2, 4
    degree = l1 + l2 + lmax
    _, weights = quadrature.sphere(degree)
    table = lambda l, f: quadrature.tensor_table(*transforms.tables(l, degree, f))  # noqa: E731
    dot = table(l1, "theta")[:, :, None] * table(l2, "theta")[:, None]
    dot += table(l1, "phi")[:, :, None] * table(l2, "phi")[:, None]
    got = np.einsum("pab,pk->abk", dot, weights[:, None] * table(lmax, "value"))
    a, b, c = (spherical.degree_of_coefficient(l).astype(float) for l in (l1, l2, lmax))
    a, b, c = (n * (n + 1) for n in (a[:, None, None], b[None, :, None], c[None, None]))
    np.testing.assert_allclose(got, (a + b - c) / 2 * spherical.gaunt_coefficients(l1, l2, lmax), atol=1e-12)


def test_gradients_at_the_points_of_the_grid_and_at_the_poles(x64):
    """Fields along e_θ and e_φ are the components of the gradient, by finite differences along these vectors."""
    points, along_theta, along_phi = transforms.grid_points(5, 2)
    assert np.abs(points[:, 1]).max() == 1
    h = 1e-5
    for field, along in (("theta", along_theta), ("phi", along_phi)):
        np.testing.assert_allclose(np.sum(along * points, -1), 0, atol=1e-15)
        ahead, behind = (spherical.harmonics(points + s * h * along, 4) for s in (1, -1))
        np.testing.assert_allclose(quadrature.point_table(4, points, field), (ahead - behind) / (2 * h), atol=1e-8)


@pytest.mark.parametrize(("degree", "count"), [(6, 1), (30, 2), (30, 3)])
def test_parts_under_reflections_give_the_values_at_all_images(degree, count):
    """f(g p) = Σ_c χ_c(g) f_c(p), and the orbits have the points and the weights of the whole rule."""
    p, weights = reflections.orbits(degree, count)
    order, tables = reflections.tables(3, degree, count, "value")
    assert len(tables) == 2**count
    assert weights.sum() == pytest.approx(4 * np.pi)
    assert len(p) < (1.3 / 2**count) * len(quadrature.lebedev(degree)[0])
    x = np.random.default_rng(0).normal(size=16)
    split = np.split(x[order], np.cumsum([table.shape[1] for table in tables])[:-1])
    values = [table @ part for table, part in zip(tables, split, strict=True)]
    for k, g in enumerate(np.array([[-1, -1, -1], [-1, 1, 1], [1, -1, 1]])[:count]):
        image = sum((-1) ** (c >> k & 1) * v for c, v in enumerate(values))
        np.testing.assert_allclose(image, spherical.harmonics(p * g, 3) @ x, atol=1e-5)


def test_orders_and_back():
    x = jnp.arange(16.0)[:, None] + 1
    z = transforms.by_order(x)
    assert z.shape == (7, 4, 1)
    assert np.count_nonzero(z) == 16
    np.testing.assert_array_equal(transforms.from_order(z), x)


@pytest.mark.parametrize(("dtype", "small"), [(np.float64, True), (ml_dtypes.bfloat16, False)])
def test_rounded_tables_break_equivariance_visibly(x64, dtype, small):
    """The guard: tables rounded to bfloat16 fail an equivariance test at 1e-4."""
    rng = np.random.default_rng(1)
    R, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    D = np.asarray(spherical.wigner_matrix(R, 3))
    _, weights = quadrature.sphere(9)
    Y = np.asarray(quadrature.harmonics_table(3, 9).astype(dtype), np.float64)
    f = lambda x, y: Y.T @ (weights[:, None] * (Y @ x) * (Y @ y))  # noqa: E731
    x, y = rng.normal(size=(2, 16, 5))
    error = np.abs(D @ f(x, y) - f(D @ x, D @ y)).max() / np.abs(f(x, y)).max()
    assert (error < 1e-13) if small else (error > 1e-4)


@pytest.mark.parametrize("sectors", [2, 4, 8])
def test_sectors_are_multiplied_as_the_group_multiplies_them_with_all_derivatives(x64, sectors):
    rng = np.random.default_rng(0)
    f, g = jnp.asarray(rng.normal(size=(2, sectors, 5, 3)))

    def product(f, g):
        first, second = (reflections.Sectors(tuple(map(jnp.asarray, a))) for a in (f, g))
        return jnp.stack((first * second).values)

    want = np.zeros_like(f)
    for a, b in np.ndindex(sectors, sectors):
        want[a ^ b] += f[a] * g[b]
    np.testing.assert_allclose(product(f, g), want, atol=1e-14)
    np.testing.assert_allclose(jax.jit(product)(f, g), want, atol=1e-14)
    np.testing.assert_allclose(product(f, g[..., :1]), product(f, g[..., :1] + 0 * g), atol=1e-14)
    check_grads(product, (f, g), order=2, modes=("fwd", "rev"))
    check_grads(lambda g: product(f, g), (g,), order=1, modes=("rev",))
    many = jax.vmap(product, in_axes=(None, 3), out_axes=2)(f, jnp.stack([g, 2 * g], axis=3))
    np.testing.assert_allclose(many, jnp.stack([want, 2 * want], axis=2), atol=1e-14)

"""Coordinates, windows, splines, nodes near the identity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.interpolate import BSpline

from equijax import groups, lie, nn
from equijax.groups.quadrature import kronecker


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_splines_are_those_of_scipy(degree, x64):
    x = np.linspace(-3, 3, 121)
    knots = np.arange(degree + 2) - (degree + 1) / 2
    expected = BSpline.basis_element(knots, extrapolate=False)(x)
    np.testing.assert_allclose(lie.b_spline(jnp.asarray(x), degree), np.nan_to_num(expected), atol=1e-12)


def test_features_about_centers_in_the_cube(x64):
    x = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, size=(50, 2)))
    for count, width in ((9, 2 / 3), (100, 1 / 2)):
        apart = (x[:, None] - (2 * kronecker(count, 2) - 1)) / width
        np.testing.assert_allclose(lie.gaussian_features(x, count), np.exp(-(apart**2).sum(-1) / 2), rtol=1e-12)
        splines = np.nan_to_num(BSpline.basis_element(np.arange(-2, 3), extrapolate=False)(apart)).prod(-1)
        np.testing.assert_allclose(lie.spline_basis(x, count), splines, atol=1e-12)
        assert splines.sum(-1).min() > 0.1  # they overlap everywhere


def test_a_network_of_sines_is_its_formula():
    w, b, x = jnp.array([[0.1], [0.2]]), jnp.array([0.03]), jnp.array([[1.0, -2]])
    np.testing.assert_allclose(lie.sine_features(x, w, b), np.sin([[-2.7]]), rtol=1e-6)
    module = nn.SineKernel(3, width=4, omega=2.0)
    y, variables = module.init_with_output(jax.random.key(0), x)
    p = variables["params"]
    for k, bound in ((0, 1 / 2), (1, (6 / 4) ** 0.5 / 2)):
        assert bound / 2 < np.abs(p[f"kernel_{k}"]).max() <= bound
        x = np.sin(2 * (x @ p[f"kernel_{k}"] + p[f"bias_{k}"]))
    np.testing.assert_allclose(y, x @ p["kernel"], rtol=1e-5)


def test_windows_are_smooth_where_they_end():
    square = jnp.array([0.0, 0.5, 1.0, 1.0 - 1e-7, 2.0])
    values, slopes = jax.vmap(jax.value_and_grad(lie.bump))(square)
    np.testing.assert_allclose(values, [1, np.exp(-1), 0, 0, 0], atol=1e-6)
    assert jnp.isfinite(slopes).all()
    np.testing.assert_allclose(lie.gaussian(jnp.float32(0.16)), np.exp(-0.5), rtol=1e-6)


def test_coordinates_tell_all_matrices_apart_and_do_not_jump(x64):
    turn = groups.SO(2).exp(jnp.array([[np.pi - 1e-9], [-np.pi + 1e-9]]))
    near = lie.coordinates(turn)
    np.testing.assert_allclose(near[0], near[1], atol=1e-8)  # the logarithm jumps by 2π here
    np.testing.assert_allclose(lie.coordinates(jnp.eye(3)), 0, atol=1e-15)
    a = groups.GLPlus(2).sample(jax.random.key(0), (2,))
    assert jnp.abs(lie.coordinates(a[0]) - lie.coordinates(a[1])).max() > 0.1
    r = groups.SO(2).exp(jnp.array([0.3]))
    np.testing.assert_allclose(lie.stretch(r @ a @ r.T), lie.stretch(a), rtol=1e-12)
    np.testing.assert_allclose(lie.stretch(jnp.linalg.inv(a)), lie.stretch(a), rtol=1e-9)
    np.testing.assert_allclose(lie.coordinates(a, 2.0)[..., :3] ** 2 @ np.ones(3) * 4, lie.stretch(a), rtol=1e-9)


def test_coordinates_along_a_single_axis_of_space():
    np.testing.assert_allclose(lie.coordinates(jnp.array([[[2.0]], [[-1.0]]])), [[np.log(2), 0], [0, -2]], atol=1e-6)


def test_nodes_near_the_identity_integrate_over_their_box(x64):
    group = groups.GLPlus(2)
    elements, weights = lie.chart_nodes(group, 4000, (0.3, 0.4, 0.5, 0.6))
    a = group.coords(elements)
    assert (jnp.abs(a) < np.array([0.3, 0.4, 0.5, 0.6])).all()
    x = np.stack(np.meshgrid(*[(np.arange(8) + 0.5) / 4 - 1] * 2), -1).reshape(-1, 2) * [0.4, 0.5]
    r = 2**0.5 * np.hypot(*x.T)  # x₁ − x₂ of the eigenvalues of X
    expected = 0.6 * 1.2 * 0.8 * 1.0 * np.mean(np.sinh(r) / r)
    np.testing.assert_allclose(jnp.sum(weights), expected, rtol=5e-3)
    with pytest.raises(ValueError, match="window: expected 4 finite positive numbers"):
        lie.chart_nodes(group, 5, (0.3, 0.4))
    with pytest.raises(ValueError, match=r"group: expected a connected group.*, got O\(2\)"):
        lie.chart_nodes(groups.O(2), 5, 0.3)
    whole, weights = lie.chart_nodes(groups.Affine(2), 5, 0.3, dtype=jnp.float32)
    assert whole.translation.shape == (5, 2)
    assert whole.linear.dtype == weights.dtype == jnp.float32

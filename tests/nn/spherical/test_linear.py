"""The linear map: what it may mix, and where the coefficients may be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import equijax as ej
from equijax import groups, nn, reps

RNG = np.random.default_rng(0)


@jax.jit
def error(x, w, key):
    rep = reps.Spherical(3)
    return ej.equivariance_error(nn.linear, ej.Symmetry(groups.O(3), (rep, None), rep), (x, w), key=key)


@pytest.mark.core
@given(seed=st.integers(0, 2**31 - 1))
def test_commutes_with_rotations_and_reflections(seed):
    rng = np.random.default_rng(seed)
    assert error(rng.normal(size=(5, 16, 3)), rng.normal(size=(4, 3, 2)), jax.random.key(seed)) < 1e-5


def test_is_a_matrix_a_degree(x64):
    x, w = RNG.normal(size=(2, 5, 9, 3)), RNG.normal(size=(3, 3, 4))
    y = nn.linear(jnp.asarray(x), w, RNG.normal(size=4) * 0 + 2)
    for k, l in enumerate((0, 1, 1, 1, 2, 2, 2, 2, 2)):
        np.testing.assert_allclose(y[..., k, :], x[..., k, :] @ w[l] + 2 * (k == 0), atol=1e-13)


@pytest.mark.parametrize("use_bias", [False, True])
def test_each_row_by_itself_up_to_lmax(use_bias):
    x = jnp.asarray(RNG.normal(size=(2, 5, 9, 3)), jnp.float32)
    params = {"params": {"kernel": RNG.normal(size=(2, 3, 4)), "bias": RNG.normal(size=4)}}
    y = nn.Linear(4, lmax=1, use_bias=use_bias).apply(params, x)
    assert y.shape == (2, 5, 4, 4)
    w, bias = (params["params"][name] for name in ("kernel", "bias"))
    for k, l in enumerate((0, 1, 1, 1)):
        expected = x[..., k, :] @ w[l] / 3**0.5 + bias * (use_bias and k == 0)
        np.testing.assert_allclose(y[..., k, :], expected, atol=1e-6)


def test_lmax_above_that_of_x_adds_nothing():
    x = jnp.ones((5, 4, 3))
    y, variables = nn.Linear(2, lmax=5).init_with_output(jax.random.key(0), x)
    assert y.shape == (5, 4, 2)
    assert variables["params"]["kernel"].shape == (2, 3, 2)


def test_weights_of_another_shape_are_named():
    with pytest.raises(ValueError, match=r"w: expected shape \(3, 2, features\).*got \(2, 2, 7\)"):
        nn.linear(jnp.ones((5, 9, 2)), jnp.ones((2, 2, 7)))
    with pytest.raises(TypeError, match="x: expected real floating-point numbers, got int32"):
        nn.linear(jnp.ones((5, 9, 2), jnp.int32), jnp.ones((3, 2, 7)))

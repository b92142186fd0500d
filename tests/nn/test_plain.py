"""Dense layers: how they start, what they keep, what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import nn

X = np.random.default_rng(0).normal(size=(300, 64)).astype(np.float32)


@pytest.mark.core
def test_dense_layers_are_a_product_and_a_bias():
    for module, scale in ((nn.Dense(200), 1.0), (nn.Dense(200, unit_variance=True), 64**-0.5)):
        y, variables = module.init_with_output(jax.random.key(0), X)
        w, b = (np.asarray(variables["params"][name], np.float64) for name in ("kernel", "bias"))
        np.testing.assert_allclose(y, scale * X @ w + b, atol=2e-6)


def test_how_they_start():
    even, unit = (nn.Dense(200, unit_variance=u).init(jax.random.key(0), X)["params"] for u in (False, True))
    for a in even.values():
        assert 0.95 / 8 < np.abs(a).max() <= 1 / 8
        assert np.std(a) == pytest.approx(1 / 8 / 3**0.5, rel=0.1)
    assert np.std(unit["kernel"]) == pytest.approx(1, rel=0.02)
    assert not unit["bias"].any()
    drawn = nn.Dense(2, False, kernel_init=jax.nn.initializers.ones).init(jax.random.key(0), X)["params"]
    assert list(drawn) == ["kernel"]
    np.testing.assert_array_equal(drawn["kernel"], 1)


@pytest.mark.parametrize("activation", [jax.nn.silu, jnp.tanh, jnp.sin])
def test_network_keeps_unit_variance(activation):
    module = nn.MLP((1000, 1000), activation)
    y = jax.jit(module.init_with_output)(jax.random.key(0), X[:, :32])[0]
    assert np.mean(np.square(y)) == pytest.approx(1, abs=0.06)


def test_dtype_is_that_of_the_input():
    for dtype in (jnp.bfloat16, jnp.float32):
        for module in (nn.Dense(3), nn.Dense(3, unit_variance=True), nn.MLP((4, 3))):
            out = jax.eval_shape(module.init_with_output, jax.random.key(0), jnp.ones((2, 5), dtype))[0]
            assert (out.shape, out.dtype) == ((2, 3), dtype)
    for module in (nn.Dense(3), nn.MLP((4, 3))):
        with pytest.raises(TypeError, match="x: expected real floating-point numbers, got int32"):
            module.init(jax.random.key(0), jnp.ones((2, 5), jnp.int32))

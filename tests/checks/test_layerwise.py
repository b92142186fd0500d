"""The layer at fault is found, in linen and in a function of one's own."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, reps
from equijax.checks import layerwise

X = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
VECTORS = reps.Vector()
SYMMETRY = ej.Symmetry(groups.O(3), VECTORS, None)


class Mix(nn.Module):
    """Mixes vectors, and adds a constant to them on request."""

    shift: float = 0.0

    @nn.compact
    def __call__(self, x):
        return nn.Dense(4, use_bias=False)(x.T).T + self.shift


class Net(nn.Module):
    shift: float = 0.0

    def setup(self):
        self.first, self.second, self.third = Mix(), Mix(self.shift), Mix()

    def __call__(self, x):
        x = self.first(x)
        x = self.second(x) * jnp.sum(x**2)
        return jnp.sum(self.third(x) ** 2)


OUTPUTS = {"first": VECTORS, "second": VECTORS, "third": VECTORS}


@pytest.mark.core
def test_the_first_bad_layer_is_at_fault():
    variables = jax.jit(Net().init)(jax.random.key(0), X)
    layers = layerwise(Net(), variables, SYMMETRY, (X,), OUTPUTS)
    assert [layer.path for layer in layers.layers] == ["first", "second", "third", "output"]
    assert layers.first_bad is None
    assert "every layer is exact" in str(layers)

    layers = layerwise(Net(1e-3), variables, SYMMETRY, (X,), OUTPUTS)
    assert layers.first_bad.path == "second"
    errors = [layer.error64 for layer in layers.layers]
    assert errors[0] < 1e-14 < 1e-5 < min(errors[1:])
    assert "second is the first layer that is approximate" in str(layers)

    axes = layers.plot()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["first", "second", "third", "output"]
    np.testing.assert_allclose(axes.lines[-2].get_ydata()[1:], errors[1:])


def test_layers_inside_of_layers_and_layers_called_twice():
    class Twice(nn.Module):
        @nn.compact
        def __call__(self, x):
            mix = Mix(name="mix")
            return mix(mix(x))

    variables = jax.jit(Twice().init)(jax.random.key(0), X)
    symmetry = ej.Symmetry(groups.O(3), (VECTORS,), VECTORS)
    transposed = reps.Ignore()
    outputs = {"mix": VECTORS, "mix:1": VECTORS, "mix/Dense_0": transposed}
    layers = layerwise(Twice(), variables, symmetry, (X,), outputs)
    assert [layer.verdict for layer in layers.layers] == ["exact", "exact", "vacuous", "exact"]
    with pytest.raises(ValueError, match=r"outputs: no layer 'max'; there are .*'mix/Dense_0'"):
        layerwise(Twice(), variables, symmetry, (X,), {"max": VECTORS})


def test_any_function_that_returns_its_intermediates():
    def net(w, x):
        y = w * x
        return jnp.sum(y), {"scaled": y}

    layers = layerwise(net, jnp.float32(2), SYMMETRY, (X,), {"scaled": VECTORS})
    assert [layer.verdict for layer in layers.layers] == ["exact", "broken"]


def test_a_constant_layer_is_vacuous():
    def net(w, x):
        norm = jnp.sum(x**2)
        return norm, {"constant": 0 * norm + w, "norm": norm}

    symmetry = ej.Symmetry(groups.O(3), VECTORS, None)
    layers = layerwise(net, jnp.float32(2), symmetry, (X,), {"constant": None, "norm": None})
    assert [layer.verdict for layer in layers.layers] == ["vacuous", "exact", "exact"]
    layers = layerwise(net, jnp.float32(2), symmetry, (0 * X,), {"norm": None})
    assert [layer.verdict for layer in layers.layers] == ["vacuous", "vacuous"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"samples": 0}, ValueError, "samples: .* got 0"),
        ({"args": X}, TypeError, "args: .* tuple"),
        ({"key": 3}, TypeError, "key: expected a random key"),
    ],
)
def test_arguments_are_checked(options, error, message):
    with pytest.raises(error, match=message):
        layerwise(lambda w, x: (x, {}), None, SYMMETRY, **({"args": (X,), "outputs": {}} | options))

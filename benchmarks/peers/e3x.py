"""e3x: its layers `Tensor`, with a weight a path, and `FusedTensor`, with weights a degree."""

import jax
import jax.numpy as jnp
import numpy as np

from equijax import products, spherical
from peers.operands import Call, Entry
from peers.reference import gaunt_weights


def tensor_product(s):
    f = _layer("Tensor", s.degree)
    return Call(lambda x, y, w: f(x, y, {"kernel": w}), (s.x[:, None], s.y[:, None], _weights(s.degree, s.paths)))


def fused_product(s):
    return Call(_layer("FusedTensor", s.degree), (s.x[:, None], s.y[:, None], _fused_parameters(s)), None)


def tensor_convolution(s):
    """Weights of the paths that all edges share, here those that make it the Gaunt product."""
    l = s.degree
    f = _layer("Tensor", l)
    shared = _weights(l, jnp.asarray(np.repeat(gaunt_weights(l)[:, None], s.x.shape[-1], 1), s.x.dtype))

    def convolve(x, r, w, shared):
        return f(x, _filter(r, w, l), {"kernel": shared})

    return Call(convolve, (s.x[:, None], s.direction, s.radial), fixed=(shared,))


def fused_convolution(s):
    f = _layer("FusedTensor", s.degree)

    def convolve(x, r, w, parameters):
        return f(x, _filter(r, w, s.degree), parameters)

    return Call(convolve, (s.x[:, None], s.direction, s.radial), None, (_fused_parameters(s),))


def _layer(name, l):
    import e3x

    layer = getattr(e3x.nn, name)(max_degree=l, include_pseudotensors=False, cartesian_order=False)
    return lambda x, y, parameters: layer.apply({"params": parameters}, x, y)[..., 0, :, :]


def _weights(l, weights):
    """Weights (paths, channels) as those of `Tensor`."""
    a, b, c = np.array(products.paths(l, l, l)).T
    kernel = jnp.zeros((1, l + 1, 1, l + 1, 1, l + 1, weights.shape[-1]), weights.dtype)
    return kernel.at[0, a, 0, b, 0, c].set(weights)


def _fused_parameters(s):
    """All weights 1: for the time only their shapes matter."""
    import e3x

    x = s.x[:1, None]
    layer = e3x.nn.FusedTensor(max_degree=s.degree, include_pseudotensors=False, cartesian_order=False)
    shapes = jax.eval_shape(layer.init, jax.random.key(0), x, x)["params"]
    return jax.tree.map(lambda a: jnp.ones(a.shape, a.dtype), shapes)


def _filter(r, w, l):
    import e3x

    y = e3x.so3.spherical_harmonics(
        r[:, (2, 0, 1)], l, r_is_normalized=False, cartesian_order=False, normalization="orthonormal"
    )
    return (y[..., None] * w[:, spherical.degree_of_coefficient(l)])[:, None]


PRODUCTS = [
    Entry("e3x", "Tensor", "paths", tensor_product),
    Entry("e3x", "FusedTensor", "fused", fused_product),
]
CONVOLUTION = [
    Entry("e3x", "Tensor", "gaunt", tensor_convolution),
    Entry("e3x", "FusedTensor", "fused", fused_convolution),
]

"""e3j: its `TensorProduct`, with a weight a path and channel."""

import jax.numpy as jnp
import numpy as np

from equijax import products
from peers.operands import Call, Entry, by_end


def product(s):
    f = _product(s.degree, "MAP")
    return Call(lambda x, y, *w: f(x, y, "rpmc,pc->rmc", w), (s.x, s.y, *by_end(s.degree, s.paths)))


def convolution(s):
    from e3j.core import Harmonics

    f, harmonics = _product(s.degree, "OUTER"), Harmonics(s.degree, normalize=True, normalization="integral")

    def convolve(x, r, *weights):
        return f(x, harmonics(r), "epmc,epc->emc", weights)

    return Call(convolve, (s.x, s.direction, *by_end(s.degree, s.radial_paths)))


def _product(l, mode):
    from e3j.core import TensorProduct

    space = " + ".join(f"{k}{'eo'[k % 2]}" for k in range(l + 1))
    product = TensorProduct((space, space), space, layout="TRAILING_CHANNELS", mode=mode, normalization="SQRT_DIM_OUT")
    counts = [ends.shape[0] for ends in by_end(l, np.zeros((len(products.paths(l, l, l)), 1)))]
    stops = np.cumsum([n * (2 * c + 1) for c, n in enumerate(counts)])[:-1]

    def f(x, y, rule, weights):
        pieces = jnp.split(product(x, y), stops, axis=1)  # a degree of the result each
        blocks = [z.reshape(len(z), n, -1, z.shape[-1]) for z, n in zip(pieces, counts, strict=True)]
        return jnp.concatenate([jnp.einsum(rule, z, w) for z, w in zip(blocks, weights, strict=True)], axis=1)

    return f


PRODUCTS = [Entry("e3j", "TensorProduct", "paths", product)]
CONVOLUTION = [Entry("e3j", "TensorProduct", "paths", convolution)]

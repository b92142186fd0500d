"""e3nn-jax: tensor products of irreps, and products on a grid on the sphere."""

import jax.numpy as jnp
import numpy as np

from equijax import spherical
from equijax.interop.e3nn import from_irreps_array, to_irreps_array
from peers.operands import Call, Entry, by_end


def weighted_product(s):
    def f(x, y, *weights):
        chunks = _product(x, y, s.degree, keep=True).chunks
        return jnp.concatenate(
            [jnp.einsum("rcpm,pc->rcm", z, w) for z, w in zip(chunks, weights, strict=True)], axis=-1
        )

    arguments = (_channels_first(s.x), _channels_first(s.y), *by_end(s.degree, s.paths))
    return Call(f, arguments, _channels_first)


def all_paths(s):
    f = lambda x, y: _product(x, y, s.degree, keep=False).array  # noqa: E731
    return Call(f, (_channels_first(s.x), _channels_first(s.y)), None)


def weighted_convolution(s):
    import e3nn_jax as e3nn

    l, channels = s.degree, s.x.shape[-1]
    irreps, filters = to_irreps_array(s.x).irreps, e3nn.s2_irreps(s.degree)

    def f(x, r, *weights):
        y = e3nn.IrrepsArray(filters, _harmonics(r, l))
        z = e3nn.tensor_product(e3nn.IrrepsArray(irreps, x), y, filter_ir_out=[ir for _, ir in filters])
        chunks = (z.reshape(len(z), -1, channels, z.shape[-1]) for z in z.chunks)
        blocks = [jnp.einsum("epcm,epc->ecm", z, w) for z, w in zip(chunks, weights, strict=True)]
        return jnp.concatenate([b.reshape(len(b), -1) for b in blocks], axis=-1)

    def back(z):
        return from_irreps_array(e3nn.IrrepsArray(irreps, z))

    return Call(f, (to_irreps_array(s.x).array, s.direction, *by_end(l, s.radial_paths)), back)


def grid_product(fft):
    def build(s):
        f = lambda x, y: _on_grid(x, y, s.degree, fft)  # noqa: E731
        return Call(f, (_channels_first(s.x), _channels_first(s.y)), _from_grid)

    return build


def grid_convolution(fft):
    def build(s):
        degree = spherical.degree_of_coefficient(s.degree)

        def f(x, r, w):
            return _on_grid(x, _harmonics(r, s.degree)[:, None] * w[..., degree], s.degree, fft)

        return Call(f, (_channels_first(s.x), s.direction, _channels_first(s.radial)), _from_grid)

    return build


def _product(x, y, l, keep):
    import e3nn_jax as e3nn

    irreps = e3nn.s2_irreps(l)
    x, y = e3nn.IrrepsArray(irreps, x), e3nn.IrrepsArray(irreps, y)
    return e3nn.tensor_product(x, y, filter_ir_out=[ir for _, ir in irreps] if keep else None)


def _on_grid(x, y, l, fft):
    """The smallest exact grid; the number of azimuths has to be odd for its FFT."""
    import e3nn_jax as e3nn

    irreps = e3nn.s2_irreps(l)
    sizes = (3 * l // 2 + 1, (3 * l + 1) | 1)
    a, b = (
        e3nn.to_s2grid(e3nn.IrrepsArray(irreps, v), *sizes, quadrature="gausslegendre", fft=fft, p_val=1, p_arg=-1)
        for v in (x, y)
    )
    return e3nn.from_s2grid(a * b, irreps, fft=fft).array


def _from_grid(z):
    return _channels_first(z) / np.sqrt(4 * np.pi)  # its "integral" is a mean


def _harmonics(r, l):
    import e3nn_jax as e3nn

    return e3nn.spherical_harmonics(e3nn.s2_irreps(l), r, normalize=True, normalization="integral").array


def _channels_first(a):
    return jnp.swapaxes(a, -1, -2)


PRODUCTS = [
    Entry("e3nn-jax", "tensor_product, weighted", "paths", weighted_product),
    Entry("e3nn-jax", "tensor_product", "all", all_paths),
    Entry("e3nn-jax", "s2grid, FFT", "gaunt", grid_product(fft=True)),
    Entry("e3nn-jax", "s2grid, matrix products", "gaunt", grid_product(fft=False)),
]
CONVOLUTION = [
    Entry("e3nn-jax", "s2grid, FFT", "gaunt", grid_convolution(fft=True)),
    Entry("e3nn-jax", "s2grid, matrix products", "gaunt", grid_convolution(fft=False)),
    Entry("e3nn-jax", "tensor_product, weighted", "paths", weighted_convolution),
]

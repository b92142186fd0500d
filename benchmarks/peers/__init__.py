"""One product, and one convolution, as each package computes them: what benchmarks/tensor_products.py compares.

Every package gets its operands in the layout that it works on, so that no conversion is timed; `back` takes its result
to ours. Packages are imported when one of their cases is built.
"""

import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from equijax import products, spherical
from equijax.interop.e3nn import from_irreps_array, to_irreps_array
from equijax.products import planner
from equijax.products.convolution import METHODS as CONVOLUTIONS
from peers.reference import gaunt_weights

PACKAGES = ("e3nn-jax", "e3x", "cuequivariance-jax", "e3j")


class Sample(NamedTuple):
    """Operands in our layout, degree L everywhere; the first axis is that of the rows, or of the edges."""

    x: jax.Array  # (rows, (L + 1)², channels)
    y: jax.Array
    paths: jax.Array  # a weight a path and channel, (paths, channels)
    degrees: jax.Array  # a weight a factor, degree and channel, (3, L + 1, channels)
    direction: jax.Array  # (rows, 3)
    radial: jax.Array  # (rows, L + 1, channels)
    radial_paths: jax.Array  # (rows, paths, channels)

    @property
    def degree(self):
        return spherical.lmax_of(self.x, "x")


def sample(l, rows, channels, seed=0):
    """Standard normal numbers in float32."""
    n, k = len(products.paths(l, l, l)), (l + 1) ** 2
    shapes = [(rows, k, channels)] * 2
    shapes += [(n, channels), (3, l + 1, channels), (rows, 3), (rows, l + 1, channels), (rows, n, channels)]
    draw = np.random.default_rng(seed).standard_normal
    return Sample(*(jnp.asarray(draw(shape), jnp.float32) for shape in shapes))


class Case(NamedTuple):
    """A function of arrays, `f(*arguments, *fixed)`, and its arguments; no gradients are taken by the fixed ones."""

    f: Callable[..., Any]
    arguments: tuple
    back: Callable[..., Any] = lambda z: z  # the result as (rows, (L + 1)², channels), None if it is another map
    fixed: tuple = ()


class Entry(NamedTuple):
    """A line of a table."""

    package: str
    name: str
    map: str
    build: Callable[[Sample], Case]


def missing():
    """The packages that are not installed."""
    return [name for name in PACKAGES if not _installed(name)]


def _installed(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions():
    """The version of each package, None for one that is missing; those that are there are imported."""
    for name in set(PACKAGES) - set(missing()):
        importlib.import_module(name.replace("-", "_"))
    return {name: _installed(name) for name in PACKAGES}


PRODUCTS: list[Entry] = []
CONVOLUTION: list[Entry] = []


def _entry(table, package, name, map):
    def add(build):
        table.append(Entry(package, name, map, build))
        return build

    return add


# --------------------------------------------------------------------------------------------------------- equijax


def ours(f, name, methods, arguments):
    """An entry for each method, "auto" first."""

    def entry(method):
        return Entry(
            "equijax", f"{name}, {method}", "gaunt", lambda s: Case(lambda *a: f(*a, method=method), arguments(s))
        )

    return [entry(method) for method in ("auto", *methods)]


PRODUCTS += ours(products.gaunt, "gaunt", planner.METHODS, lambda s: (s.x, s.y))
CONVOLUTION += ours(products.convolution, "convolution", CONVOLUTIONS, lambda s: (s.x, s.direction, s.radial))


@_entry(PRODUCTS, "equijax", "gaunt, weights by degree", "rank one")
def _(s):
    degree = spherical.degree_of_coefficient(s.degree)

    def f(x, y, w):
        u, v, w = w[:, degree]
        return products.gaunt(x * u, y * v) * w

    return Case(f, (s.x, s.y, s.degrees))


@_entry(PRODUCTS, "equijax", "clebsch_gordan", "paths")
def _(s):
    return Case(products.clebsch_gordan, (s.x, s.y, s.paths))


@_entry(CONVOLUTION, "equijax", "clebsch_gordan", "paths")
def _(s):
    def f(x, r, w):
        return products.clebsch_gordan(x, spherical.harmonics(r, s.degree)[..., None], w)

    return Case(f, (s.x, s.direction, s.radial_paths))


# -------------------------------------------------------------------------------------------------------- e3nn-jax


def _channels_first(a):
    return jnp.swapaxes(a, -1, -2)


def _by_end(l, weights):
    """Weights (..., paths, channels) as a list over the degrees of the result."""
    ends = np.array([c for _, _, c in products.paths(l, l, l)])
    return [weights[..., ends == c, :] for c in range(l + 1)]


def _e3nn_product(x, y, l, keep):
    import e3nn_jax as e3nn

    irreps = e3nn.s2_irreps(l)
    x, y = e3nn.IrrepsArray(irreps, x), e3nn.IrrepsArray(irreps, y)
    return e3nn.tensor_product(x, y, filter_ir_out=[ir for _, ir in irreps] if keep else None)


@_entry(PRODUCTS, "e3nn-jax", "tensor_product, weighted", "paths")
def _(s):
    def f(x, y, *weights):
        chunks = _e3nn_product(x, y, s.degree, keep=True).chunks
        return jnp.concatenate(
            [jnp.einsum("rcpm,pc->rcm", z, w) for z, w in zip(chunks, weights, strict=True)], axis=-1
        )

    arguments = (_channels_first(s.x), _channels_first(s.y), *_by_end(s.degree, s.paths))
    return Case(f, arguments, _channels_first)


@_entry(PRODUCTS, "e3nn-jax", "tensor_product", "all")
def _(s):
    f = lambda x, y: _e3nn_product(x, y, s.degree, keep=False).array  # noqa: E731
    return Case(f, (_channels_first(s.x), _channels_first(s.y)), None)


def _e3nn_grid(x, y, l, fft):
    """Its smallest exact grid; the number of azimuths has to be odd for its FFT."""
    import e3nn_jax as e3nn

    irreps = e3nn.s2_irreps(l)
    sizes = (3 * l // 2 + 1, (3 * l + 1) | 1)
    a, b = (
        e3nn.to_s2grid(e3nn.IrrepsArray(irreps, v), *sizes, quadrature="gausslegendre", fft=fft, p_val=1, p_arg=-1)
        for v in (x, y)
    )
    return e3nn.from_s2grid(a * b, irreps, fft=fft).array


def _from_e3nn_grid(z):
    return _channels_first(z) / np.sqrt(4 * np.pi)  # its "integral" is a mean


def _s2grid(fft):
    def product(s):
        f = lambda x, y: _e3nn_grid(x, y, s.degree, fft)  # noqa: E731
        return Case(f, (_channels_first(s.x), _channels_first(s.y)), _from_e3nn_grid)

    def convolution(s):
        degree = spherical.degree_of_coefficient(s.degree)

        def f(x, r, w):
            return _e3nn_grid(x, _e3nn_harmonics(r, s.degree)[:, None] * w[..., degree], s.degree, fft)

        return Case(f, (_channels_first(s.x), s.direction, _channels_first(s.radial)), _from_e3nn_grid)

    return product, convolution


for _fft in (True, False):
    _product, _convolution = _s2grid(_fft)
    _name = "s2grid, FFT" if _fft else "s2grid, matrix products"
    PRODUCTS.append(Entry("e3nn-jax", _name, "gaunt", _product))
    CONVOLUTION.append(Entry("e3nn-jax", _name, "gaunt", _convolution))


def _e3nn_harmonics(r, l):
    import e3nn_jax as e3nn

    return e3nn.spherical_harmonics(e3nn.s2_irreps(l), r, normalize=True, normalization="integral").array


@_entry(CONVOLUTION, "e3nn-jax", "tensor_product, weighted", "paths")
def _(s):
    import e3nn_jax as e3nn

    l, channels = s.degree, s.x.shape[-1]
    irreps, filters = to_irreps_array(s.x).irreps, e3nn.s2_irreps(s.degree)

    def f(x, r, *weights):
        y = e3nn.IrrepsArray(filters, _e3nn_harmonics(r, l))
        z = e3nn.tensor_product(e3nn.IrrepsArray(irreps, x), y, filter_ir_out=[ir for _, ir in filters])
        chunks = (z.reshape(len(z), -1, channels, z.shape[-1]) for z in z.chunks)
        blocks = [jnp.einsum("epcm,epc->ecm", z, w) for z, w in zip(chunks, weights, strict=True)]
        return jnp.concatenate([b.reshape(len(b), -1) for b in blocks], axis=-1)

    def back(z):
        return from_irreps_array(e3nn.IrrepsArray(irreps, z))

    return Case(f, (to_irreps_array(s.x).array, s.direction, *_by_end(l, s.radial_paths)), back)


# ------------------------------------------------------------------------------------------------------------- e3x


def _e3x_kernel(l, weights):
    """Weights (paths, channels) as those of `Tensor`."""
    a, b, c = np.array(products.paths(l, l, l)).T
    kernel = jnp.zeros((1, l + 1, 1, l + 1, 1, l + 1, weights.shape[-1]), weights.dtype)
    return kernel.at[0, a, 0, b, 0, c].set(weights)


def _e3x_layer(name, l):
    import e3x

    layer = getattr(e3x.nn, name)(max_degree=l, include_pseudotensors=False, cartesian_order=False)
    return lambda x, y, parameters: layer.apply({"params": parameters}, x, y)[..., 0, :, :]


def _e3x_fused_parameters(s):
    """All weights 1: for the time only their shapes matter."""
    import e3x

    x = s.x[:1, None]
    layer = e3x.nn.FusedTensor(max_degree=s.degree, include_pseudotensors=False, cartesian_order=False)
    shapes = jax.eval_shape(layer.init, jax.random.key(0), x, x)["params"]
    return jax.tree.map(lambda a: jnp.ones(a.shape, a.dtype), shapes)


@_entry(PRODUCTS, "e3x", "Tensor", "paths")
def _(s):
    f = _e3x_layer("Tensor", s.degree)
    return Case(lambda x, y, w: f(x, y, {"kernel": w}), (s.x[:, None], s.y[:, None], _e3x_kernel(s.degree, s.paths)))


@_entry(PRODUCTS, "e3x", "FusedTensor", "fused")
def _(s):
    return Case(_e3x_layer("FusedTensor", s.degree), (s.x[:, None], s.y[:, None], _e3x_fused_parameters(s)), None)


def _e3x_filter(r, w, l):
    import e3x

    y = e3x.so3.spherical_harmonics(
        r[:, (2, 0, 1)], l, r_is_normalized=False, cartesian_order=False, normalization="orthonormal"
    )
    return (y[..., None] * w[:, spherical.degree_of_coefficient(l)])[:, None]


@_entry(CONVOLUTION, "e3x", "Tensor", "gaunt")  # its convolution: weights of the paths that all edges share
def _(s):
    l = s.degree
    f = _e3x_layer("Tensor", l)
    kernel = _e3x_kernel(l, jnp.asarray(np.repeat(gaunt_weights(l)[:, None], s.x.shape[-1], 1), s.x.dtype))

    def convolve(x, r, w, kernel):
        return f(x, _e3x_filter(r, w, l), {"kernel": kernel})

    return Case(convolve, (s.x[:, None], s.direction, s.radial), fixed=(kernel,))


@_entry(CONVOLUTION, "e3x", "FusedTensor", "fused")
def _(s):
    f = _e3x_layer("FusedTensor", s.degree)

    def convolve(x, r, w, parameters):
        return f(x, _e3x_filter(r, w, s.degree), parameters)

    return Case(convolve, (s.x[:, None], s.direction, s.radial), None, (_e3x_fused_parameters(s),))


# ---------------------------------------------------------------------------------------------- cuequivariance-jax


def _cue_product(l, channels, subscripts, flat):
    """Channel by channel: u is the channel, (ijk) the coefficients; one weight a path and channel."""
    import cuequivariance as cue
    import cuequivariance_jax as cuex

    irreps = cue.Irreps("O3", " + ".join(f"{k}{'eo'[k % 2]}" for k in range(l + 1)))
    d = cue.SegmentedTensorProduct.from_subscripts(subscripts)
    both = "ju" in subscripts
    for operand in (1, 2, 3):
        for _, ir in irreps:
            d.add_segment(operand, (ir.dim, channels) if both or operand != 2 else (ir.dim,))
    for a, b, c in products.paths(l, l, l):
        (table,) = cue.clebsch_gordan(*(irreps[k].ir for k in (a, b, c)))
        d.add_path(None, a, b, c, c=table, dims={"u": channels})
    polynomial = cue.SegmentedPolynomial.eval_last_operand(d)
    if flat:
        polynomial = polynomial.flatten_coefficient_modes()

    def f(x, y, w):
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        (z,) = cuex.segmented_polynomial(polynomial, [w, x, y], [shape], method="naive")
        return z

    return f


def _cue(flat):
    def product(s):
        f = _cue_product(s.degree, s.x.shape[-1], "u,iu,ju,ku+ijk", flat)
        arguments = (s.x.reshape(len(s.x), -1), s.y.reshape(len(s.y), -1), s.paths.reshape(-1))
        return Case(f, arguments, lambda z: z.reshape(s.x.shape))

    def convolution(s):
        f = _cue_product(s.degree, s.x.shape[-1], "u,iu,j,ku+ijk", flat)

        def convolve(x, r, w):
            return f(x, _cue_harmonics(r, s.degree), w)

        arguments = (s.x.reshape(len(s.x), -1), s.direction, s.radial_paths.reshape(len(s.x), -1))
        return Case(convolve, arguments, lambda z: z.reshape(s.x.shape))

    return product, convolution


for _flat in (False, True):
    _product, _convolution = _cue(_flat)
    _name = "segmented_polynomial, flat" if _flat else "segmented_polynomial"
    PRODUCTS.append(Entry("cuequivariance-jax", _name, "paths", _product))
    CONVOLUTION.append(Entry("cuequivariance-jax", _name, "paths", _convolution))


def _cue_harmonics(r, l):
    import cuequivariance as cue
    import cuequivariance_jax as cuex

    r = cuex.RepArray({-1: cue.IrrepsAndLayout(cue.Irreps("O3", "1o"), cue.ir_mul)}, r)
    return cuex.spherical_harmonics(range(l + 1), r).array / np.sqrt(4 * np.pi)


# ------------------------------------------------------------------------------------------------------------- e3j


def _e3j_product(l, mode):
    from e3j.core import TensorProduct

    space = " + ".join(f"{k}{'eo'[k % 2]}" for k in range(l + 1))
    product = TensorProduct((space, space), space, layout="TRAILING_CHANNELS", mode=mode, normalization="SQRT_DIM_OUT")
    counts = [ends.shape[0] for ends in _by_end(l, np.zeros((len(products.paths(l, l, l)), 1)))]
    stops = np.cumsum([n * (2 * c + 1) for c, n in enumerate(counts)])[:-1]

    def f(x, y, rule, weights):
        parts = jnp.split(product(x, y), stops, axis=1)
        blocks = [z.reshape(len(z), n, -1, z.shape[-1]) for z, n in zip(parts, counts, strict=True)]
        return jnp.concatenate([jnp.einsum(rule, z, w) for z, w in zip(blocks, weights, strict=True)], axis=1)

    return f


@_entry(PRODUCTS, "e3j", "TensorProduct", "paths")
def _(s):
    f = _e3j_product(s.degree, "MAP")
    return Case(lambda x, y, *w: f(x, y, "rpmc,pc->rmc", w), (s.x, s.y, *_by_end(s.degree, s.paths)))


@_entry(CONVOLUTION, "e3j", "TensorProduct", "paths")
def _(s):
    from e3j.core import Harmonics

    f, harmonics = _e3j_product(s.degree, "OUTER"), Harmonics(s.degree, normalize=True, normalization="integral")

    def convolve(x, r, *weights):
        return f(x, harmonics(r), "epmc,epc->emc", weights)

    return Case(convolve, (s.x, s.direction, *_by_end(s.degree, s.radial_paths)))

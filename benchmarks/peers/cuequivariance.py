"""cuequivariance-jax: segmented polynomials, with coefficients in blocks or one by one ("flat")."""

import jax
import numpy as np

from equijax import products
from peers.operands import Call, Entry


def product(flat):
    def build(s):
        f = _polynomial(s.degree, s.x.shape[-1], "u,iu,ju,ku+ijk", flat)
        arguments = (s.x.reshape(len(s.x), -1), s.y.reshape(len(s.y), -1), s.paths.reshape(-1))
        return Call(f, arguments, lambda z: z.reshape(s.x.shape))

    return build


def convolution(flat):
    def build(s):
        f = _polynomial(s.degree, s.x.shape[-1], "u,iu,j,ku+ijk", flat)

        def convolve(x, r, w):
            return f(x, _harmonics(r, s.degree), w)

        arguments = (s.x.reshape(len(s.x), -1), s.direction, s.radial_paths.reshape(len(s.x), -1))
        return Call(convolve, arguments, lambda z: z.reshape(s.x.shape))

    return build


def _polynomial(l, channels, subscripts, flat):
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


def _harmonics(r, l):
    import cuequivariance as cue
    import cuequivariance_jax as cuex

    r = cuex.RepArray({-1: cue.IrrepsAndLayout(cue.Irreps("O3", "1o"), cue.ir_mul)}, r)
    return cuex.spherical_harmonics(range(l + 1), r).array / np.sqrt(4 * np.pi)


NAMES = {False: "segmented_polynomial", True: "segmented_polynomial, flat"}
PRODUCTS = [Entry("cuequivariance-jax", name, "paths", product(flat)) for flat, name in NAMES.items()]
CONVOLUTION = [Entry("cuequivariance-jax", name, "paths", convolution(flat)) for flat, name in NAMES.items()]

"""The convolution of features with a filter around the direction of an edge."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.lax import PrecisionLike
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical
from equijax.numerics import unit
from equijax.products import execution, planner
from equijax.products.execution import coefficients_first
from equijax.products.operands import degrees, fit, leading_fit
from equijax.products.pointwise import Pointwise, multiply
from equijax.products.routes import tpu
from equijax.products.routes.tiles import Tiled
from equijax.spherical import quadrature, transforms

CONVOLUTIONS = ("matrix", "direct", "zonal", "aligned")


def convolution(
    x: ArrayLike,
    direction: ArrayLike,
    radial_weights: ArrayLike,
    *,
    lmax: int | None = None,
    method: str = "auto",
    odd: bool = False,
    precision: PrecisionLike = "highest",
) -> Float[Array, "*batch coefficients channels"]:
    """The Gaunt product of features with the filter h = Σ_l w_l Y_l(r̂), or with `odd` their bracket {x, h}.

    The filter is axially symmetric around the direction r̂: at a point s of the sphere it is

        h(s) = Σ_l w_l (2l + 1)/(4π) P_l(s · r̂) .

    Equal to `gaunt(x, w ⊙ harmonics(r))`, but the filter is never kept. Equivariant under O(3); every derivative by r
    exists, along the axes too. A zero vector has no direction: there only w_0 acts, and derivatives by r are 0.

    Args:
        x: Features at the source of each edge, (..., (l1 + 1)², channels).
        direction: Edge vectors r of any length, (..., 3).
        radial_weights: w, (..., lf + 1, channels) or (..., lf + 1, 1), one weight a degree of the filter.
        lmax: Largest degree kept, at most l1 + lf; max(l1, lf) if None.
        method: "matrix" forms one matrix for every edge and degree of the filter, which its channels share: a product
            on one side only. "direct" multiplies by w ⊙ Y(r̂). "zonal" evaluates h on the grid, without harmonics of
            edges, rotations or frames. "aligned" turns the features so that r̂ is the polar axis, where orders m do not
            mix, and back. All equal to rounding. "auto" is "direct": the fastest on a CPU, see the benchmark page; not
            measured elsewhere.
        odd: The bracket instead of the product: a pseudo-tensor if x is natural.
        precision: Of the matrix products.

    Returns:
        Messages (..., (lmax + 1)², channels) in the common dtype of the arguments. Half precisions are computed in
        float32. The backward pass keeps the three arguments only.

    Raises:
        TypeError: If an argument is not of real floating-point numbers.
        ValueError: If shapes do not fit, lmax is negative or exceeds l1 + lf, or there is no such method or precision.

    References:
        Passaro and Zitnick 2023, arXiv:2302.03655 (the aligned method, eSCN).

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import products, spherical
        >>> x, r = jnp.ones((5, 4, 2)), jnp.ones((5, 3))  # 5 edges, degrees 0 and 1 at their sources, 2 channels
        >>> w = jnp.ones((5, 3, 2))  # filters of degrees 0 to 2
        >>> z = products.convolution(x, r, w)
        >>> z.shape, bool(jnp.allclose(z, products.gaunt(x, spherical.harmonics(r, 2)[..., None]), atol=1e-5))
        ((5, 9, 2), True)
    """
    x = _validate.floating("x", x)
    direction = _validate.floating("direction", direction)
    radial_weights = _validate.floating("radial_weights", radial_weights)
    _validate.last_axis("direction", direction, 3)
    if radial_weights.ndim < 2 or radial_weights.shape[-2] < 1:
        raise ValueError(
            f"radial_weights: expected shape (..., degrees, channels) or (..., degrees, 1), got {radial_weights.shape}"
        )
    l1 = spherical.lmax_of(x, "x")
    lmax = degrees(l1, radial_weights.shape[-2] - 1, lmax)
    fit("radial_weights", radial_weights, x, "x")
    leading_fit("direction", direction.shape[:-1], x.shape[:-2], "x")
    leading_fit("direction", direction.shape[:-1], radial_weights.shape[:-2], "radial_weights")
    planner.check_method(method, CONVOLUTIONS)
    _validate.precision(precision)
    features = x, direction[..., None], radial_weights  # all (..., coefficients or the like, channels or 1)
    if method in ("auto", "direct"):
        return _directly(*features, lmax, odd, precision, fusable=method == "auto")
    f = {"matrix": _by_matrix, "zonal": _zonal, "aligned": _aligned}[method]
    chunks = planner.on_a_grid([a.shape for a in features]).chunks
    return execution.run(f, *features, chunks=chunks, lmax=lmax, odd=odd, precision=precision)


def _directly(x, direction, weights, lmax, odd, precision, fusable):
    sizes = spherical.lmax_of(x, "x"), weights.shape[-2] - 1, lmax
    decision = planner.pointwise(
        sizes,
        [a.shape for a in (x, direction, weights)],
        "auto",
        odd=odd,
        filtered=True,
        fusable=fusable and tpu.takes(x, weights, direction),
        precision=precision,
    )
    form = Pointwise(sizes, odd, precision, decision.methods)
    fused = decision.fused and (tpu.convolution, Tiled.of(form, decision.fused, filtered=True))
    return execution.run(_by_filters, x, direction, weights, chunks=decision.chunks, fused=fused, form=form)


def _by_filters(x, direction, weights, *, form):
    """The product with filters w_l Y_l(r̂) that are made for it."""
    Y = spherical.harmonics(direction[..., 0], form.degrees[1])[..., None]
    rows = jax.lax.split(weights, (1,) * weights.shape[-2], axis=weights.ndim - 2)  # a row a degree
    filters = [w * y for w, y in zip(rows, transforms.by_degree(Y, -2), strict=True)]
    return multiply(x, jnp.concatenate(filters, axis=-2), form=form)


def _by_matrix(x, direction, weights, *, lmax, odd, precision):
    """Each degree of the filter as a matrix for every edge, made of its harmonics and of the couplings."""
    l1, lf = spherical.lmax_of(x, "x"), weights.shape[-2] - 1
    Y = spherical.harmonics(direction[..., 0], lf)
    coefficients = spherical.pointwise_coefficients(l1, lf, lmax, odd=odd)
    table = coefficients.transpose(1, 2, 0).astype(x.dtype)  # (filter, product, feature)
    blocks = []
    for l in range(lf + 1):
        of_degree = slice(l * l, (l + 1) ** 2)
        flat = table[of_degree].reshape(2 * l + 1, -1)  # (2l + 1, product · feature)
        blocks.append(jnp.matmul(Y[..., of_degree], flat, precision=precision))
    shape = (*Y.shape[:-1], *table.shape[1:])
    matrices = jnp.concatenate([block.reshape(shape) for block in blocks], axis=-2)  # (..., degrees · product, feature)
    terms = jnp.matmul(matrices, x, precision=precision)
    terms = terms.reshape(*terms.shape[:-2], lf + 1, (lmax + 1) ** 2, terms.shape[-1])
    return jnp.sum(weights[..., None, :] * terms, axis=-3)


@coefficients_first
def _zonal(x, direction, weights, *, lmax, odd, precision):
    l1, lf = round(x.shape[0] ** 0.5) - 1, weights.shape[0] - 1
    band = l1 + lf
    r, moving = unit(direction, axis=0)

    def along(vectors):
        return jnp.tensordot(vectors.astype(x.dtype), r, 1, precision=precision)

    def values(field="value"):
        return transforms.to_grid("grid", x, band, lmax, field, precision)

    points, along_theta, along_phi = transforms.grid_points(band, lmax)
    h, slope = _filter(along(points), moving, weights)
    product = slope * (values("theta") * along(along_phi) - values("phi") * along(along_theta)) if odd else h * values()
    return transforms.from_grid("grid", product, band, lmax, precision)


def _filter(cosine, square, weights):
    """h = Σ_l w_l (2l + 1)/(4π) P_l and dh/dcos; P_l is homogeneous in r, ‖r‖² = `square` is 0 or 1."""
    before, p = jnp.zeros_like(cosine), jnp.ones_like(cosine)
    dp = jnp.zeros_like(cosine)
    h, slope = weights[0] / (4 * np.pi) * p, weights[0] * dp
    for l in range(1, weights.shape[0]):
        dp = cosine * dp + l * p
        before, p = p, ((2 * l - 1) * cosine * p - (l - 1) * square * before) / l
        h = h + weights[l] * ((2 * l + 1) / (4 * np.pi)) * p
        slope = slope + weights[l] * ((2 * l + 1) / (4 * np.pi)) * dp
    return h, slope


@coefficients_first
def _aligned(x, direction, weights, *, lmax, odd, precision):
    l1, lf = round(x.shape[0] ** 0.5) - 1, weights.shape[0] - 1
    r, moving = unit(direction[..., 0], axis=0)
    blocks = spherical.wigner_blocks(_to_polar_axis(jnp.moveaxis(r, 0, -1)), max(l1, lmax))

    def turn(x, transpose):
        rule = "...ji,j...c->i...c" if transpose else "...ij,j...c->i...c"
        degrees = range(round(x.shape[0] ** 0.5))
        return jnp.concatenate(
            [jnp.einsum(rule, blocks[l], x[l * l : (l + 1) ** 2], precision=precision) for l in degrees]
        )

    # Of the filter only m = 0 is left: for each order m, l1 -> lmax is a quadrature over the colatitude alone.
    cosines, _, nodes, _ = quadrature.product_rule(l1 + lf + lmax)
    z = transforms.by_order(turn(x, False))
    if odd:  # {f, h} = ∂f/∂φ dh/dcos, and ∂/∂φ takes x_m to m x_{-m}
        z = np.arange(-l1, l1 + 1, dtype=z.dtype).reshape(-1, *[1] * (z.ndim - 1)) * z[::-1]
    m = min(l1, lmax)
    z = z[l1 - m : l1 + m + 1]
    order = np.abs(np.arange(-m, m + 1))
    theta = quadrature.legendre(max(l1, lmax), cosines)
    to_nodes = theta[: l1 + 1, order].transpose(1, 2, 0)
    back = 2 * np.pi * (theta * nodes)[: lmax + 1, order].transpose(1, 0, 2)
    legendre = np.eye(lf + 1) * (2 * np.arange(lf + 1) + 1) / (4 * np.pi)
    legendre = np.polynomial.legendre.legder(legendre) if odd and lf else legendre * (not odd)
    h = np.polynomial.legendre.legval(cosines, legendre).T  # (nodes, degrees)
    degree = np.arange(lf + 1).reshape(-1, *[1] * (weights.ndim - 1))
    w = jnp.where(degree == 0, weights, weights * moving[..., None])
    h = transforms.product(h, w, precision)
    z = transforms.product(back, h * transforms.product(to_nodes, z, precision), precision)
    pad = [(lmax - m, lmax - m)] + [(0, 0)] * (z.ndim - 1)
    return turn(transforms.from_order(jnp.pad(z, pad)), True)


def _to_polar_axis(r):
    """A rotation (..., 3, 3) that takes the unit vector r to the polar axis y; the identity for r = 0.

    About r × y, after a half turn about x if r is in the lower half: smooth in each half. The result of the convolution
    does not depend on the choice.
    """
    lower = r[..., 1:2] < 0
    half_turn = np.array([1, -1, -1], r.dtype)
    a = jnp.where(lower, r * half_turn, r)
    v = jnp.cross(a, np.array([0, 1, 0], r.dtype))
    hat = jnp.cross(v[..., None, :], -np.eye(3, dtype=r.dtype))
    R = np.eye(3, dtype=r.dtype) + hat + jnp.matmul(hat, hat, precision="highest") / (1 + a[..., 1, None, None])
    return jnp.where(lower[..., None], R * half_turn, R)

"""From features on the group back to images, the edge of the window, and normalization."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import floating, integer, positive
from equijax.lie.correlation import Nodes, checked_nodes, volumes
from equijax.lie.grid import pixels
from equijax.lie.kernels import gaussian, stretch
from equijax.numerics import matmul
from equijax.reps import Rep

PROJECTIONS = ("mean", "max", "logsumexp")


def project(
    f: Float[Array | np.ndarray, "*batch_group_space_channels"],
    nodes: Nodes,
    *,
    method: str = "mean",
    rep: Rep | None = None,
    temperature: float = 1.0,
) -> Float[Array, "*batch_space_channels"]:
    """A feature on the group as an image, by what its nodes have in common.

        "mean"        Σ_j w_j f(A_j) / Σ_j w_j : a quadrature, converges with the nodes
        "max"         max_j f(A_j) over the nodes of positive weight: converges slowly, and is cut off by the window
        "logsumexp"   T log(Σ_j w_j e^{f(A_j)/T} / Σ_j w_j) : between the two, by the temperature T

    With `rep` the mean is Σ_j w_j ρ(A_j) f(A_j) / Σ_j w_j, a field of vectors or tensors.

    Args:
        f: Feature, shape (..., nodes, space, channels).
        nodes: Matrices and weights.
        method: "mean", "max" or "logsumexp".
        rep: Representation that acts on the channels, such as `reps.Vector()`, with method="mean".
        temperature: T, in the unit of f.

    Raises:
        ValueError: If the method is unknown or not the mean with `rep`, the temperature is not positive, or the nodes
            are not those of `f`.

    Examples:
        >>> from equijax import groups
        >>> f = jnp.ones((4, 5, 5, 2))  # 4 turns, 5 x 5 pixels, 2 channels
        >>> project(f, groups.SO(2).nodes(4)).shape
        (5, 5, 2)
    """
    f, (elements, weights) = floating("f", f), checked_nodes("nodes", nodes)
    axis = -2 - elements.shape[-1]
    positive("temperature", temperature)
    if method not in PROJECTIONS or (rep is not None and method != "mean"):
        raise ValueError(f"method: expected one of {', '.join(PROJECTIONS)}, and 'mean' with a rep, got {method!r}")
    weights = _along("f", f, _shares(weights).astype(f.dtype), elements.shape[-1])
    if method == "max":
        nothing = jnp.where(jnp.isnan(weights), jnp.nan, -jnp.inf)
        return jnp.max(jnp.where(weights > 0, f, nothing), axis=axis)
    if method == "logsumexp":
        return temperature * jax.nn.logsumexp(f / temperature, axis=axis, b=weights)
    if rep is not None:
        f = jnp.moveaxis(jax.vmap(rep.act)(elements, jnp.moveaxis(f, axis, 0)), 0, axis)
    return jnp.sum(weights * f, axis=axis)


def downsample(
    f: Float[Array | np.ndarray, "*batch_space_channels"], factor: int = 2, dimension: int = 2
) -> Float[Array, "*shape"]:
    """Means over blocks of `factor` pixels along each of the `dimension` axes of space, the last but the channels.

    Raises:
        ValueError: If the axes of space are no multiples of the factor.

    Examples:
        >>> print(downsample(jnp.arange(4.0).reshape(2, 2, 1)))
        [[[1.5]]]
    """
    f = floating("f", f)
    lead, space = f.shape[: -1 - dimension], f.shape[-1 - dimension : -1]
    integer("factor", factor, 1)
    if any(length % factor for length in space) or len(space) < dimension:
        raise ValueError(f"factor: expected a divisor of the axes of space {space}, got {factor}")
    blocks = f.reshape(*lead, *(n for length in space for n in (length // factor, factor)), f.shape[-1])
    return jnp.mean(blocks, axis=tuple(len(lead) + 2 * k + 1 for k in range(dimension)))


def center_of_mass(image: Float[Array | np.ndarray, "*batch_space_channels"], dimension: int = 2) -> Array:
    """Σ_x x I(x) / Σ_x I(x) of an image I ≥ 0, in pixels from its middle, shape (..., dimension), at least in float32.

    All channels are added. Moves with the image under every affine map. Zero for an image without ink.

    Raises:
        TypeError: If the image is not of real floating-point numbers.
        ValueError: If it has too few axes.

    Examples:
        >>> print(center_of_mass(jnp.zeros((3, 3, 1)).at[0, 2].set(1)))  # up and to the right
        [1. 1.]
    """
    image = floating("image", image)
    if image.ndim < integer("dimension", dimension, 1) + 1:
        raise ValueError(f"image: expected shape (..., {dimension} axes of space, channels), got {image.shape}")
    points = pixels(image.shape[-1 - dimension : -1])
    image = image.astype(jnp.promote_types(image.dtype, jnp.float32))
    ink = jnp.sum(image, axis=-1).reshape(*image.shape[: -1 - dimension], len(points))
    total = jnp.sum(ink, axis=-1, keepdims=True)
    moment = matmul(ink, points.astype(ink.dtype))
    return jnp.where(total != 0, moment / jnp.where(total != 0, total, 1), 0)


def pool_about(
    f: Float[Array | np.ndarray, "*batch_group_space_channels"],
    nodes: Nodes,
    center: ArrayLike,
    offsets: ArrayLike,
    *,
    width: float,
    spacing: float = 1.0,
) -> Float[Array, "*batch_group_parts_channels"]:
    """What a feature holds at some places of the image, as seen from a center in the frame of each node.

        F_k(A) = ‖det A‖⁻¹ ∫ w(A⁻¹(x − c) − o_k) f(A, x) dx ,  w a Gaussian of integral one

    Pooling that knows where: if the image moves, and the center with it, F is a function on the linear part H that
    moves alike, F_k(A) -> F_k(B⁻¹A). Exact up to the sum over pixels in place of the integral.

    Args:
        f: Feature, shape (..., nodes, space, channels).
        nodes: Matrices and weights.
        center: c, such as `center_of_mass`, in pixels of the image from its middle, shape (..., n).
        offsets: o_k, in pixels of the image, shape (parts, n).
        width: Standard deviation of w in pixels of the image; at least about `spacing`, or it falls between pixels.
        spacing: Pixels of the image from one pixel of f to the next.

    Returns:
        Shape (..., nodes, parts, channels), in the dtype of f.

    Raises:
        TypeError: If an argument is not of real floating-point numbers.
        ValueError: If shapes do not fit, or width or spacing are not positive.

    Examples:
        >>> from equijax import groups
        >>> places = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> pool_about(jnp.ones((4, 5, 5, 2)), groups.SO(2).nodes(4), jnp.zeros(2), places, width=1.0).shape
        (4, 3, 2)
    """
    f, (elements, _) = floating("f", f), checked_nodes("nodes", nodes)
    n = elements.shape[-1]
    _along("f", f, elements[:, 0, 0], n)
    positive("width", width)
    positive("spacing", spacing)
    center, offsets = (
        floating(name, x).astype(elements.dtype) for name, x in (("center", center), ("offsets", offsets))
    )
    if center.shape != (*f.shape[: -2 - n], n):
        raise ValueError(
            f"center: expected shape {(*f.shape[: -2 - n], n)} for f of shape {f.shape}, got {center.shape}"
        )
    if offsets.ndim != 2 or offsets.shape[1] != n:
        raise ValueError(f"offsets: expected shape (parts, {n}), got {offsets.shape}")
    x = spacing * pixels(f.shape[-1 - n : -1]).astype(elements.dtype) - center[..., None, :]
    seen = jnp.einsum("gij,...pj->...gpi", jnp.linalg.inv(elements), x, precision="highest")
    window = gaussian(jnp.sum((seen[..., None, :] - offsets) ** 2, axis=-1), width) / (2 * np.pi * width**2) ** (n / 2)
    window = window * volumes(elements, spacing)[:, None, None]
    flat = f.reshape(*f.shape[: -1 - n], x.shape[-2], f.shape[-1]).astype(elements.dtype)
    return jnp.einsum("...gpk,...gpc->...gkc", window, flat, precision="highest").astype(f.dtype)


def interior(nodes: Nodes, reach: float) -> Nodes:
    """The same nodes, with weight zero where a kernel of that reach sees beyond the edge of the window.

    The window ends at the largest ‖X‖ of the nodes A = e^X R; nodes within `reach` of it are left out. This is "valid"
    in H: what is integrated, pooled or normalized with these weights does not depend on the zeros beyond the window,
    nor on the last layer's wrong values. Each layer needs its own reach.

    Args:
        nodes: Matrices and weights.
        reach: Largest ‖X‖ where the kernel is not zero.

    Raises:
        ValueError: If no node is left, where the numbers are known; elsewhere the weights are NaN then.

    Examples:
        >>> scales = jnp.exp(jnp.linspace(-1.0, 1.0, 5))[:, None, None] * jnp.eye(1)
        >>> print(interior((scales, jnp.ones(5)), reach=0.5)[1])
        [0. 1. 1. 1. 0.]
    """
    elements, weights = checked_nodes("nodes", nodes)
    size = jnp.sqrt(stretch(elements))
    edge = jnp.max(jnp.where(weights > 0, size, 0))
    kept = (size <= edge - reach + 8 * jnp.finfo(size.dtype).eps) & (weights > 0)
    if not isinstance(kept, jax.core.Tracer) and not kept.any():
        raise ValueError(f"reach: the nodes end at ‖X‖ = {edge:.2g}; none is left, take less than {reach}")
    left = jnp.where(kept, weights, 0).astype(jnp.result_type(nodes[1]))
    return nodes[0], jnp.where(kept.any(), left, jnp.nan)


def normalize(
    f: Float[Array | np.ndarray, "*batch_group_space_channels"], nodes: Nodes, *, epsilon: float = 1e-5
) -> Float[Array, "*batch_group_space_channels"]:
    """Each channel with mean zero and variance one over the group and space, each sample by itself.

    The mean over the group is Σ_j w_j f(A_j) / Σ_j w_j, so that it converges with the nodes and moves with the input.

    Examples:
        >>> from equijax import groups
        >>> f = jnp.arange(4.0 * 9).reshape(4, 3, 3, 1)
        >>> print(abs(normalize(f, groups.SO(2).nodes(4)).mean()) < 1e-6)
        True
    """
    f, (elements, weights) = floating("f", f), checked_nodes("nodes", nodes)
    n = elements.shape[-1]
    weights = _along("f", f, _shares(weights).astype(f.dtype), n)
    space = tuple(range(-1 - n, -1))

    def mean(y):
        return jnp.sum(weights * jnp.mean(y, axis=space, keepdims=True), axis=-2 - n, keepdims=True)

    centered = f - mean(f)
    return centered * jax.lax.rsqrt(mean(centered**2) + epsilon)


def _shares(weights):
    """Weights that sum to one; NaN where they sum to nothing and are not known."""
    total = jnp.sum(weights)
    if not isinstance(total, jax.core.Tracer) and not total > 0:
        raise ValueError(f"nodes: expected weights with a positive sum, got {total}")
    return jnp.where(total > 0, weights / jnp.where(total > 0, total, 1), jnp.nan)


def _along(name, f, weights, n):
    """Weights in the shape of the group axis of a feature."""
    if f.ndim < n + 2 or f.shape[-2 - n] != len(weights):
        raise ValueError(f"{name}: expected {len(weights)} nodes along axis {-2 - n}, got shape {f.shape}")
    return weights.reshape(-1, *(1,) * (n + 1))

"""Lifting and group correlation on images, for any group ℝⁿ ⋊ H of affine maps.

A feature on the group is an array (..., group, space, channels): its values at the elements (t, A_i), t a pixel and
A_i a node of H. Nodes are pairs (elements, weights), an argument like the image: other nodes do not compile again.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax._validate import floating, integer, positive
from equijax.groups import AffineElement
from equijax.groups.decompositions import invertible
from equijax.lie.grid import convolve, convolve_channels, pixels

Nodes: TypeAlias = Any  # a pair: matrices (nodes, n, n) and weights (nodes,)


class Separable(NamedTuple):
    """A kernel k(x, A) = k_space(x) k_group(A), each a correlation with a part of the group.

    With C channels, N nodes and a stencil of U pixels the full kernel costs (C N)² U products a pixel, this one
    (C N)² + C N U, and with `channels` as well C N² + C² N + C N U.
    """

    space: Callable
    """(..., n) → (..., features): acts on each channel of the result by itself."""
    group: Callable
    """(..., n, n) → (..., channels, features), or (..., channels) if `channels` is given."""
    channels: Array | None = None
    """Matrix (channels, features), or None."""


def lift(
    x: Float[Array | np.ndarray, "*batch_space_channels"],
    kernel: Callable,
    nodes: Nodes,
    *,
    size: int = 7,
    stride: int = 1,
    padding: str = "zero",
    spacing: float = 1.0,
) -> Float[Array, "*batch_group_space_features"]:
    """Correlate an image with the moved copies of a kernel:

        y(t, A_i) = ‖det A_i‖⁻¹ ∫ x(s) k(A_i⁻¹ (s − t)) ds .

    The factor is forced: with it, and no other, moving x by any affine map moves y.

    Args:
        x: Image, shape (..., space, channels) with n axes of space, such as (..., height, width, channels).
        kernel: k, from points (..., n) to matrices (..., channels, features). Points are in the unit of `spacing`, x
            to the right and y up, as in `reps.Image`.
        nodes: Pair of matrices A_i, shape (nodes, n, n), and weights (nodes,), such as `group.linear.nodes(10)`. The
            weights are not used here: they belong to the integral over what comes out.
        size: Pixels of the stencil along each axis. Outside of it the moved kernel is cut off, and symmetry with it:
            it should hold A_i supp(k).
        stride: Keep every `stride`-th pixel.
        padding: "zero" or "wrap" beyond the edges, or "valid": only where the stencil fits.
        spacing: Distance of neighboring pixels.

    Returns:
        y at the nodes, shape (..., nodes, space, features), in the dtype of x.

    Raises:
        TypeError: If `x` is not floating-point, or `nodes` has no weights.
        ValueError: If shapes do not agree, the stencil is larger than the image, or it cannot be centered.

    References:
        MacDonald, Ramasinghe and Lucey 2022, arXiv:2111.08251, eq. 7; Bekkers 2020, arXiv:1909.12057, eq. 6.

    Examples:
        >>> from equijax import groups
        >>> edges = lambda x: (x[..., :1] * jnp.exp(-jnp.sum(x**2, -1, keepdims=True)))[..., None]  # along x
        >>> lift(jnp.ones((6, 6, 1)), edges, groups.SO(2).nodes(4), size=5).shape  # four directions
        (4, 6, 6, 1)
    """
    x = floating("x", x)
    elements, _ = checked_nodes("nodes", nodes)
    lead, space = _split("x", x, 0, elements.shape[-1])
    filters = kernel(stencil_points(elements, size, spacing)) * volumes(elements, spacing)[:, None, None, None]
    count, points, channels, features = _shape("kernel", filters, x, (len(elements), size ** elements.shape[-1]))
    filters = jnp.moveaxis(filters, 0, 2).reshape(points, channels, count * features)  # a feature a node and feature
    y = convolve(x.reshape(math.prod(lead), *space, channels), filters.astype(x.dtype), size, stride, padding)
    return _unfold(y, count).reshape(*lead, count, *y.shape[1:-1], features)


def correlate(
    f: Float[Array | np.ndarray, "*batch_group_space_channels"],
    kernel: Callable | Separable,
    nodes: Nodes,
    *,
    outputs: object = None,
    size: int = 7,
    stride: int = 1,
    padding: str = "zero",
    spacing: float = 1.0,
) -> Float[Array, "*batch_group_space_features"]:
    """Correlate a feature on the group with a kernel on the group:

        y(g) = ∫ f(g̃) k(g⁻¹ g̃) dg̃   over the left Haar measure  ‖det Ã‖⁻¹ dt̃ dμ(Ã)

        y(t, A_i) ≈ ‖det A_i‖⁻¹ Σ_j w_j Σ_s f(s, A_j) k(A_i⁻¹ (s − t), A_i⁻¹ A_j) spacing^n ,

    where ‖det A_i⁻¹ A_j‖⁻¹, a function of the group argument, is left to k.

    The integral over H is cut off where the nodes end, as that over space is at the edges of an image: nodes near the
    edge of their window see zeros beyond it ("zero" padding in H). `interior` sets their weights to zero, and `outputs`
    computes only the nodes of a smaller window; both are "valid" in H.

    Args:
        f: Feature, shape (..., nodes, space, channels).
        kernel: k, from `AffineElement(translation (..., n), linear (..., n, n))`, whose leading axes broadcast, to
            matrices (..., channels, features); or a `Separable` kernel, which is much cheaper.
        nodes: Matrices A_j, shape (nodes, n, n), and weights (nodes,), where f is given.
        outputs: Matrices A_i where y is wanted; those of `nodes` if None.
        size: As for `lift`.
        stride: As for `lift`.
        padding: As for `lift`.
        spacing: As for `lift`.

    Returns:
        y at the output nodes, shape (..., outputs, space, features), in the dtype of f.

    Raises:
        TypeError: If `f` is not floating-point, or `nodes` has no weights.
        ValueError: If shapes do not agree, the stencil is larger than the image, or it cannot be centered.

    References:
        Bekkers 2020, arXiv:1909.12057, eq. 7; Knigge, Romero and Bekkers 2022, arXiv:2110.13059 (separable kernels).

    Examples:
        >>> from equijax import groups
        >>> near = lambda x: jnp.exp(-jnp.sum(x**2, -1, keepdims=True))  # in space
        >>> ahead = lambda a: a[..., :1, :1]  # the cosine of the turn from one node to another, for one channel
        >>> kernel = Separable(space=near, group=ahead)
        >>> correlate(jnp.ones((4, 6, 6, 1)), kernel, groups.SO(2).nodes(4), size=5).shape
        (4, 6, 6, 1)
    """
    f = floating("f", f)
    elements, weights = checked_nodes("nodes", nodes)
    outputs = elements if outputs is None else checked_elements("outputs", outputs, elements.shape[-1])
    lead, space = _split("f", f, len(elements), elements.shape[-1])
    f = f.reshape(math.prod(lead), len(elements), *space, f.shape[-1])
    # A_i⁻¹ u, (outputs, points, n), and A_i⁻¹ A_j, (outputs, nodes, n, n)
    points, moved = stencil_points(outputs, size, spacing), relative(elements, outputs)
    volume = volumes(outputs, spacing)
    if isinstance(kernel, Separable):
        y = _mix(f, kernel, moved, weights)  # (outputs · features, batch, space)
        filters = kernel.space(points) * volume[:, None, None]
        count, features = len(outputs), len(y) // len(outputs)
        if filters.shape != (*points.shape[:2], features):
            raise ValueError(f"kernel.space: expected shape (..., {features}), got {filters.shape}")
        filters = jnp.moveaxis(filters, 0, 1).reshape(-1, count * features)  # (points, outputs · features)
        y = convolve_channels(y, filters.astype(f.dtype), size, stride, padding)
        y = jnp.moveaxis(y.reshape(count, features, *y.shape[1:]), (0, 1), (1, -1))  # (batch, outputs, space, features)
    else:
        filters = kernel(AffineElement(points[:, None], moved[:, :, None]))
        filters = filters * (volume[:, None] * weights)[..., None, None, None]
        count, given, places, channels, features = _shape("kernel", filters, f, (*moved.shape[:2], points.shape[1]))
        # (outputs, nodes, points, channels, features) → (points, nodes · channels, outputs · features)
        filters = jnp.transpose(filters, (2, 1, 3, 0, 4)).reshape(places, given * channels, count * features)
        y = _unfold(convolve(_fold(f), filters.astype(f.dtype), size, stride, padding), count)
    return y.reshape(*lead, *y.shape[1:])


def stencil_points(
    elements: Float[Array | np.ndarray, "nodes n n"], size: int, spacing: float = 1.0
) -> Float[Array, "nodes points n"]:
    """A_i⁻¹ u for the points u of the stencil, rows in row-major order of the pixels: where kernels are evaluated.

    Raises:
        TypeError: If the elements are not floating-point.
        ValueError: If they are no invertible matrices, or the size or the spacing is not positive.

    Examples:
        >>> print(stencil_points(2 * jnp.eye(1)[None], 3)[0, :, 0])
        [-0.5  0.   0.5]
    """
    elements = checked_elements("elements", elements)
    n = elements.shape[-1]
    positive("spacing", spacing)
    points = spacing * pixels((integer("size", size, 1),) * n)
    return jnp.einsum("iab,ub->iua", jnp.linalg.inv(elements), points.astype(elements.dtype), precision="highest")


def relative(
    elements: Float[Array | np.ndarray, "nodes n n"], outputs: Float[Array | np.ndarray, "outputs n n"]
) -> Float[Array, "outputs nodes n n"]:
    """A_i⁻¹ A_j for output nodes i and input nodes j: the group argument of kernels.

    Raises:
        TypeError: If the elements or the outputs are not floating-point.
        ValueError: If they are no invertible matrices of one size.

    Examples:
        >>> scales = jnp.array([1.0, 2.0])[:, None, None]
        >>> relative(scales, scales)[..., 0, 0].tolist()
        [[1.0, 2.0], [0.5, 1.0]]
    """
    elements = checked_elements("elements", elements)
    outputs = checked_elements("outputs", outputs, elements.shape[-1])
    return jnp.einsum("iab,jbc->ijac", jnp.linalg.inv(outputs), elements, precision="highest")


def volumes(elements: Float[Array, "nodes n n"], spacing: float = 1.0) -> Float[Array, " nodes"]:
    """Volume of a pixel as the moved kernels see it, spacing^n / ‖det A_i‖."""
    return spacing ** elements.shape[-1] / jnp.abs(jnp.linalg.det(elements))


def checked_nodes(name: str, nodes: object) -> tuple[Float[Array, "nodes n n"], Float[Array, " nodes"]]:
    """Matrices and weights, at least in float32.

    Raises:
        TypeError: If there are no weights.
        ValueError: If the elements are no matrices, a matrix is singular, or the weights are not one a node, or not
            finite.
    """
    if not isinstance(nodes, tuple | list) or len(nodes) != 2 or isinstance(nodes, AffineElement):
        raise TypeError(
            f"{name}: expected a pair (elements, weights) such as group.linear.nodes(10), got {type(nodes).__name__}; "
            "sums without the weights of the Haar measure do not become equivariant with more nodes"
        )
    elements, weights = nodes
    if isinstance(elements, AffineElement):
        raise ValueError(
            f"{name}: the pixels are the translations; pass nodes of the linear part, group.linear.nodes(n)"
        )
    if weights is None:
        raise TypeError(f"{name}: the weights are None; group.nodes gives elements and weights of the Haar measure")
    elements = checked_elements(name, elements)
    return elements, checked_weights(name, weights, len(elements))


def checked_weights(name: str, weights: object, count: int) -> Float[Array, " nodes"]:
    """Finite weights, one a node, at least in float32."""
    found = _wide(floating(name, weights))
    if not isinstance(found, jax.core.Tracer) and not np.isfinite(np.asarray(found)).all():
        raise ValueError(f"{name}: expected finite weights, got NaN or infinity")
    if found.shape != (count,):
        raise ValueError(f"{name}: expected {count} weights, one a node, got shape {found.shape}")
    return found


def checked_elements(name: str, elements: object, n: int | None = None) -> Float[Array, "nodes n n"]:
    """Invertible matrices along one leading axis, n × n if `n` is given, at least in float32."""
    if isinstance(elements, tuple | list):
        raise TypeError(f"{name}: expected matrices alone, shape (nodes, n, n), got {type(elements).__name__}")
    found = _wide(floating(name, elements))
    shape = found.shape
    if len(shape) != 3 or not len(found) or shape[1] != shape[2] or n not in (None, shape[1]):
        wanted = "n, n" if n is None else f"{n}, {n}"
        raise ValueError(f"{name}: expected matrices of shape (nodes, {wanted}), got {shape}")
    return invertible(name, found)


def _mix(f, kernel, moved, weights):
    """Σ_j w_j f(A_j) k_group(A_i⁻¹ A_j), pixel by pixel: (outputs · features, batch, space)."""
    mixing = kernel.group(moved) * weights.reshape(-1, *(1,) * (1 if kernel.channels is not None else 2))
    if kernel.channels is None:
        outputs, nodes, channels, features = _shape("kernel.group", mixing, f, moved.shape[:2])
        # (outputs, nodes, channels, features) → (nodes · channels, outputs · features): one product for every pixel
        matrix = jnp.moveaxis(mixing, 0, 2).reshape(nodes * channels, outputs * features)
        # channels first before the product too, or XLA turns the larger cotangent of what comes after it instead;
        # batch and space are merged and parted by themselves, as an explicit mesh that splits the batch asks for
        rows = jax.lax.optimization_barrier(jnp.moveaxis(f, (1, -1), (0, 1)))
        batch, *space = rows.shape[2:]
        rows = rows.reshape(nodes * channels, batch, *space).reshape(nodes * channels, batch * math.prod(space))
        y = jnp.einsum("kp,kd->dp", rows, matrix.astype(f.dtype), precision="highest")
        return y.reshape(len(y), batch, math.prod(space)).reshape(len(y), batch, *space)
    if mixing.shape[-1] != f.shape[-1]:
        raise ValueError(f"kernel.group: expected shape (..., {f.shape[-1]}), got {mixing.shape}")
    if jnp.ndim(kernel.channels) != 2 or len(kernel.channels) != f.shape[-1]:
        raise ValueError(f"kernel.channels: expected ({f.shape[-1]}, features), got {jnp.shape(kernel.channels)}")
    # nodes first, then channels: each a small product
    y = jnp.einsum("bj...c,ijc->ib...c", f, mixing.astype(f.dtype), precision="highest")
    y = jnp.einsum("i...c,cd->id...", y, jnp.asarray(kernel.channels).astype(f.dtype), precision="highest")
    return y.reshape(len(y) * y.shape[1], *y.shape[2:])


def _fold(f):
    """(batch, group, space, channels) → (batch, space, group · channels)."""
    y = jnp.moveaxis(f, 1, -2)
    return y.reshape(*y.shape[:-2], y.shape[-2] * y.shape[-1])


def _unfold(y, count):
    """Inverse of `_fold`."""
    return jnp.moveaxis(y.reshape(*y.shape[:-1], count, y.shape[-1] // count), -2, 1)


def _split(name, x, group, n):
    """Leading axes and axes of space of a feature, with `group` nodes if that is not zero."""
    kept = n + 1 + bool(group)
    if x.ndim < kept:
        axes = ", ".join([f"{group} nodes"] * bool(group) + [f"{n} axes of space", "channels"])
        raise ValueError(f"{name}: expected shape (..., {axes}) for nodes of {n} x {n} matrices, got {x.shape}")
    if group and x.shape[-kept] != group:
        raise ValueError(f"{name}: expected {group} nodes along axis {-kept}, got shape {x.shape}")
    return x.shape[: x.ndim - kept], x.shape[x.ndim - n - 1 : -1]


def _shape(name, filters, x, lead):
    if filters.shape[:-1] != (*lead, x.shape[-1]):
        wanted = ", ".join(map(str, (*lead, x.shape[-1])))
        raise ValueError(f"{name}: expected matrices ({wanted}, features) for its arguments, got shape {filters.shape}")
    return filters.shape


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))

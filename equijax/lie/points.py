"""Lifting and group correlation on scattered points."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from equijax._validate import floating, integer
from equijax.groups import AffineElement
from equijax.lie.correlation import Nodes, checked_elements, checked_nodes, checked_weights
from equijax.numerics import det, inv, matmul


def lift_points(
    positions: Float[Array | np.ndarray, "points n"],
    values: Float[Array | np.ndarray, "rows channels"],
    nodes: Nodes,
    volumes: ArrayLike | None = None,
) -> tuple[Float[Array, "elements channels"], tuple[AffineElement, Float[Array, " elements"]]]:
    """Values at points as a feature on the group: each point x carries its value to all elements (x, A_j).

    Args:
        positions: One point a row.
        values: One value a row.
        nodes: Matrices A_j and weights of H.
        volumes: Volume that each point stands for, (points,); ones if None, zeros for padding.

    Returns:
        The feature at all elements, points first, and the nodes of the group: elements, and weights of the left Haar
        measure, w_j volume / ‖det A_j‖.

    Raises:
        TypeError: If `nodes` has no weights.
        ValueError: If positions and nodes differ in dimension, or values or volumes are not one a point.

    Examples:
        >>> from equijax import groups
        >>> f, (elements, weights) = lift_points(jnp.zeros((5, 2)), jnp.ones((5, 3)), groups.SO(2).nodes(4))
        >>> f.shape, elements.linear.shape, weights.shape
        ((20, 3), (20, 2, 2), (20,))
    """
    positions, values = floating("positions", positions), floating("values", values)
    elements, weights = checked_nodes("nodes", nodes)
    if positions.ndim != 2 or positions.shape[-1] != elements.shape[-1]:
        raise ValueError(f"positions: expected shape (points, {elements.shape[-1]}), got {positions.shape}")
    if values.ndim != 2 or len(values) != len(positions):
        raise ValueError(f"values: expected shape ({len(positions)}, channels), one row a point, got {values.shape}")
    shape = (len(positions), len(elements))
    volumes = jnp.ones(len(positions), weights.dtype) if volumes is None else floating("volumes", volumes)
    if volumes.shape != shape[:1]:
        raise ValueError(f"volumes: expected shape ({len(positions)},), one a point, got {volumes.shape}")
    weights = volumes[:, None] * weights / jnp.abs(det(elements))
    everywhere = AffineElement(
        jnp.broadcast_to(positions[:, None], (*shape, positions.shape[-1])),
        jnp.broadcast_to(elements.astype(positions.dtype), (*shape, *elements.shape[1:])),
    )
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), everywhere)
    return jnp.repeat(values, len(elements), axis=0), (flat, weights.reshape(-1))


def nearest(
    elements: AffineElement, most: int, *, outputs: AffineElement | None = None, radius: float | None = None
) -> tuple[Int[Array, "outputs most"], Bool[Array, ""]]:
    """The neighborhood of each output element g: the `most` elements g̃ with the smallest ‖translation of g⁻¹ g̃‖.

    That is a function of g⁻¹ g̃, so that moving all elements moves nothing here.

    Returns:
        Indices of the neighbors, and a flag: True if some neighborhood holds more than `most` elements within
        `radius`. With a window that vanishes from there on the list loses nothing unless the flag is set.

    Raises:
        TypeError: If the elements are no `AffineElement`.
        ValueError: If there are less than `most` elements, or shapes do not agree.

    Examples:
        >>> from equijax import groups
        >>> elements = groups.SE(1).identity((3,))._replace(translation=jnp.array([[0.0], [1.0], [5.0]]))
        >>> nearest(elements, 2, radius=2.0)[0].tolist()
        [[0, 1], [1, 0], [2, 1]]
    """
    n = _checked("elements", elements)
    outputs = elements if outputs is None else outputs
    _checked("outputs", outputs, n)
    if integer("most", most, 1) > len(elements.linear):
        raise ValueError(f"most: expected at most the {len(elements.linear)} elements that there are, got {most}")
    t = _between(outputs, elements, jnp.arange(len(elements.linear))[None]).translation
    squares = jnp.sum(t**2, axis=-1)
    index = jax.lax.top_k(-squares, most)[1]
    within = jnp.sum(squares < (jnp.inf if radius is None else radius**2), axis=-1)
    return index, jnp.max(within) > most if radius is not None else jnp.asarray(False)


def correlate_points(
    f: Float[Array | np.ndarray, "rows channels"],
    kernel: Callable,
    nodes: Nodes,
    neighbors: Int[Array, "outputs most"] | None = None,
    *,
    outputs: AffineElement | None = None,
    window: Callable | None = None,
) -> Float[Array, "outputs features"]:
    """Correlate a feature at scattered elements of the group with a kernel:

        y(g_i) = Σ_j w_j m_ij k(g_i⁻¹ g_j) f(g_j)  (/ Σ_j w_j m_ij  with a window) ,   m_ij = window(g_i⁻¹ g_j) .

    With all elements and no window this is the quadrature of `correlate` on any points. A window makes it a mean over
    the neighborhood, which does not depend on how densely the points lie. It is exact under every element of the
    group if positions and frames move together, with any number of nodes.

    Args:
        f: Feature, one element a row.
        kernel: k, from `AffineElement`, whose leading axes broadcast, to matrices (..., channels, features).
        nodes: Pair of elements and weights, as from `lift_points`.
        neighbors: Indices of the elements that each output sees, as from `nearest`; all if None.
        outputs: Elements where y is wanted; those of `nodes` if None.
        window: A smooth function of g⁻¹ g̃ that vanishes before the neighborhood ends.

    Raises:
        TypeError: If `nodes` has no weights, or the elements are no `AffineElement`.
        ValueError: If the feature is not one row an element, the kernel has other channels, or shapes do not agree.

    References:
        Finzi, Stanton, Izmailov and Wilson 2020, arXiv:2002.12880, eq. 7, with g_j⁻¹ g_i for g_i⁻¹ g_j.

    Examples:
        >>> from equijax import groups
        >>> f, nodes = lift_points(jnp.zeros((2, 2)), jnp.ones((2, 3)), groups.SO(2).nodes(4))  # (8, 3), 3 channels
        >>> kernel = lambda g: jnp.ones((*g.linear.shape[:-2], 3, 1))
        >>> print(correlate_points(f, kernel, nodes)[:, 0])  # the weights of two points sum to two
        [6. 6. 6. 6. 6. 6. 6. 6.]
    """
    f = floating("f", f)
    if isinstance(nodes, AffineElement) or not isinstance(nodes, tuple | list) or len(nodes) != 2 or nodes[1] is None:
        raise TypeError("nodes: expected a pair (elements, weights), as from lift_points, got no weights")
    elements, weights = nodes
    n = _checked("nodes", elements)
    weights = checked_weights("nodes", weights, len(elements.linear))
    if f.ndim != 2 or len(f) != len(weights):
        raise ValueError(f"f: expected shape ({len(weights)}, channels), one row an element, got {f.shape}")
    outputs = elements if outputs is None else outputs
    _checked("outputs", outputs, n)
    if neighbors is not None and (jnp.ndim(neighbors) != 2 or len(neighbors) not in (1, len(outputs.linear))):
        raise ValueError(
            f"neighbors: expected shape ({len(outputs.linear)}, most), one row an output, got {jnp.shape(neighbors)}"
        )
    neighbors = jnp.arange(len(f))[None] if neighbors is None else neighbors
    if not isinstance(neighbors, jax.core.Tracer):
        wrong = np.setdiff1d(neighbors, np.arange(len(f)))
        if wrong.size:
            raise ValueError(f"neighbors: expected indices from 0 to {len(f) - 1}, got {wrong[0]}")
    between = _between(outputs, elements, neighbors)  # g_i⁻¹ g_j, leading axes (outputs, most)
    k = kernel(between)  # (outputs, most, channels, features)
    if k.shape[-2] != f.shape[-1]:
        raise ValueError(f"kernel: expected matrices (..., {f.shape[-1]}, features), got shape {k.shape}")
    w = weights[neighbors]
    if window is not None:
        w = w * window(between)
        largest = jax.lax.stop_gradient(jnp.max(w, axis=-1, keepdims=True, initial=0))
        w = w / jnp.where(largest > 0, largest, 1)  # near the end of the window all are so small that squares vanish
        total = jnp.sum(w, axis=-1, keepdims=True)
        w = w / jnp.where(total > 0, total, 1)
    w = jnp.broadcast_to(w, k.shape[:2])
    # each output by its neighbors, (outputs, most, channels); axes of length one are those of a kernel that broadcasts
    seen = jnp.broadcast_to(f[neighbors], (*k.shape[:2], f.shape[-1]))
    return jnp.einsum("im,imco,imc->io", w.astype(f.dtype), k.astype(f.dtype), seen, precision="highest")


def _checked(name, elements, n=None):
    """Dimension of space of elements of ℝⁿ ⋊ H along one axis."""
    if not isinstance(elements, AffineElement):
        raise TypeError(f"{name}: expected an AffineElement, as from lift_points, got {type(elements).__name__}")
    n = checked_elements(name, elements.linear, n).shape[-1]
    if jnp.shape(elements.translation) != (len(elements.linear), n):
        expected = (len(elements.linear), n)
        raise ValueError(f"{name}: expected translations of shape {expected}, got {jnp.shape(elements.translation)}")
    return n


def _between(outputs, elements, neighbors):
    """g_i⁻¹ g_j for each output i and its neighbors j."""
    there = jax.tree.map(lambda x: x[neighbors], elements)
    inverse = inv(outputs.linear)[:, None]
    apart = there.translation - outputs.translation[:, None]
    return AffineElement(
        jnp.einsum(
            "imab,imb->ima",
            jnp.broadcast_to(inverse, (*apart.shape[:2], *inverse.shape[2:])),
            apart,
            precision="highest",
        ),
        matmul(inverse, there.linear),
    )

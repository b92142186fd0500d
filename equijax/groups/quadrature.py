"""Points of the unit cube that groups map to their quadrature nodes, nodes of rotations, and what weights are worth."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax._validate import random_key
from equijax.groups.constants import plane_rotation

NODE_METHODS = ("quasi", "equispaced", "gauss", "stratified", "random")


def check_method(method: str) -> None:
    """Raise a ValueError unless there is such a method of `nodes`."""
    if method not in ("auto", *NODE_METHODS):
        raise ValueError(f"method: expected 'auto' or one of {', '.join(map(repr, NODE_METHODS))}, got {method!r}")


def cube_points(
    method: str, n: int, dim: int, key: PRNGKeyArray | None, dtype: DTypeLike
) -> tuple[Float[Array, "points dim"], Float[Array, " points"]]:
    """At most n points inside of the unit cube, with weights that sum to one.

    "quasi", which is "auto": Kronecker's sequence. "equispaced": a grid of equal cells with a point in the middle of
    each. "gauss": the product rule of Gauss and Legendre. "stratified": a Latin hypercube, one point in each of n
    slices of every axis. "random": independent points. The first two move by a random vector modulo the cube if a key
    is given; the last two need one.

    Raises:
        ValueError: If the method is unknown, or a key is missing or of no use.

    Examples:
        >>> points, weights = cube_points("equispaced", 4, 2, None, jnp.float32)
        >>> print(points.tolist(), weights)
        [[0.25, 0.25], [0.25, 0.75], [0.75, 0.25], [0.75, 0.75]] [0.25 0.25 0.25 0.25]
    """
    check_method(method)
    if method == "gauss" and key is not None:
        raise ValueError("key: the nodes of method='gauss' do not move; leave out the key")
    if key is not None:
        random_key("key", key)
    dtype = jnp.promote_types(dtype, jnp.float32)  # few digits would put points on each other
    weights = jnp.full(n, 1 / n, dtype)
    if method in ("stratified", "random"):
        if key is None:
            raise ValueError(f"key: method={method!r} draws its nodes at random and needs a key")
        points = _stratified(n, dim, key, dtype) if method == "stratified" else jax.random.uniform(key, (n, dim), dtype)
    elif method in ("quasi", "auto"):
        points = jnp.asarray(kronecker(n, dim), dtype)
    else:
        side = max(1, int(n ** (1 / max(1, dim)) + 1e-9))  # points along each axis
        x, w = _gauss(side) if method == "gauss" else ((np.arange(side) + 0.5) / side, np.full(side, 1 / side))
        places = np.indices((side,) * dim).reshape(dim, -1).T  # (points, dim), which x along each axis
        points, weights = jnp.asarray(x[places], dtype), jnp.asarray(np.prod(w[places], axis=-1), dtype)
    if key is not None and method in ("quasi", "auto", "equispaced"):
        points = (points + jax.random.uniform(key, (dim,), dtype)) % 1
    edge = jnp.finfo(dtype).eps  # quantiles of the normal law are infinite at 0 and 1
    points = jnp.clip(points, edge, 1 - edge)
    return points, weights


@functools.cache
def kronecker(n: int, dim: int) -> np.ndarray:
    """n quasi-random points of the unit cube, frac(j (1/φ, …, 1/φ^dim)) with φ^{dim+1} = φ + 1, j = 1..n."""
    phi = 2.0  # φ ← (1 + φ)^(1 / (dim + 1)) contracts to the root
    for _ in range(64):
        phi = (1 + phi) ** (1 / (dim + 1))
    return np.outer(np.arange(1, n + 1), phi ** -np.arange(1.0, dim + 1)) % 1


@functools.cache
def rotation_nodes(n: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `count` rotations of ℝⁿ with weights that sum to one; see `SO.nodes`."""
    if n == 1:
        return np.ones((1, 1, 1)), np.ones(1)
    if n == 2:
        angles = 2 * np.pi * np.arange(count) / count
        return plane_rotation(angles), np.full(count, 1 / count)
    if n == 3:
        return _euler_grid(max(d for d in range(count) if d == 0 or (d + 1) ** 2 * (d // 2 + 1) <= count))
    normal = scipy.special.ndtri(kronecker(count, n * n)).reshape(count, n, n)
    # Q of a matrix of normal numbers is Haar distributed if R has a positive diagonal
    q, r = np.linalg.qr(normal)
    q = q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[:, None, :]
    q[:, :, 0] *= np.linalg.det(q)[:, None].round()
    return q, np.full(count, 1 / count)


def effective_size(weights: Float[Array, "*batch nodes"]) -> Float[Array, "*batch"]:
    """(Σ w)² / Σ w²: the number of equal weights that would average as well.

    Where it is less than a quarter of the number of nodes too few of them count: make the window smaller.

    Examples:
        >>> print(effective_size(jnp.array([0.5, 0.5, 0.0])))
        2.0
    """
    return jnp.sum(weights, axis=-1) ** 2 / jnp.sum(weights**2, axis=-1)


def _euler_grid(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotations z(α) y(β) z(γ): equispaced α and γ, Gauss-Legendre cos β; exact for Wigner functions up to `degree`."""
    turns = plane_rotation(2 * np.pi * np.arange(degree + 1) / (degree + 1))
    about_z = np.tile(np.eye(3), (degree + 1, 1, 1))
    about_z[:, :2, :2] = turns
    cosine, weight = np.polynomial.legendre.leggauss(degree // 2 + 1)
    about_y = np.tile(np.eye(3), (len(cosine), 1, 1))
    about_y[:, ::2, ::2] = np.swapaxes(plane_rotation(np.arccos(cosine)), 1, 2)
    nodes = np.einsum("aij,bjk,ckl->abcil", about_z, about_y, about_z).reshape(-1, 3, 3)
    weights = np.broadcast_to(weight[:, None] / 2 / (degree + 1) ** 2, (degree + 1, len(cosine), degree + 1))
    return nodes, weights.reshape(-1)


def _stratified(n, dim, key, dtype):
    """A random point in each of n slices of every axis, the slices of each axis in an order of its own."""
    key_order, key_place = jax.random.split(key)
    slices = jax.random.permutation(key_order, jnp.tile(jnp.arange(n)[:, None], (1, dim)), independent=True)
    return (slices + jax.random.uniform(key_place, (n, dim), dtype)) / n


def _gauss(n):
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(n)
    return (x + 1) / 2, w / 2

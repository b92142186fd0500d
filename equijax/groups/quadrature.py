"""Points of the unit cube that groups map to their quadrature nodes, nodes of rotations, and what weights are worth."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Array, Float

from equijax.groups.constants import plane_rotation

METHODS = ("quasi", "equispaced", "gauss", "stratified", "random")


def cube_points(
    method: str, n: int, dim: int, key: Any, dtype: Any
) -> tuple[Float[Array, "points dim"], Float[Array, " points"]]:
    """At most n points inside of the unit cube, with weights that sum to one.

    "quasi": Kronecker's sequence. "equispaced": a grid of equal cells with a point in the middle of each. "gauss": the
    product rule of Gauss and Legendre. "stratified": a Latin hypercube, one point in each of n slices of every axis.
    "random": independent points. The first two move by a random vector modulo the cube if a key is given; the last two
    need one.

    Raises:
        ValueError: If the method is unknown, or a key is missing or of no use.
    """
    if method not in METHODS:
        raise ValueError(f"method: expected 'auto' or one of {', '.join(map(repr, METHODS))}, got {method!r}")
    if method in ("stratified", "random") and key is None:
        raise ValueError(f"key: method={method!r} draws its nodes at random and needs a key")
    if method == "gauss" and key is not None:
        raise ValueError("key: the nodes of method='gauss' do not move; leave out the key")
    dtype = jnp.promote_types(dtype, jnp.float32)
    weights = jnp.full(n, 1 / n, dtype)
    if method == "random":
        points = jax.random.uniform(key, (n, dim), dtype)
    elif method == "stratified":
        key_order, key_place = jax.random.split(key)
        slices = jax.random.permutation(key_order, jnp.tile(jnp.arange(n)[:, None], (1, dim)), independent=True)
        points = (slices + jax.random.uniform(key_place, (n, dim), dtype)) / n
    elif method == "quasi":
        points = jnp.asarray(kronecker(n, dim), dtype)
    else:
        side = max(1, int(n ** (1 / max(1, dim)) + 1e-9))
        x, w = _gauss(side) if method == "gauss" else ((np.arange(side) + 0.5) / side, np.full(side, 1 / side))
        places = np.indices((side,) * dim).reshape(dim, -1).T
        points, weights = jnp.asarray(x[places], dtype), jnp.asarray(np.prod(w[places], axis=-1), dtype)
    if key is not None and method in ("quasi", "equispaced"):
        points = (points + jax.random.uniform(key, (dim,), dtype)) % 1
    edge = jnp.finfo(dtype).eps
    points = jnp.clip(points, edge, 1 - edge)
    return points, weights


@functools.cache
def kronecker(n: int, dim: int) -> np.ndarray:
    """n quasi-random points of the unit cube, frac(j (1/φ, …, 1/φ^dim)) with φ^{dim+1} = φ + 1, j = 1..n."""
    phi = 2.0
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
    q, r = np.linalg.qr(normal)
    q = q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[:, None, :]
    q[:, :, 0] *= np.linalg.det(q)[:, None].round()
    return q, np.full(count, 1 / count)


def effective_size(weights: Float[Array, "*batch nodes"]) -> Float[Array, "*batch"]:
    """(Σ w)² / Σ w²: the number of equal weights that would average as well.

    Where it is less than a quarter of the number of nodes too few of them count: make the window smaller.
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


def _gauss(n):
    x, w = np.polynomial.legendre.leggauss(n)
    return (x + 1) / 2, w / 2

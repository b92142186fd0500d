"""Points of the unit cube that groups map to their quadrature nodes, and what weights are worth."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax.numerics.linear_algebra import kronecker

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


def effective_size(weights: Float[Array, "*batch nodes"]) -> Float[Array, "*batch"]:
    """(Σ w)² / Σ w²: the number of equal weights that would average as well.

    Where it is less than a quarter of the number of nodes too few of them count: make the window smaller.
    """
    return jnp.sum(weights, axis=-1) ** 2 / jnp.sum(weights**2, axis=-1)


def _gauss(n):
    x, w = np.polynomial.legendre.leggauss(n)
    return (x + 1) / 2, w / 2

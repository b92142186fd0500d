"""Unit quaternions (w, x, y, z), and the rotations of space that they stand for: q and −q for the same one."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from equijax.numerics import angle_over_sine, matmul


def quaternion(r: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 4"]:
    """The unit quaternion (w, x, y, z) of a rotation, w ≥ 0; the row of q qᵀ with the most digits gives it."""
    xx, yy, zz = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    diagonal = jnp.stack([1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz], -1)
    wx, wy, wz = (r[..., j, i] - r[..., i, j] for i, j in [(1, 2), (2, 0), (0, 1)])
    yz, zx, xy = (r[..., j, i] + r[..., i, j] for i, j in [(1, 2), (2, 0), (0, 1)])
    ww, xx, yy, zz = jnp.moveaxis(diagonal, -1, 0)
    outer = jnp.stack(
        [jnp.stack(row, -1) for row in [(ww, wx, wy, wz), (wx, xx, xy, zx), (wy, xy, yy, yz), (wz, zx, yz, zz)]], -2
    )  # 4 q qᵀ
    largest = jnp.argmax(diagonal, axis=-1)[..., None]
    row = jnp.take_along_axis(outer, largest[..., None], axis=-2)[..., 0, :]
    q = row / (2 * jnp.sqrt(jnp.take_along_axis(diagonal, largest, axis=-1)))
    return jnp.where(q[..., :1] < 0, -q, q)


def rotation_vector(q: Float[Array, "*batch 4"]) -> Float[Array, "*batch 3"]:
    """ω = 2 atan2(‖v‖, w) / ‖v‖ · v of a unit quaternion (w, v) with w ≥ 0."""
    w, v = q[..., :1], q[..., 1:]
    return 2 * angle_over_sine(jnp.sum(v**2, axis=-1, keepdims=True), w) * v


def from_quaternion(q: Float[Array, "*batch 4"]) -> Float[Array, "*batch 3 3"]:
    """The rotation of a unit quaternion (w, x, y, z)."""
    w, v = q[..., 0, None, None], q[..., 1:]
    eye = jnp.eye(3, dtype=q.dtype)
    hat = jnp.cross(v[..., None, :], -eye)
    return eye + 2 * w * hat + 2 * matmul(hat, hat)

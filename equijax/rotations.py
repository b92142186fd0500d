"""Rotations from the numbers that a network gives, and back: 6D, 5D, matrices, quaternions, rotation vectors,
Euler angles.

Every map returns rotations to rounding, for any finite input (a rotation vector: if its square is finite), with right
derivatives, and NaN for NaN. Where the input leaves the rotation open (a zero vector, parallel columns) it is one of
the possible ones, with a derivative of zero. The inverses raise a ValueError for what is no rotation, with its distance
from one, where the numbers are known, and give NaN elsewhere.

A network that has to learn rotations wants parameters that depend on the rotation continuously: 6D, 5D and 9D do;
quaternions, rotation vectors and angles do not (Zhou et al. 2019, arXiv:1812.07035). `from_svd` is the nearest one.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equijax._validate import floating, last_axis
from equijax.groups.base import check_element, is_element
from equijax.groups.decompositions import orthogonal_factor, square
from equijax.groups.orthogonal import SO
from equijax.groups.quaternions import from_quaternion as _of_unit_quaternion
from equijax.groups.quaternions import quaternion
from equijax.numerics import completion, in_single, matmul, sqrt, unit, unit_across


def from_6d(x: Float[Array, "*batch 6"]) -> Float[Array, "*batch 3 3"]:
    """Gram-Schmidt of the columns x[:3] and x[3:]; the third is their cross product.

    from_6d(Q a, Q b) = Q from_6d(a, b) for rotations Q.

    Raises:
        ValueError: If the last axis is not of length 6.

    References:
        Zhou et al. 2019, arXiv:1812.07035, eq. 15.

    Examples:
        >>> from_6d(jnp.array([2.0, 0, 0, 5, 1, 0])).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    last_axis("x", x, 6)
    return from_columns(jnp.stack([floating("x", x)[..., :3], x[..., 3:]], axis=-1))


def to_6d(r: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 6"]:
    """The first two columns of a rotation, one after the other.

    Examples:
        >>> to_6d(jnp.eye(3)).tolist()
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    r = _in_space(r)
    return jnp.concatenate([r[..., 0], r[..., 1]], axis=-1)


def from_columns(a: Float[Array, "*batch n m"]) -> Float[Array, "*batch n n"]:
    """The rotation of ℝⁿ whose first n − 1 columns are those of `a`, (..., n, n − 1), after Gram-Schmidt.

    The last column follows from the determinant.

    Raises:
        ValueError: If `a` has not one column less than rows.

    Examples:
        >>> print(from_columns(jnp.array([[3.0], [4.0]])))
        [[ 0.6 -0.8]
         [ 0.8  0.6]]
    """
    a = floating("a", a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] - 1 or not a.shape[-1]:
        raise ValueError(f"a: expected shape (..., n, n - 1) with n ≥ 2, got {a.shape}")
    n = a.shape[-2]
    directions = [_direction(a[..., k], jnp.full(n, n**-0.5, a.dtype)) for k in range(n - 1)]
    axes = directions[0][..., None, :]  # the columns, one a row
    for v in directions[1:]:
        axes = jnp.concatenate([axes, unit_across(v, axes, 16 * float(jnp.finfo(a.dtype).eps))[..., None, :]], axis=-2)
    axes = jnp.concatenate([axes, completion(axes)[..., None, :]], axis=-2)
    return jnp.swapaxes(axes, -1, -2)


def from_5d(x: Float[Array, "*batch 5"]) -> Float[Array, "*batch 3 3"]:
    """The rotation of the five numbers of `to_5d`.

    x[2:] = p is a stereographic projection; with s = ‖p‖² the columns are (x₀, x₁, (s − 1) / 2√s) and p / √s, after
    Gram-Schmidt.

    Raises:
        ValueError: If the last axis is not of length 5.

    References:
        Zhou et al. 2019, arXiv:1812.07035, definition 3 and eq. 19.

    Examples:
        >>> print(from_5d(to_5d(jnp.eye(3))).round(5).diagonal())
        [1. 1. 1.]
    """
    last_axis("x", x, 5)
    x = floating("x", x)
    axis = jnp.asarray([1.0, 0, 0], x.dtype)
    small = jnp.abs(x[..., 2:]) < 4 * 2.0 ** (jnp.finfo(x.dtype).minexp // 2)  # the derivative has 1 / ‖p‖²
    p = jnp.where(small.all(axis=-1, keepdims=True), axis, x[..., 2:])
    direction = _direction(p, axis)
    half = jnp.sum(direction * (p / 2), axis=-1, keepdims=True)  # ‖p‖ / 2
    first = jnp.concatenate([x[..., :2], half - 1 / (4 * half)], axis=-1)
    return from_columns(jnp.stack([first, direction], axis=-1))


def to_5d(r: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 5"]:
    """R₁₁, R₂₁ and the stereographic projection of (R₃₁, R₁₂, R₂₂, R₃₂) / norm; continuous.

    Examples:
        >>> to_5d(jnp.eye(3)).shape
        (5,)
    """
    r = _in_space(r)
    w = jnp.concatenate([r[..., 2, :1], r[..., 1]], axis=-1)
    w = w / jnp.sqrt(jnp.sum(w**2, axis=-1, keepdims=True))
    return jnp.concatenate([r[..., :2, 0], w[..., 1:] / (1 - w[..., :1])], axis=-1)


@in_single
def from_svd(m: Float[Array, "*batch n m"]) -> Float[Array, "*batch n n"]:
    """The rotation nearest to any matrix, R = U diag(1, …, 1, det U Vᵀ) Vᵀ for M = U S Vᵀ, in any dimension.

    from_svd(P M Q) = P from_svd(M) Q for rotations P and Q. A matrix of negative determinant is mapped too, across its
    smallest singular value; the derivative grows as 1 / `svd_gap`, and is zero where the nearest one is not unique.

    Raises:
        ValueError: If the matrices are not square.

    References:
        Levinson et al. 2020, arXiv:2006.14616, eq. 1.

    Examples:
        >>> print(from_svd(jnp.diag(jnp.array([3.0, 2.0, -0.1]))).round(5).diagonal())  # across the smallest
        [1. 1. 1.]
    """
    return orthogonal_factor(square("m", m), True)


@in_single
def svd_gap(m: Float[Array, "*batch n m"]) -> Float[Array, "*batch"]:
    """(s_{n−1} ± s_n) / s₁, the sign that of det M: zero where `from_svd` is not unique, at most 2.

    Examples:
        >>> print(svd_gap(jnp.eye(3)), svd_gap(jnp.diag(jnp.array([1.0, 0.0, 0.0]))))
        2.0 0.0
    """
    s = jnp.linalg.svd(square("m", m), compute_uv=False)
    return (s[..., -2] + jnp.sign(jnp.linalg.det(m)) * s[..., -1]) / jnp.where(s[..., 0] > 0, s[..., 0], 1)


def from_quaternion(q: Float[Array, "*batch 4"]) -> Float[Array, "*batch 3 3"]:
    """The rotation of a quaternion (w, x, y, z) of any length; zero gives the identity.

    Raises:
        ValueError: If the last axis is not of length 4.

    Examples:
        >>> print(from_quaternion(jnp.array([0.0, 0, 0, 5])).diagonal())  # half a turn about z
        [-1. -1.  1.]
    """
    last_axis("q", q, 4)
    return _of_unit_quaternion(_direction(floating("q", q), jnp.asarray([1.0, 0, 0, 0], jnp.result_type(q))))


def to_quaternion(r: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 4"]:
    """The unit quaternion (w, x, y, z) of a rotation with w ≥ 0; its sign jumps where w = 0, at turns by π.

    Examples:
        >>> print(to_quaternion(jnp.eye(3)))
        [1. 0. 0. 0.]
    """
    return quaternion(_in_space(r))


def from_axis_angle(omega: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3 3"]:
    """The rotation about ω by the angle ‖ω‖ in radians; `groups.SO(n).exp` in other dimensions.

    Raises:
        ValueError: If the last axis is not of length 3.

    Examples:
        >>> print(from_axis_angle(jnp.array([0.0, 0.0, jnp.pi])).round(5).diagonal())
        [-1. -1.  1.]
    """
    last_axis("omega", omega, 3)
    return SO(3).exp(floating("omega", omega))


def to_axis_angle(r: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3"]:
    """The rotation vector ω of a rotation, ‖ω‖ ≤ π; it jumps at turns by π. `groups.SO(n).log` in other dimensions.

    Examples:
        >>> print(to_axis_angle(jnp.eye(3)))
        [0. 0. 0.]
    """
    return SO(3).log(_in_space(r))


def from_euler(angles: Float[Array, "*batch 3"], sequence: str) -> Float[Array, "*batch 3 3"]:
    """The rotation of three turns about coordinate axes, by angles in radians; for conversion, not for networks.

    Small letters turn about the axes of space one after the other (extrinsic): "zyx" is X(c) Y(b) Z(a) for the angles
    (a, b, c). Capital letters turn about the axes of the body (intrinsic): "ZYX" is Z(a) Y(b) X(c). All 24 sequences
    whose neighbors differ exist: six of three axes, six with the first axis again, each in both ways, as in
    `scipy.spatial.transform.Rotation`. Quantum mechanics has "ZYZ", aircraft have "ZYX" (yaw, pitch, roll), e3nn "YXY".

    Args:
        angles: In radians, in the order of the letters.
        sequence: Three letters of "xyz", or of "XYZ".

    Raises:
        ValueError: If the last axis is not of length 3, or there is no such sequence.

    Examples:
        >>> print(from_euler(jnp.array([0.0, 0.0, jnp.pi / 2]), "xyz").round(3) + 0)
        [[ 0. -1.  0.]
         [ 1.  0.  0.]
         [ 0.  0.  1.]]
    """
    last_axis("angles", angles, 3)
    angles, (axes, extrinsic) = floating("angles", angles), _axes_of(sequence)
    turns = [SO(3).exp(angles[..., k, None] * jnp.eye(3, dtype=angles.dtype)[axis]) for k, axis in enumerate(axes)]
    first, second, third = reversed(turns) if extrinsic else turns
    return matmul(matmul(first, second), third)


def to_euler(r: Float[Array, "*batch 3 3"], sequence: str) -> Float[Array, "*batch 3"]:
    """Angles (a, b, c) in radians with from_euler((a, b, c), sequence) = r; for conversion, not for networks.

    a and c are in [−π, π]; b is in [0, π] where the first axis comes again, else in [−π/2, π/2]. At the ends of the
    range of b (gimbal lock) only one combination of a and c is determined: c is zero there. Derivatives grow as the
    inverse of the distance from these ends; at them, where there are none, those of b are zero, and all are finite.

    Raises:
        ValueError: If `r` is no rotation, where its numbers are known, or there is no such sequence.

    References:
        Bernardes and Viollet 2022, PLOS ONE 17, e0276302, algorithm 1.

    Examples:
        >>> turned = from_euler(jnp.array([0.3, 0.5, -0.2]), "ZYZ")
        >>> bool(jnp.allclose(to_euler(turned, "ZYZ"), jnp.array([0.3, 0.5, -0.2]), atol=1e-6))
        True
    """
    axes, extrinsic = _axes_of(sequence)
    w, *v = jnp.moveaxis(to_quaternion(r), -1, 0)
    i, j, k = axes if extrinsic else axes[::-1]
    again = i == k
    k = 3 - i - j if again else k
    parity = (i - j) * (j - k) * (k - i) // 2  # of the permutation (i, j, k)
    a, b, c, d = w, v[i], v[j], v[k] * parity
    if not again:
        a, b, c, d = a - c, b + d, c + a, d - b
    eps = 16 * jnp.finfo(w.dtype).eps
    near, far = (jnp.sqrt(x**2 + y**2) <= eps for x, y in ((c, d), (a, b)))  # the middle turn is by 0, or by π
    half_sum = jnp.arctan2(jnp.where(far, 0.0, b), jnp.where(far, 1.0, a))
    half_difference = jnp.arctan2(jnp.where(near, 0.0, d), jnp.where(near, 1.0, c))
    locked = near | far
    sine2, cosine2 = (jnp.where(locked, 1.0, x**2 + y**2) for x, y in ((c, d), (a, b)))
    middle = jnp.where(locked, jnp.where(far, jnp.pi, 0.0), 2 * jnp.arctan2(jnp.sqrt(sine2), jnp.sqrt(cosine2)))
    # the quaternion is of turns about i, j and k in space, whose angles are the sum and the difference of the halves
    one, other = half_sum - half_difference, half_sum + half_difference
    alone = jnp.where(near, 2 * half_sum, 2 * half_difference * (-1 if extrinsic else 1))
    first, third = (one, other) if extrinsic else (other, one)
    first, third = jnp.where(locked, alone, first), jnp.where(locked, 0.0, third)
    if not again:
        middle = middle - jnp.pi / 2
        first, third = (first, parity * third) if extrinsic else (parity * first, third)
    wrapped = [jnp.where(x > jnp.pi, x - 2 * jnp.pi, jnp.where(x < -jnp.pi, x + 2 * jnp.pi, x)) for x in (first, third)]
    return jnp.stack([wrapped[0], middle, wrapped[1]], axis=-1)


def _axes_of(sequence: str) -> tuple[list[int], bool]:
    """Numbers of the axes of a sequence of Euler angles, and whether it is extrinsic."""
    axes = ["xyz".find(letter) for letter in sequence.lower()] if isinstance(sequence, str) else []
    one_case = axes and (sequence.islower() or sequence.isupper())
    if not one_case or len(axes) != 3 or -1 in axes or axes[0] == axes[1] or axes[1] == axes[2]:
        raise ValueError(
            'sequence: expected three letters of "xyz" (extrinsic) or "XYZ" (intrinsic), no two neighbors equal, '
            f'such as "zyz" or "ZYX", got {sequence!r}'
        )
    return axes, sequence.islower()


def angle(r: Float[Array, "*batch 3 3"], s: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch"]:
    """The angle between two rotations of space, in [0, π], accurate everywhere.

    θ = 2 atan2(d, c) with d = sin(θ / 2) = ‖R − S‖ / √8 and c = cos(θ / 2): √(1 − d²), or beyond a right angle, where
    that loses digits, ‖Q − Qᵀ‖ / √32 d with Q = Rᵀ S. At θ = 0 it has a kink, and the derivative here is zero: train on
    ‖R − S‖² = 8 sin²(θ / 2).

    Examples:
        >>> print(angle(jnp.eye(3), jnp.diag(jnp.array([1.0, -1.0, -1.0]))))
        3.1415927
    """
    r, s = _in_space(r), _in_space(s, "s")
    sine2 = jnp.sum(jnp.square(r - s), axis=(-2, -1)) / 8
    q = matmul(jnp.swapaxes(r, -1, -2), s)
    odd = jnp.sum(jnp.square(q - jnp.swapaxes(q, -1, -2)), axis=(-2, -1)) / 32
    rest = jnp.where(sine2 > 0.5, odd / jnp.maximum(sine2, 0.5), 1 - sine2)
    return 2 * jnp.arctan2(sqrt(sine2), sqrt(jnp.maximum(rest, 0)))


def _direction(v, default):
    """v/‖v‖; the default for a zero vector."""
    direction, square = unit(v)
    return jnp.where(square == 0, default, direction)


def _in_space(r, name="r"):
    r = floating(name, r)
    check_element(SO(3), r, name)
    known = not isinstance(r, jax.core.Tracer)
    return r if known else jnp.where(is_element(SO(3), r)[..., None, None], r, jnp.nan)

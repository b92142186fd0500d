"""PaRot: point clouds classified and segmented by patches, each of which is read in a pose of its own."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from equijax import _validate
from equijax.graphs import farthest_points, nearest_points
from equijax.nn.plain import Dense
from equijax.numerics import completion, in_single, matmul, norm, orthonormal_rows, unit


class Poses(NamedTuple):
    """What a patch looks like, and how it lies."""

    features: Float[Array, "centers features"]
    """What does not change under rotations: learned by the siamese loss, or by construction."""
    axes: Float[Array, "centers 3 3"]
    """O, rows that turn with the patch: u, v and u × v; zero where the patch defines none."""
    share: Float[Array, " centers"]
    """How far the axes are from being undefined, in [0, 1]."""


class PatchPose(nn.Module):
    """Disentangles patches: features z that rotations leave alone, and axes O that turn with the points.

    Exact, axes are sums of the points by learned weights of distances, u_k = Σ_j φ_k(a_j) p_j, made orthonormal, and
    z = max_j φ(O p_j, a_j), with a_j = (‖p_j‖, p_j·m, ‖p_j − m‖, ‖m‖) and the mean m. Siamese, as published, both come
    from one network of the coordinates themselves, z, u, v = max_j φ(p_j), of which only training makes that.

    Attributes:
        features: Length of z; the hidden layer of points has half of it.
        exact: Which of the two.

    References:
        Zhang et al. 2023, arXiv:2302.02535, section 3.2.
    """

    features: int = 128
    exact: bool = True

    @nn.compact
    def __call__(self, patches: Float[Array, "centers k 3"], mask: Bool[Array, "centers k"]) -> Poses:
        """Features and axes of patches of points about their centers; points outside of the mask count nowhere."""
        valid = mask[..., None]
        points, silu = jnp.where(valid, patches, 0), jax.nn.silu
        if not self.exact:
            h = _pooled(points, valid, self.features)
            u, v = jnp.split(unit(Dense(6, name="directions")(h).reshape(-1, 2, 3))[0], 2, axis=-2)  # (centers, 1, 3)
            w, _ = unit(jnp.cross(u, v))
            share = norm(jnp.cross(u, v))[..., 0]
            return Poses(Dense(self.features, name="features")(h), jnp.concatenate([u, v, w], axis=-2), share)
        count = jnp.maximum(jnp.sum(valid, axis=-2, keepdims=True), 1)
        mean = jnp.sum(points, axis=-2, keepdims=True) / count  # (centers, 1, 3)
        lengths = [norm(points), jnp.sum(points * mean, axis=-1), norm(points - mean)]
        a = jnp.stack([*lengths, jnp.broadcast_to(norm(mean), mask.shape)], axis=-1)  # (centers, k, 4)
        weights = Dense(2, name="weights")(silu(Dense(self.features // 2, name="weights_hidden")(a)))
        directions = jnp.sum(jnp.where(valid, weights, 0)[..., None] * points[..., None, :], axis=-3) / count
        axes, share = in_single(orthonormal_rows)(directions)  # (centers, 2, 3)
        axes = jnp.concatenate([axes, in_single(completion)(axes)[..., None, :]], axis=-2)
        seen = jnp.concatenate([matmul(points, jnp.swapaxes(axes, -1, -2)), a], axis=-1)  # rows O p_j and a_j
        return Poses(_pooled(seen, valid, self.features), axes, share)


class PaRot(nn.Module):
    """Classes of a point cloud, or of each of its points, which do not depend on how it lies; for three dimensions.

    Patches about spread-out centers, near ones and sparse ones of the whole cloud, are disentangled into features and
    axes (`PatchPose`). How patches lie to each other is restored from numbers that a common motion leaves alone: for
    neighbors i and j with e the direction between them, (O_j O_iᵀ, O_i e, O_j e, ‖c_j − c_i‖), and for the two patches
    of a center (‖c‖, O O'ᵀ, O ĉ, O' ĉ). The cloud is taken about its mean. With `exact`, invariant under SE(3) by
    construction, to the rounding of ties between points that are equally far; without, by training with `siamese`.

    Attributes:
        outputs: Classes.
        segmentation: Whether each point gets classes of its own, from its three nearest centers.
        centers: How many patches; as published 256, of 1,024 points.
        patch: Points of a near patch, at least 3; as published 64.
        sparse: Points of a patch of the whole cloud, at least 3; as published 32.
        neighbors: Centers that a center looks at; as published 32.
        features: Width.
        exact: Whether patches are disentangled exactly, or by a plain network as published.

    References:
        Zhang et al. 2023, arXiv:2302.02535.

    Examples:
        >>> x = jax.random.normal(jax.random.key(0), (40, 3))
        >>> network = PaRot(outputs=5, centers=8, patch=8, sparse=8, neighbors=4, features=16)
        >>> jax.jit(network.init_with_output)(jax.random.key(1), x)[0].shape
        (5,)
    """

    outputs: int
    segmentation: bool = False
    centers: int = 256
    patch: int = 64
    sparse: int = 32
    neighbors: int = 32
    features: int = 128
    exact: bool = True

    @nn.compact
    def __call__(self, points: ArrayLike, mask: ArrayLike | None = None) -> Float[Array, "*n outputs"]:
        """Logits (outputs,), or (n, outputs) for the points.

        The poses of the two kinds of patches are kept among the intermediates, as "near_poses" and "sparse_poses".

        Args:
            points: Shape (n, 3).
            mask: Which points are valid, shape (n,); by default all.

        Raises:
            TypeError: If the points are not real floating-point numbers.
            ValueError: If a shape is wrong, there are fewer points than centers, points of a patch or neighbors, or a
                patch has fewer than three points.
        """
        x = _validate.floating("points", points)
        if x.ndim != 2 or x.shape[1] != 3:
            hint = "; use jax.vmap for a batch" if x.ndim == 3 else ""
            raise ValueError(f"points: expected shape (n, 3), got {x.shape}{hint}")
        for name, least in (("centers", 1), ("patch", 3), ("sparse", 3)):
            if _validate.integer(name, getattr(self, name), least) > len(x):
                raise ValueError(f"{name}: expected at most {len(x)}, the number of points, got {getattr(self, name)}")
        chosen = farthest_points(x, self.centers, mask)
        if self.neighbors > self.centers:
            raise ValueError(f"neighbors: expected at most {self.centers}, the number of centers, got {self.neighbors}")
        valid = jnp.all(jnp.isfinite(x), axis=-1) if mask is None else jnp.asarray(mask, bool)
        x = jnp.where(valid[:, None], x, 0)
        x = jnp.where(valid[:, None], x - jnp.sum(x, axis=0) / jnp.maximum(jnp.sum(valid), 1), 0)
        centers, real = x[chosen.indices], chosen.mask

        near = nearest_points(x, centers, self.patch, mask)
        spread = farthest_points(x, self.sparse, mask)
        whole = jnp.broadcast_to(spread.mask, (self.centers, self.sparse))
        poses = {}
        for name, patches, inside in (("near", x[near.indices], near.mask), ("sparse", x[spread.indices][None], whole)):
            poses[name] = PatchPose(self.features, self.exact, name=name)(patches - centers[:, None], inside)
            self.sow("intermediates", f"{name}_poses", poses[name])

        # Each center and its neighbors: how they lie to each other
        close = nearest_points(centers, centers, self.neighbors, real)
        local = _Neighbors(self.features, name="neighbors")(poses["near"], centers, close.indices, close.mask)
        # Both patches of a center
        O, Q = poses["near"].axes, poses["sparse"].axes
        out, away = unit(centers)[0][:, None], norm(centers, keepdims=True)  # (centers, 1, 3), (centers, 1)
        pose = [away, _flat(_times(O, Q)), _flat(_times(out, O)), _flat(_times(out, Q))]
        pose = _dense(self.features // 4, jnp.concatenate(pose, axis=-1), "pose")
        local = _dense(2 * self.features, jnp.concatenate([local, poses["sparse"].features, pose], -1), "both")
        lifted = _dense(8 * self.features, _dense(4 * self.features, local, "lift"), "lift_out")
        cloud = _largest(lifted, real[:, None], axis=0)
        if not self.segmentation:
            h = _dense(2 * self.features, _dense(4 * self.features, cloud, "head"), "head_hidden")
            return Dense(self.outputs, name="head_out")(h)

        # Each point and its three nearest centers
        last = nearest_points(centers, x, min(3, self.centers), real)
        r = x[:, None] - centers[last.indices]  # (n, 3 centers, 3)
        distance, direction = norm(r, keepdims=True), unit(r)[0][..., None, :]
        sides = [_flat(_times(direction, axes[last.indices])) for axes in (O, Q)]
        share = jnp.where(last.mask[..., None], 1 / (distance + 1e-3), 0)
        share = share / jnp.sum(share, axis=-2, keepdims=True)
        pose = _dense(self.features // 4, jnp.concatenate([distance, *sides], axis=-1), "point_pose")
        h = _dense(2 * self.features, jnp.concatenate([share * local[last.indices], pose], axis=-1), "point")
        h = jnp.sum(jnp.where(last.mask[..., None], h, 0), axis=-2)  # (n, width)
        h = h + Dense(2 * self.features, name="point_cloud")(cloud)
        logits = Dense(self.outputs, name="point_out")(_dense(self.features, h, "point_hidden"))
        return jnp.where(valid[:, None], logits, 0)


def siamese(first: Poses, second: Poses, rotation: Float[Array, "3 3"]) -> dict[str, Float[Array, ""]]:
    """What the published PaRot learns its invariance by, from the poses of a cloud and of the same cloud turned.

        direction: mean ‖(u, v)' − (u, v) Rᵀ‖² ,   orthogonality: mean (u·v)² ,   feature: mean ‖z' − z‖² .

    Published weights are 1, 0.2 and 0 for near patches, 1, 0.1 and 0 for sparse ones, beside the loss of the classes.

    Args:
        first: Of points x.
        second: Of points x Rᵀ.
        rotation: R.
    """
    turned = matmul(first.axes[:, :2], rotation.T)
    along = [jnp.sum(poses.axes[:, 0] * poses.axes[:, 1], axis=-1) for poses in (first, second)]
    return {
        "direction": jnp.mean((second.axes[:, :2] - turned) ** 2),
        "orthogonality": jnp.mean(jnp.stack(along) ** 2),
        "feature": jnp.mean((second.features - first.features) ** 2),
    }


class _Neighbors(nn.Module):
    """max_j φ(z_j, z_j − z_i, pose of j seen from i) for each center i."""

    features: int

    @nn.compact
    def __call__(self, poses, centers, indices, mask):
        z, O = poses.features, poses.axes
        r = centers[indices] - centers[:, None]  # (centers, neighbors, 3)
        e, Oj = unit(r)[0][..., None, :], O[indices]
        Oi = jnp.broadcast_to(O[:, None], Oj.shape)
        pose = [_flat(_times(Oj, Oi)), _flat(_times(e, Oi)), _flat(_times(e, Oj)), norm(r, keepdims=True)]
        pose = _dense(self.features // 4, jnp.concatenate(pose, axis=-1), "pose")
        h = jnp.concatenate([z[indices], z[indices] - z[:, None], pose], axis=-1)
        h = _dense(self.features, _dense(self.features, h, "edge"), "edge_hidden")
        return _largest(h, mask[..., None], axis=-2)


def _pooled(points, valid, features):
    """max_j φ(points_j), φ of three layers; in the module that calls it."""
    h = _dense(features, _dense(features // 2, points, "point"), "point_hidden")
    return _largest(Dense(features, name="point_out")(h), valid, axis=-2)


def _largest(h, valid, axis):
    """The largest of each feature along an axis, of what is valid; 0 where nothing is."""
    found = jnp.max(jnp.where(valid, h, jnp.finfo(h.dtype).min), axis=axis)
    return jnp.where(jnp.any(valid, axis=axis), found, 0)


def _dense(features, x, name):
    return jax.nn.silu(Dense(features, name=name)(x))


def _times(a, b):
    """A Bᵀ."""
    return matmul(a, jnp.swapaxes(b, -1, -2))


def _flat(a):
    return a.reshape(*a.shape[:-2], np.prod(a.shape[-2:]))

"""Approximately piecewise E(3)-equivariant point networks."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from equijax import _validate, frames, groups
from equijax.frames.base import about_center, of_radius_one
from equijax.graphs import farthest_points, nearest_points
from equijax.nn.plain import Dense
from equijax.numerics import fit_mixture, log_assignment, matmul

TASKS = ("segmentation", "classification")
O3 = groups.O(3)


class Result(NamedTuple):
    """What `APEN` says of n points with L layers, and how sure it is of their pieces."""

    logits: Float[Array, "*n classes"]
    """Of each point, or of all of them for a classification."""
    labels: Int[Array, "L n"]
    """The piece of each point in each layer; −1 for points of none."""
    votes: Float[Array, "L n 3"]
    """Where each point thinks the center of its piece is, after each layer."""
    margin: Float[Array, "L n"]
    """How much likelier the piece of a point is than any other; 1 for those that were given."""
    uncertainty: Float[Array, " L"]
    """δ(Q) = 1 − Π_i max_j Q_ij, the probability that pieces drawn from Q are not those of largest probability."""
    degenerate: Bool[Array, "L n"]
    """Whether the frame of its piece is not unique."""


class APEN(nn.Module):
    """A network of points that keeps the motion of each rigid piece, as far as it finds out what the pieces are.

    A layer is a network of sets that sees each piece on its own, averaged over frames of that piece: it commutes with
    rigid motions of every piece, and those of every union of pieces. The first layer takes Voronoi cells of points that
    are far apart; from what a layer finds each point votes for the center of its piece, and a mixture of Gaussians of
    the votes, wider from layer to layer, makes the pieces of the next layer.

    A result changes under motions of the true pieces only if some pieces are not part of true ones, or others than
    before. With partitions drawn from Q, which commute with the motion, the expected change of a result that changes by
    M at most is below (λ + Σ δ) M: λ is the probability that the Voronoi cells do not refine the true pieces, and δ is
    returned for each of the later layers. Under rigid motions of all points together the network is exact.

    Attributes:
        classes: Length of the logits.
        features: Width of all layers.
        pieces: The most pieces in each layer, n at most.
        widths: w of the mixture before each layer but the first, in the unit of the points; wider from layer to layer.
        depth: How often points hear of the mean of their piece in a layer.
        channels: Vectors that a point keeps between layers.
        task: "segmentation", logits for each point, or "classification", of all points.
        frame: Of the points of a piece and the vectors on them, such as `frames.pca`.
        steps: Of the mixtures, see `numerics.fit_mixture`.
        derivative: Of the mixtures, "implicit" or "unrolled".

    References:
        Atzmon, Huang, Williams and Litany 2024, arXiv:2402.08529. Voronoi cells come from farthest points, and pieces
        that are closer than a width are merged, where the paper has a penalty.

    Examples:
        >>> model = APEN(classes=3, features=8, pieces=(4, 2), widths=(0.5,))
        >>> points = jax.random.normal(jax.random.key(0), (10, 3))
        >>> found, _ = jax.jit(model.init_with_output)(jax.random.key(1), points)
        >>> found.logits.shape, found.labels.shape
        ((10, 3), (2, 10))
    """

    classes: int
    features: int = 64
    pieces: tuple[int, ...] = (16, 12, 8)
    widths: tuple[float, ...] = (0.15, 0.25)
    depth: int = 2
    channels: int = 4
    task: str = "segmentation"
    frame: frames.Frame = frames.pca
    steps: int = 10
    derivative: str = "implicit"

    @nn.compact
    def __call__(
        self,
        points: ArrayLike,
        scalars: ArrayLike | None = None,
        vectors: ArrayLike | None = None,
        *,
        mask: ArrayLike | None = None,
        partition: ArrayLike | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Result:
        """What the network says of points.

        Args:
            points: Shape (n, 3).
            scalars: What is known of each point and does not move, shape (n, c).
            vectors: What turns with it, such as normals, shape (n, v, 3).
            mask: Which points are valid, shape (n,); the others count nowhere, and have zeros.
            partition: The pieces of all layers, where they are known: labels from 0 to pieces[0] − 1, shape (n,); −1
                for points of no piece, which count nowhere. Pieces may be empty.
            key: For training: with one, each piece of each layer is seen in one pose, drawn with its weight, in place
                of all of them.

        Raises:
            TypeError: If points, scalars or vectors are not real floating-point numbers, or labels no integers.
            ValueError: If a shape is wrong, there are more pieces than points, a label is none of a piece, or the
                attributes do not fit together.
        """
        x, h, v, valid = self._checked(points, scalars, vectors, mask)
        n, layers = len(x), len(self.pieces)
        if partition is None:
            seeds = farthest_points(x, self.pieces[0], valid)
            labels = nearest_points(x[seeds.indices], x, 1, seeds.mask).indices[:, 0]
        else:
            labels = self._given(partition, n)
            valid = valid & (labels >= 0) & (labels < self.pieces[0])
        found, sure = [], (jnp.ones(n, x.dtype), jnp.zeros((), x.dtype))
        kept = []
        for t in range(layers):
            labels = jnp.where(valid, labels, -1)
            count = self.pieces[t] if partition is None else self.pieces[0]
            one = jax.nn.one_hot(labels, count, dtype=x.dtype)  # (n, pieces); zeros for −1
            layer = PieceLayer(self.features, 1 + self.channels, self.depth, self.frame, name=f"pieces_{t}")
            h, v, degenerate = layer(x, h, v, one, None if key is None else jax.random.fold_in(key, t))
            votes = jnp.where(valid[:, None], x + v[:, 0], 0)
            found.append((labels, votes, *sure, degenerate))
            kept.append(h)
            if partition is None and t + 1 < layers:
                labels, *sure = self._assigned(votes, valid, self.pieces[t + 1], self.widths[t])
        return Result(self._head(jnp.concatenate(kept, axis=-1), valid), *map(jnp.stack, zip(*found, strict=True)))

    def _assigned(self, votes, valid, count, width):
        """The likeliest component of each vote, the margin of that choice, and the uncertainty of all."""
        seeds = farthest_points(votes, count, valid)
        mixture = fit_mixture(
            votes, votes[seeds.indices], width,
            mask=valid, known=seeds.mask, steps=self.steps, derivative=self.derivative,
        )  # fmt: skip
        log_q = log_assignment(votes, mixture, width)  # (n, count)
        best = jax.lax.top_k(jnp.exp(log_q), min(2, count))[0]
        margin = best[:, 0] - best[:, 1] if count > 1 else best[:, 0]
        largest = jnp.where(valid, jnp.max(log_q, axis=-1), 0)
        return jnp.argmax(log_q, axis=-1), jnp.where(valid, margin, 0), -jnp.expm1(jnp.sum(largest))

    def _head(self, h, valid):
        """Logits from the invariants of all layers."""
        if self.task == "classification":
            h = jnp.sum(jnp.where(valid[:, None], h, 0), axis=0) / jnp.maximum(jnp.sum(valid), 1)
        h = jax.nn.silu(Dense(self.features, name="head")(jax.nn.silu(h)))
        logits = Dense(self.classes, name="logits")(h)
        return logits if self.task == "classification" else jnp.where(valid[:, None], logits, 0)

    def _checked(self, points, scalars, vectors, mask):
        """Points, scalars (n, c) and vectors (n, v, 3), zero where they are not valid, and which are."""
        if self.task not in TASKS:
            raise ValueError(f"task: expected one of {', '.join(TASKS)}, got {self.task!r}")
        if len(self.widths) != len(self.pieces) - 1 or list(self.widths) != sorted(self.widths):
            raise ValueError(
                f"widths: expected one for each of {len(self.pieces)} layers but the first, none smaller than the one "
                f"before, got {self.widths}"
            )
        x = _validate.floating("points", points)
        if x.ndim != 2 or x.shape[1] != 3 or len(x) == 0:
            hint = "; use jax.vmap for a batch" if x.ndim > 2 else ""
            raise ValueError(f"points: expected shape (n, 3), one point at least, got {x.shape}{hint}")
        n = len(x)
        if max(self.pieces) > n or min(self.pieces) < 1:
            raise ValueError(f"pieces: expected 1 to {n}, the number of points, in each layer, got {self.pieces}")
        h = jnp.zeros((n, 0), x.dtype) if scalars is None else _validate.floating("scalars", scalars)
        v = jnp.zeros((n, 0, 3), x.dtype) if vectors is None else _validate.floating("vectors", vectors)
        for name, a, axes in (("scalars", h, "(n, c)"), ("vectors", v, "(n, v, 3)")):
            if a.ndim != axes.count(",") + 1 or len(a) != n or a.shape[2:] not in ((), (3,)):
                raise ValueError(f"{name}: expected shape {axes} with n = {n}, got {a.shape}")
        if mask is not None and np.shape(mask) != (n,):
            raise ValueError(f"mask: expected shape ({n},), one entry a point, got {np.shape(mask)}")
        valid = jnp.ones(n, bool) if mask is None else jnp.asarray(mask, bool)
        x, h = (jnp.where(valid[:, None], a, 0).astype(x.dtype) for a in (x, h))
        return x, h, jnp.where(valid[:, None, None], v, 0).astype(x.dtype), valid

    def _given(self, partition, n):
        """Labels that were given, which have to be those of pieces where they are known."""
        if np.shape(partition) != (n,):
            raise ValueError(f"partition: expected shape ({n},), one label a point, got {np.shape(partition)}")
        labels = _validate.integers("partition", partition)
        if not isinstance(partition, jax.core.Tracer):
            low, high = np.min(np.asarray(partition)), np.max(np.asarray(partition))
            if low < -1 or high >= self.pieces[0]:
                raise ValueError(
                    f"partition: expected labels from 0 to {self.pieces[0] - 1}, as the first of pieces says, or -1 "
                    f"for points of none, got {low} to {high}; set pieces"
                )
        return labels


class PieceLayer(nn.Module):
    """A network of sets on each piece, averaged over frames of that piece.

        y_i = Rᵀ (x_i − t) ,   h_i ← h_i + φ(h_i, mean of its piece) ,   Σ over the frame of w, of R for vectors.

    Attributes:
        features: Width, and number of scalars of a point in the result.
        channels: Number of vectors in the result.
        depth: How often points hear of the mean of their piece.
        frame: Of a piece.
    """

    features: int
    channels: int
    depth: int
    frame: frames.Frame

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "n 3"],
        scalars: Float[Array, "n c"],
        vectors: Float[Array, "n v 3"],
        one: Float[Array, "n pieces"],
        key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "n features"], Float[Array, "n channels 3"], Bool[Array, " n"]]:
        """Scalars and vectors of each point, and whether its frame is degenerate; pieces are the columns of `one`."""
        silu, labels, on_one = jax.nn.silu, jnp.argmax(one, axis=1), jnp.sum(one, axis=1, keepdims=True)
        center, axes, weights, degenerate = jax.vmap(self._poses, (None, None, 1))(x, vectors, one > 0)
        if key is not None:
            drawn = jax.random.categorical(key, jnp.log(weights))[:, None]  # (pieces, 1)
            axes = jnp.take_along_axis(axes, drawn[..., None, None], 1)
            weights = jnp.ones_like(weights[:, :1])
        of_point, weights = axes[labels], weights[labels] * on_one  # (n, K, 3, 3), and (n, K), zeros for none
        y = jnp.einsum("nd,nkde->nke", (x - center[labels]) * on_one, of_point, precision="highest")
        u = jnp.einsum("nvd,nkde->nkve", vectors, of_point, precision="highest")
        same = jnp.broadcast_to(scalars[:, None], (*y.shape[:2], scalars.shape[1]))
        h = jnp.concatenate([y, u.reshape(*y.shape[:2], -1), same], axis=-1)
        h = silu(Dense(self.features, name="embedding")(h))
        share = (one / jnp.maximum(jnp.sum(one, axis=0), 1)).T  # (pieces, n)
        for t in range(self.depth):
            mean = matmul(share, h.reshape(len(x), -1)).reshape(len(share), *h.shape[1:])[labels]
            update = Dense(self.features, name=f"point_{t}")(h) + Dense(self.features, False, name=f"mean_{t}")(mean)
            h = h + Dense(self.features, name=f"update_{t}")(silu(update))
        out = Dense(self.features + 3 * self.channels, name="readout")(silu(h))
        found, turned = out[..., : self.features], out[..., self.features :].reshape(*h.shape[:2], self.channels, 3)
        return (
            jnp.einsum("nk,nkf->nf", weights, found, precision="highest"),
            jnp.einsum("nk,nkde,nkce->ncd", weights, of_point, turned, precision="highest"),
            degenerate[labels] & (on_one[:, 0] > 0),
        )

    def _poses(self, x, vectors, mask):
        """Center, axes (K, 3, 3), weights and flag of one piece, from its points and the vectors on them.

        Both are taken relative to their size. Axes along which a piece has no extent, of which no frame knows the
        direction, are zero, so that what comes out lies in the span of what goes in.
        """
        cloud, _, center, _ = about_center(x, mask, 3, True)
        flat, row = vectors.reshape(-1, 3), jnp.repeat(mask, vectors.shape[1])
        rows = jnp.concatenate([of_radius_one(cloud, mask), of_radius_one(jnp.where(row[:, None], flat, 0), row)])
        axes, weights, info = self.frame(O3, rows, jnp.concatenate([mask, row]))
        extent = jnp.sum(jnp.square(jnp.einsum("rd,kde->kre", rows, axes, precision="highest")), axis=1)  # (K, 3)
        extent = jax.lax.stop_gradient(extent)
        known = extent > 32 * jnp.finfo(extent.dtype).eps * jnp.max(extent, axis=-1, keepdims=True)
        degenerate = info.degenerate & jnp.any(mask)
        poses = center, jnp.where(known[:, None], axes, 0), weights
        return *(a.astype(x.dtype) for a in poses), degenerate

"""Lifting and group correlation with learned kernels."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax import lie
from equijax._validate import floating, positive
from equijax.groups import AffineElement
from equijax.lie.correlation import Nodes, checked_elements, checked_nodes, volumes
from equijax.nn.lie.kernel_network import SineKernel


class LiftingConv(nn.Module):
    """An image lifted to a group ℝⁿ ⋊ H by a learned kernel, see `lie.lift`:

        k(x) = γ network(x / radius) bump(‖x‖² / radius²) ,

    with one γ a feature, measured once on the initial nodes so that white noise of unit variance gives unit variance.

    Attributes:
        features: Channels of the result.
        size: Pixels of the stencil along each axis. It should hold A supp(k) for the nodes A: for nodes that stretch by
            up to s, set `radius` to (size + 1) / 2 / s at most, where the first pixel outside of it lies.
        stride: Keep every `stride`-th pixel.
        padding: "zero", "wrap" or "valid".
        radius: Where the kernel ends, in pixels; size / 2 if None.
        network: Makes the network of the kernel from its number of outputs.
        use_bias: Add a bias to each feature.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import groups, nn
        >>> nodes = groups.SO(2).nodes(4)
        >>> f = lambda image: nn.LiftingConv(8, size=5).init_with_output(jax.random.key(0), image, nodes)[0]
        >>> jax.eval_shape(f, jnp.ones((2, 16, 16, 3))).shape  # batch, group, height, width, features
        (2, 4, 16, 16, 8)
    """

    features: int
    size: int = 7
    stride: int = 1
    padding: str = "zero"
    radius: float | None = None
    network: Callable[..., nn.Module] = SineKernel
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: Float[Array | np.ndarray, "*batch_space_channels"], nodes: Nodes) -> Float[Array, "*lifted"]:
        """The lifted image, shape (..., nodes, space, features), in the dtype of x."""
        x, (elements, _) = floating("x", x), checked_nodes("nodes", nodes)
        shape, radius = (x.shape[-1], self.features), _radius(self)
        network = self.network(shape[0] * shape[1], name="space")

        def plain(points):
            k = network(points / radius) * lie.bump(jnp.sum((points / radius) ** 2, axis=-1))[..., None]
            return k.reshape(*k.shape[:-1], *shape)

        taps = plain(lie.stencil_points(elements, self.size)) * volumes(elements)[:, None, None, None]
        gain = _gain(self, "gain", taps, (0, 1, 2), len(elements))

        def kernel(points):
            return _kept(plain(points), x.dtype) * gain

        y = lie.lift(x, kernel, nodes, size=self.size, stride=self.stride, padding=self.padding)
        return _biased(self, y)


class GroupConv(nn.Module):
    """A correlation on a group ℝⁿ ⋊ H with a learned kernel, see `lie.correlate`.

    Separable, the default, with a group argument A = e^X R in the coordinates ξ(A) of `lie.coordinates`:

        k(x, A) = γ network(x / radius) bump(‖x‖² / radius²) · network(ξ(A)) bump(‖X‖² / reach²)

    where the first factor acts on each feature by itself and the second is a matrix (channels, features). With
    `separable=False` both are one network of (x, ξ(A)), many times more expensive. γ as in `LiftingConv`.

    Attributes:
        features: Channels of the result.
        separable: Whether the kernel is a product.
        channelwise: Whether the factor on the group also acts on each channel by itself, with a matrix that mixes the
            channels: cheaper still.
        size: As for `LiftingConv`.
        stride: As for `LiftingConv`.
        padding: As for `LiftingConv`.
        radius: As for `LiftingConv`.
        reach: Largest ‖X‖ where the kernel is not zero: how far each node sees along the part of the group that is
            not compact.
        network: Makes the networks of the kernel from their number of outputs.
        use_bias: Add a bias to each feature.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import groups, nn
        >>> nodes = groups.SO(2).nodes(4)
        >>> f = lambda lifted: nn.GroupConv(8, size=5).init_with_output(jax.random.key(0), lifted, nodes)[0]
        >>> jax.eval_shape(f, jnp.ones((2, 4, 16, 16, 3))).shape
        (2, 4, 16, 16, 8)
    """

    features: int
    separable: bool = True
    channelwise: bool = False
    size: int = 7
    stride: int = 1
    padding: str = "zero"
    radius: float | None = None
    reach: float = 1.0
    network: Callable[..., nn.Module] = SineKernel
    use_bias: bool = True

    @nn.compact
    def __call__(
        self, f: Float[Array | np.ndarray, "*batch_group_space_channels"], nodes: Nodes, outputs: Any = None
    ) -> Float[Array, "*batch_group_space_features"]:
        """The correlated feature, shape (..., outputs, space, features), in the dtype of f; see `lie.correlate`."""
        f, (elements, weights) = floating("f", f), checked_nodes("nodes", nodes)
        outputs = elements if outputs is None else checked_elements("outputs", outputs, elements.shape[-1])
        points, moved = lie.stencil_points(outputs, self.size), lie.relative(elements, outputs)
        positive("reach", self.reach)
        kernel = self._separable if self.separable else self._full
        kernel = kernel(f.shape[-1], f.dtype, points, moved, weights, volumes(outputs))
        options: dict[str, Any] = {"size": self.size, "stride": self.stride, "padding": self.padding}
        return _biased(self, lie.correlate(f, kernel, nodes, outputs=outputs, **options))

    def _separable(self, channels, dtype, points, moved, weights, volume):
        shape = (channels,) if self.channelwise else (channels, self.features)
        network = self.network(self.features, name="space")
        mixing = self.network(channels * (1 if self.channelwise else self.features), name="group")

        def space(points):
            return network(points / _radius(self)) * self._window(points)

        def group(a):
            k = mixing(lie.coordinates(a, self.reach)) * self._group_window(a)
            return k.reshape(*k.shape[:-1], *shape)

        w = weights.reshape(-1, *(1,) * len(shape))
        gain = _gain(self, "gain", space(points) * volume[:, None, None], (0, 1), len(points))
        scale = _gain(self, "gain_group", group(moved) * w, (0, 1) if self.channelwise else (0, 1, 2), len(points))
        matrix = None
        if self.channelwise:
            matrix = self.param("channels", nn.initializers.lecun_normal(), (channels, self.features))
        return lie.Separable(lambda p: _kept(space(p), dtype) * gain, lambda a: _kept(group(a), dtype) * scale, matrix)

    def _full(self, channels, dtype, points, moved, weights, volume):
        network = self.network(channels * self.features, name="kernel")

        def plain(g):
            x, a = g.translation / _radius(self), lie.coordinates(g.linear, self.reach)
            lead = jnp.broadcast_shapes(x.shape[:-1], a.shape[:-1])
            both = [jnp.broadcast_to(y, (*lead, y.shape[-1])) for y in (x, a)]
            k = network(jnp.concatenate(both, axis=-1)) * self._window(g.translation) * self._group_window(g.linear)
            return k.reshape(*k.shape[:-1], channels, self.features)

        taps = plain(AffineElement(points[:, None], moved[:, :, None]))
        taps = taps * (volume[:, None] * weights)[..., None, None, None]
        gain = _gain(self, "gain", taps, (0, 1, 2, 3), len(points))
        return lambda g: _kept(plain(g), dtype) * gain

    def _window(self, points):
        return lie.bump(jnp.sum((points / _radius(self)) ** 2, axis=-1))[..., None]

    def _group_window(self, a):
        return lie.bump(lie.stretch(a) / self.reach**2)[..., None]


def _radius(module):
    radius = module.size / 2 if module.radius is None else module.radius
    positive("radius", radius)
    return radius


def _gain(module, name, taps, axes, outputs):
    """A parameter a feature, at first 1 / √(Σ k²) with the mean over the output nodes: unit variance out.

    One where all taps are zero, as for outputs further from the nodes than the kernel reaches.
    """

    def initialize(_):
        squares = jnp.sum(taps**2, axis=axes)
        return jnp.sqrt(outputs / jnp.where(squares > 0, squares, outputs))

    return module.param(name, initialize).astype(taps.dtype)


def _kept(k, dtype):
    """k in the dtype of the feature, so that the backward pass keeps it as that: coordinates have a dtype of their own.

    Without the barrier XLA keeps the wider one, which it had before the cast.
    """
    return k if k.dtype == dtype else jax.lax.optimization_barrier(k.astype(dtype))


def _biased(module, y):
    if not module.use_bias:
        return y
    return y + module.param("bias", nn.initializers.zeros, (y.shape[-1],)).astype(y.dtype)

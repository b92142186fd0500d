"""Capsules: parts vote for the poses of what they are parts of."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate

TINY = 1e-8  # of denominators


class SelfRouting(nn.Module):
    """Capsules with activations a_i and poses u_i choose themselves which capsules b they are parts of:

        r_ib = softmax_b(w_ib · u_i + β_ib) ,  p_b = Σ_i a_i r_ib / Σ_i a_i ,
        P_b = Σ_i a_i r_ib W_ib u_i / Σ_i a_i r_ib .

    No iterations. w and β are zero at first, so that p_b = 1/capsules and P_b is the mean vote. The votes W_ib u_i of
    all capsules are never held at once: one b after the other.

    Attributes:
        capsules: How many b there are.
        size: Of the poses P_b, flattened: 9 for rotations of space.

    Raises:
        TypeError: If activations or poses are not real floating-point numbers.
        ValueError: If there is not one activation for each pose.

    References:
        Hahn, Pyeon and Kim 2019, "Self-routing capsule networks"; Durrant and Leontidis, "Capsule network projectors
        are equivariant and invariant learners" (EquiCaps), for the use of it.

    Examples:
        >>> from equijax import nn
        >>> a, u = jnp.full((5, 12), 0.5), jax.random.normal(jax.random.key(0), (5, 12, 9))
        >>> (p, poses), _ = jax.jit(nn.SelfRouting(capsules=4, size=9).init_with_output)(jax.random.key(1), a, u)
        >>> p[0].tolist(), poses.shape
        ([0.25, 0.25, 0.25, 0.25], (5, 4, 9))
    """

    capsules: int
    size: int

    @nn.compact
    def __call__(
        self, activations: ArrayLike, poses: ArrayLike
    ) -> tuple[Float[Array, "... capsules"], Float[Array, "... capsules size"]]:
        """p and P.

        Args:
            activations: a, (..., inputs), from 0 to 1.
            poses: u, (..., inputs, channels).
        """
        a, u = _validate.floating("activations", activations), _validate.floating("poses", poses)
        if u.ndim < 2 or a.shape != u.shape[:-1]:
            raise ValueError(
                f"activations: expected one for each pose, {u.shape[:-1]} for poses of shape {u.shape}, got {a.shape}"
            )
        inputs, channels = u.shape[-2:]
        shape = inputs, channels, self.capsules
        route = self.param("routing", nn.initializers.zeros, shape).astype(u.dtype)
        bias = self.param("bias", nn.initializers.zeros, shape[::2]).astype(u.dtype)
        spread = nn.initializers.normal(channels**-0.5)
        vote = self.param("votes", spread, (self.capsules, inputs, channels, self.size)).astype(u.dtype)
        logits = jnp.einsum("...ic,icb->...ib", u, route, precision="highest") + bias
        weights = a[..., None] * jax.nn.softmax(logits, axis=-1)  # a_i r_ib
        total = jnp.sum(weights, axis=-2)  # (..., capsules)

        @jax.checkpoint
        def pose(of_one):  # (...,  inputs) and (inputs, channels, size) of one b
            share, w = of_one
            return jnp.einsum("...ic,icd->...d", share[..., None] * u, w, precision="highest")

        found = jnp.moveaxis(jax.lax.map(pose, (jnp.moveaxis(weights, -1, 0), vote)), 0, -2)
        p = total / jnp.maximum(jnp.sum(a, axis=-1, keepdims=True), TINY)
        return p, found / jnp.maximum(total, TINY)[..., None]

"""Nonlinearities that commute with rotations and reflections."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from equijax import spherical
from equijax.nn._pairs import Input, Output, each, parts
from equijax.nn.normalization import degree_squares
from equijax.nn.radial import MLP
from equijax.nn.variance import gain, norm_gain


class Gate(nn.Module):
    """Scalars pass an activation and gate the higher degrees:

        y[0] = φ(x[0]) ,   y[l] = σ(x[0] W_l / √c) x[l] ,

    one gate for each degree l > 0 and channel, made of all scalars by a dense layer of its own. Of the pair (natural,
    pseudo) the natural scalars, which alone are invariant, gate all the rest, pseudoscalars too. φ and σ are scaled so
    that x of unit variance gives y of unit variance.

    Attributes:
        activation: φ.
        gate_activation: σ.
        precision: Of the matrix products that make the gates.
    """

    activation: Callable = jax.nn.silu
    gate_activation: Callable = jax.nn.sigmoid
    precision: Any = "highest"

    @nn.compact
    def __call__(self, x: Input) -> Output:
        """The gated features, in the form and dtype of `x`.

        Raises:
            ValueError: If there is no natural part.
        """
        found = parts("x", x)
        if 0 not in found:
            raise ValueError("x: expected a natural part, whose scalars make the gates, got None; use NormActivation")
        scalars = found[0][..., 0, :]

        def one(x, suffix):
            start = 0 if suffix else 1  # the first degree that is gated
            degree = spherical.degree_of_coefficient(spherical.lmax_of(x, "x"))[start:] - start
            shape = (spherical.lmax_of(x, "x") + 1 - start, x.shape[-1])
            network = MLP((shape[0] * shape[1],), precision=self.precision, name="gates" + suffix)
            gates = self.gate_activation(network(scalars))
            gates = (gates * gain(self.gate_activation)).reshape(*gates.shape[:-1], *shape)
            gated = x[..., start:, :] * gates[..., degree, :]
            if suffix:
                return gated
            return jnp.concatenate([self.activation(x[..., :1, :]) * gain(self.activation), gated], axis=-2)

        return each("x", x, one)


class NormActivation(nn.Module):
    """A nonlinear function of the norm of each degree and channel:

        y[l] = x[l] φ(w_l n_l + b_l) ,   n_l = √(⟨x[l]²⟩ + ε)   with the mean over the orders m.

    Natural and pseudo tensors alike; smooth at x = 0, where y = 0. φ is scaled so that x of unit variance gives y of
    unit variance at w = 1, b = 0, the initial values.

    Attributes:
        activation: φ.
        epsilon: ε, in the unit of x².
    """

    activation: Callable = jax.nn.sigmoid
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: Input) -> Output:
        """The features, in the form and dtype of `x`."""

        def one(x, suffix):
            lmax = spherical.lmax_of(x, "x")
            shape = (lmax + 1, x.shape[-1])
            w = self.param("scale" + suffix, nn.initializers.ones, shape)
            b = self.param("bias" + suffix, nn.initializers.zeros, shape)
            norms = jnp.sqrt(degree_squares(x) + self.epsilon)
            gains = np.array([[norm_gain(self.activation, l)] for l in range(lmax + 1)])
            factor = self.activation(w.astype(norms.dtype) * norms + b.astype(norms.dtype)) * gains.astype(norms.dtype)
            return x * factor.astype(x.dtype)[..., spherical.degree_of_coefficient(lmax), :]

        return each("x", x, one)

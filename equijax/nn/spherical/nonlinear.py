"""Nonlinearities that commute with rotations and reflections."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from equijax import spherical
from equijax.nn.plain import Dense
from equijax.nn.spherical.normalization import mean_square
from equijax.nn.variance import gain, norm_gain
from equijax.spherical.parity import Input, Output, each, each_degree, kinds


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

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import nn
        >>> x = jnp.ones((5, 9, 2))  # 5 rows, degrees 0 to 2, two channels
        >>> params = nn.Gate().init(jax.random.key(0), x)
        >>> nn.Gate().apply(params, x).shape, params["params"]["gates"]["kernel"].shape  # gates of l = 1 and l = 2
        ((5, 9, 2), (2, 4))
    """

    activation: Callable = jax.nn.silu
    gate_activation: Callable = jax.nn.sigmoid
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, x: Input) -> Output:
        """The gated features, in the form and dtype of `x`.

        Raises:
            ValueError: If there is no natural part.
        """
        found = kinds("x", x)
        if 0 not in found:
            raise ValueError("x: expected a natural part, whose scalars make the gates, got None; use NormActivation")
        scalars = found[0][..., 0, :]

        def one(x, suffix):
            start = 0 if suffix else 1  # the first degree that is gated
            gated = spherical.lmax_of(x, "x") + 1 - start
            # A gate (..., 1, channels) for each degree, from the scalars
            gates = []
            if gated:
                network = Dense(gated * x.shape[-1], False, True, precision=self.precision, name="gates" + suffix)
                opened = self.gate_activation(network(scalars)) * gain(self.gate_activation)
                gates = jnp.split(opened[..., None, :], gated, axis=-1)

            def passed(l, part):
                return part * gates[l - start] if l >= start else self.activation(part) * gain(self.activation)

            return each_degree(x, passed)

        return each("x", x, one)


class NormActivation(nn.Module):
    """A nonlinear function of the norm of each degree and channel:

        y[l] = x[l] φ(w_l n_l + b_l) ,   n_l = √(⟨x[l]²⟩ + ε)   with the mean over the orders m.

    Natural and pseudo tensors alike; smooth at x = 0, where y = 0. φ is scaled so that x of unit variance gives y of
    unit variance at w = 1, b = 0, the initial values.

    Attributes:
        activation: φ.
        epsilon: ε, in the unit of x².

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import nn
        >>> pseudo = jnp.ones((5, 4, 2))
        >>> natural, pseudo = jax.jit(nn.NormActivation().init_with_output)(jax.random.key(0), (None, pseudo))[0]
        >>> natural is None, pseudo.shape
        (True, (5, 4, 2))
    """

    activation: Callable = jax.nn.sigmoid
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: Input) -> Output:
        """The features, in the form and dtype of `x`."""

        def one(x, suffix):
            shape = (spherical.lmax_of(x, "x") + 1, x.shape[-1])
            w = self.param("scale" + suffix, nn.initializers.ones, shape)
            b = self.param("bias" + suffix, nn.initializers.zeros, shape)

            def scaled(l, part):
                norm = jnp.sqrt(mean_square(part) + self.epsilon)
                factor = self.activation(w[l].astype(norm.dtype) * norm + b[l].astype(norm.dtype))
                return part * (factor * norm_gain(self.activation, l)).astype(x.dtype)

            return each_degree(x, scaled)

        return each("x", x, one)

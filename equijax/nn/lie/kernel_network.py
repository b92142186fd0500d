"""Small networks for the kernels of group convolutions: functions of a few coordinates, each of about unit size."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equijax import lie
from equijax.nn.plain import uniform


class SineKernel(nn.Module):
    """A network with sines: W₂ sin(ω₀ (W₁ sin(ω₀ (W₀ x + b₀)) + b₁)).

    W₀ has entries in ±1/d, the others in ±√(6/width)/ω₀. Large ω₀ makes kernels that a stencil of few pixels cannot
    hold, and what turns them then turns something else: 10 is the most that 7 × 7 pixels bear.

    Attributes:
        outputs: Number of functions.
        width: Of the two hidden layers.
        omega: ω₀.

    References:
        Sitzmann et al. 2020, arXiv:2006.09661, section 3.2.

    Examples:
        >>> from equijax import nn
        >>> nn.SineKernel(outputs=3).init_with_output(jax.random.key(0), jnp.zeros((5, 2)))[0].shape
        (5, 3)
    """

    outputs: int
    width: int = 16
    omega: float = 5.0

    @nn.compact
    def __call__(self, x: Float[Array, "*batch d"]) -> Float[Array, "*batch outputs"]:
        for layer, bound in enumerate((1 / x.shape[-1], math.sqrt(6 / self.width) / self.omega)):
            w = self.param(f"kernel_{layer}", uniform(bound), (x.shape[-1], self.width))
            b = self.param(f"bias_{layer}", uniform(bound), (self.width,))
            x = lie.sine_features(x, w, b, self.omega)
        return _last(self, x, math.sqrt(6 / self.width) / self.omega)


class GaussianKernel(nn.Module):
    """A network on Gaussians about fixed centers in the cube [−1, 1]^d.

    Attributes:
        outputs: Number of functions.
        functions: Number of Gaussians.
        width: Of the hidden layer.

    Examples:
        >>> from equijax import nn
        >>> nn.GaussianKernel(outputs=3).init_with_output(jax.random.key(0), jnp.zeros((5, 2)))[0].shape
        (5, 3)
    """

    outputs: int
    functions: int = 25
    width: int = 16

    @nn.compact
    def __call__(self, x: Float[Array, "*batch d"]) -> Float[Array, "*batch outputs"]:
        x = lie.gaussian_features(x, self.functions)
        w = self.param("kernel_0", nn.initializers.lecun_normal(), (self.functions, self.width))
        b = self.param("bias_0", nn.initializers.zeros, (self.width,))
        x = jax.nn.silu(jnp.matmul(x, w.astype(x.dtype), precision="highest") + b.astype(x.dtype))
        return _last(self, x, math.sqrt(3 / self.width))


class SplineKernel(nn.Module):
    """A linear combination of B-splines about fixed centers in the cube [−1, 1]^d.

    Attributes:
        outputs: Number of functions.
        functions: Number of splines.
        degree: Of their polynomials.

    Examples:
        >>> from equijax import nn
        >>> nn.SplineKernel(outputs=3).init_with_output(jax.random.key(0), jnp.zeros((5, 2)))[0].shape
        (5, 3)
    """

    outputs: int
    functions: int = 25
    degree: int = 3

    @nn.compact
    def __call__(self, x: Float[Array, "*batch d"]) -> Float[Array, "*batch outputs"]:
        return _last(self, lie.spline_basis(x, self.functions, self.degree), math.sqrt(3 / self.functions))


def _last(module, x, bound):
    w = module.param("kernel", uniform(bound), (x.shape[-1], module.outputs))
    return jnp.matmul(x, w.astype(x.dtype), precision="highest")

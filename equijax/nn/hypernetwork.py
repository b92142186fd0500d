"""How a group element moves a code: a matrix that is learned, linear in the element, or a representation, declared."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.groups import SO, AffineElement, Element, Group, check_element
from equijax.reps import Homogeneous, Irreps, Rep, Vector


class HyperLinear(nn.Module):
    """ρ(g) z with a matrix that is linear in the entries of a faithful one, ρ(g) = Σ_k g_k W_k, and no bias anywhere.

    With all entries of R it can become every B⁻¹ (R ⊗ I) B, which composes as R does. Where the entries average to zero
    over the group, as those of R do, so does ρ: no code but zero is left alone by all elements, and codes cannot
    collapse to invariant ones. (Quaternions, the published choice, cannot give R, which is quadratic in them.) ρ(g)
    itself is not stored for a batch: products of entries of g and z, (..., k size), meet W.

    Attributes:
        group: The group of the elements.
        rep: The matrix that g is seen by; unless given R itself, and (A, t) where the group has translations. Choose
            one without invariant vectors.
        kernel_init: What W, (k, size, size), is drawn by; so that unit-variance codes stay so unless given.

    Raises:
        TypeError: If z is not of real floating-point numbers, or g no element.
        ValueError: If g is of another group, where its numbers are known, or there is not one for each code.

    References:
        Garrido, Najman and LeCun 2023, "Self-supervised learning of split invariant equivariant representations",
        arXiv:2302.10283, section 3.2; with matrices in the place of quaternions.

    Examples:
        >>> from equijax import groups, nn
        >>> g = groups.SO(3).sample(jax.random.key(0), (5,))
        >>> nn.HyperLinear().init_with_output(jax.random.key(1), g, jnp.ones((5, 8)))[0].shape
        (5, 8)
    """

    group: Group = SO(3)
    rep: Rep | None = None
    kernel_init: Callable[..., Array] | None = None

    @nn.compact
    def __call__(self, g: Element, z: ArrayLike) -> Float[Array, "... size"]:
        """The codes z, (..., size), each moved by its element of g."""
        z = codes(self.group, g, z)
        one = self.group.identity()
        affine = isinstance(one, AffineElement) or jnp.ndim(one) == 1
        rep = self.rep or (Homogeneous() if affine else Vector())
        rows = -1 if isinstance(rep, Homogeneous) else None  # the last row of [[A, t], [0, 1]] is the same for all
        entries = over_batch(lambda g, _: rep.matrix(g)[:rows].ravel(), z)(g, z)  # (..., k)
        k, size, length = entries.shape[-1], z.shape[-1], rep.dim_of(self.group) ** 0.5  # that of an orthogonal matrix
        init = self.kernel_init or nn.initializers.normal(1 / (length * size**0.5))
        w = self.param("kernel", init, (k, size, size)).astype(z.dtype)
        both = (entries.astype(z.dtype)[..., None] * z[..., None, :]).reshape(*z.shape[:-1], k * size)
        return jnp.matmul(both, w.swapaxes(1, 2).reshape(k * size, size), precision="highest")


class BlockAction(nn.Module):
    """ρ(g) z of codes that are declared to be a representation: exactly one, with nothing to learn.

    Attributes:
        rep: How codes move, on the last axis; a string is `reps.Irreps`, such as "8x0e+8x1o".
        group: The group of the elements.

    Raises:
        TypeError: If z is not of real floating-point numbers, or g no element.
        ValueError: If g is of another group, where its numbers are known, the codes do not have the size of the
            representation, or there is not one element for each.

    Examples:
        >>> from equijax import groups, nn
        >>> g = groups.SO(3).sample(jax.random.key(0), (5,))
        >>> nn.BlockAction("2x0e+2x1o").apply({}, g, jnp.ones((5, 8))).shape
        (5, 8)
    """

    rep: Rep | str
    group: Group = SO(3)

    @nn.compact
    def __call__(self, g: Element, z: ArrayLike) -> Float[Array, "... size"]:
        """The codes z, (..., size), each moved by its element of g."""
        z = codes(self.group, g, z)
        rep = Irreps(self.rep) if isinstance(self.rep, str) else self.rep
        rep.check(self.group)
        size = rep.dim_of(self.group)
        if z.shape[-1] != size:
            raise ValueError(
                f"z: expected codes of size {size}, that of {rep}, got shape {z.shape}; give the last layer of the "
                "encoder that size, or declare other irreps"
            )
        return over_batch(rep.act, z)(g, z)


def codes(group: Group, g: Element, z: ArrayLike) -> Float[Array, "... size"]:
    """Codes as an array; an error unless there is an element of the group for each of them."""
    z = _validate.floating("z", z)
    check_element(group, g)
    leaf, one = jax.tree.leaves(g)[0], jax.tree.leaves(group.identity())[0]
    batch = leaf.shape[: leaf.ndim - one.ndim]
    if z.ndim < 1 or z.shape[:-1] != batch:
        raise ValueError(f"z: expected one code for each element, shape (..., size) with ... = {batch}, got {z.shape}")
    return z


def over_batch(f: Callable[..., Array], z: Float[Array, "... size"]) -> Callable[..., Array]:
    """f, of one element and one code, for all leading axes of codes."""
    for _ in z.shape[:-1]:
        f = jax.vmap(f)
    return f

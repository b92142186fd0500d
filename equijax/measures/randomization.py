"""Is a distribution invariant under a group? A test whose level is exact, for any statistic, of few samples too."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from equijax import _validate
from equijax.numerics import AxisName, global_batch, matmul
from equijax.symmetry import Symmetry, inexact, positional


class RandomizationTest(NamedTuple):
    """What the data say against invariance."""

    p_value: Float[Array, ""]
    """At most α with probability α at most if the distribution is invariant; 1/(samples + 1) at least."""
    statistic: Float[Array, ""]
    """Of the data."""
    null: Float[Array, " samples"]
    """Of data whose rows were moved at random."""


def randomization_test(
    symmetry: Symmetry,
    args: PyTree,
    *,
    key: PRNGKeyArray,
    targets: PyTree = None,
    statistic: Callable[..., Array] | None = None,
    samples: int = 99,
    axis_name: AxisName = None,
) -> RandomizationTest:
    """Test of the hypothesis that x and g x have the same distribution for every g of a compact group.

        p = (1 + #{b : S(g_b · x) ≥ S(x)}) / (samples + 1) ,

    where each g_b has an element of its own for every row. Given the orbits of the rows, x and all g_b · x are equally
    likely if the hypothesis holds, so that P(p ≤ α) ≤ α whatever S is, with equality where α (samples + 1) is whole and
    S has no ties. (Values of S that differ by rounding alone are ties, and count against rejection.)

    Args:
        symmetry: A compact group, and how it acts on a row of the arguments.
        args: The arguments, as a tuple; rows of all arrays are independent samples.
        key: For the group elements; the same on all devices.
        targets: With them, the test of a symmetric regression: (x, y) and (ρ_in(g) x, ρ_out(g) y) have the same joint
            distribution.
        statistic: S of the arguments, and the targets where these are given: one number, large where the data are not
            invariant. By default the mean of a Gaussian kernel over pairs of rows: less its mean over `null`, it is an
            unbiased estimate of MMD² between the data and the data with each row moved at random.
        samples: How often all rows are moved.
        axis_name: Mesh axis over which the rows are spread.

    Raises:
        TypeError: If `args` is no tuple or list, or `key` no random key.
        ValueError: If the group is not compact, or the arrays do not have equally many rows, two at least.

    References:
        Hoeffding 1952, "The large-sample power of tests based on permutations of observations"; Gretton et al. 2012,
        "A kernel two-sample test", eq. 3.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> x, key = jax.random.normal(jax.random.key(0), (60, 2)), jax.random.key(1)
        >>> turns = Symmetry(groups.SO(2), reps.Vector(), None)
        >>> test = jax.jit(lambda x: randomization_test(turns, (x,), key=key).p_value)
        >>> print(test(x) > 0.05, test(x + 1) <= 0.05)
        True True
    """
    _validate.instance("symmetry", symmetry, Symmetry, "a Symmetry, as randomization_test(symmetry, args, key=key)")
    _validate.integer("samples", samples, 1)
    if not symmetry.group.is_compact:
        raise ValueError(f"symmetry: {symmetry.group} is not compact: no distribution is invariant under all of it")
    args = positional(args)
    data = jax.tree.map(lambda a: global_batch(jnp.asarray(a), axis_name), (args, targets))
    lengths = {jnp.shape(a)[:1] for a in jax.tree.leaves(data)}
    if len(lengths) != 1 or min(lengths) < (2,):
        raise ValueError(
            "args, targets: expected arrays of equally many rows, two at least, got shapes "
            f"{[jnp.shape(a) for a in jax.tree.leaves((args, targets))]}"
        )
    ((n,),) = lengths
    names = _validate.parameter_names(statistic, len(args)) if statistic else [f"args[{i}]" for i in range(len(args))]
    symmetry.hold_inputs(jax.tree.map(lambda a: a[0], data[0]), names)

    def moved(data, key):
        def row(g, data):
            args, targets = data
            return symmetry.act_inputs(g, args), None if targets is None else symmetry.act_outputs(g, targets)

        return jax.vmap(row)(symmetry.group.sample(key, (n,)), data)

    key = _validate.random_key("key", key)

    def value(data):
        if statistic is None:
            return _nearness(data)
        args, targets = data
        found = jnp.asarray(statistic(*args) if targets is None else statistic(*args, targets))
        if found.shape:
            raise ValueError(f"statistic: expected one number, got shape {found.shape}")
        return found

    with jax.default_matmul_precision("highest"):
        observed = value(data)
        null = jax.lax.map(lambda key: value(moved(data, key)), jax.random.split(key, samples))
    rounding = 32 * jnp.finfo(observed.dtype).eps * jnp.abs(observed)
    return RandomizationTest((1 + jnp.sum(null >= observed - rounding)) / (samples + 1), observed, null)


def _nearness(data):
    """Mean of k(x_i, x_j) = exp(−‖x_i − x_j‖² / s) over pairs of rows, with s the mean of ‖x‖².

    Every array counts equally: it is divided by the root of its mean squared norm.
    """
    arrays = [inexact(a).reshape(len(a), -1) for a in jax.tree.leaves(data)]
    sizes = [jnp.sqrt(jnp.mean(jnp.sum(a**2, axis=1))) for a in arrays]
    x = jnp.concatenate([a / jnp.where(size > 0, size, 1) for a, size in zip(arrays, sizes, strict=True)], axis=1)
    norms = jnp.sum(x**2, axis=1)
    kernel = jnp.exp(-jnp.maximum(norms[:, None] + norms - 2 * matmul(x, x.T), 0) / len(arrays))
    return jnp.sum(jnp.where(jnp.eye(len(x), dtype=bool), 0, kernel)) / (len(x) * (len(x) - 1))

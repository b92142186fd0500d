"""Is a prediction from features the same in every environment? Heads of least squares, one for each."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from equijax.measures.probe import ridge
from equijax.measures.samples import in_single_or_better
from equijax.numerics import AxisName, global_batch, norm


class EnvironmentInvariance(NamedTuple):
    """How much the best linear heads of environments differ."""

    heads: Float[Array, "environments features+1 outputs"]
    """β_e: weights and, in the last row, the bias."""
    distance: Float[Array, ""]
    """max ‖β_e − β_e′‖ over pairs of environments."""
    excess: Float[Array, " environments"]
    """Mean squared error of the head of all environments together, minus that of their own: zero or more."""
    violations: Float[Array, ""]
    """Share of the held-out environments whose excess over their own heads is above the tolerance."""
    constant: Int[Array, ""]
    """How often a feature is constant in an environment: its weight there is zero."""


def environment_invariance(
    features: ArrayLike | Sequence[ArrayLike],
    target: ArrayLike | Sequence[ArrayLike],
    *,
    mask: ArrayLike | None = None,
    held_out: Sequence[ArrayLike | Sequence[ArrayLike]] | None = None,
    tolerance: int | float = 0.1,
    axis_name: AxisName = None,
) -> EnvironmentInvariance:
    """How far from invariant E[y | φ] is over environments e, by the heads β_e of least squares on features φ.

    A head that is invariant on a few random interventions is so on most that were not seen: `violations` counts those
    where it is not.

    Args:
        features: φ of shape (environments, samples, features), more samples than features; or a list of arrays
            (samples, features), one for each environment, of any lengths.
        target: y of shape (environments, samples), or (environments, samples, outputs); or such a list.
        mask: Which samples there are, shape (environments, samples), where rows are padded; not for lists.
        held_out: Features and targets of other environments, for `violations`, and their mask if there is one; by
            default the same environments.
        tolerance: ε, in units of the target squared, that the excess there may have.
        axis_name: Mesh axis over which the environments are spread.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If shapes do not fit, or the samples do not determine a head.

    References:
        Arjovsky et al. 2019, arXiv:1907.02893.

    Examples:
        >>> x = jax.random.normal(jax.random.key(0), (3, 20, 1))
        >>> measure = jax.jit(environment_invariance)
        >>> same = measure(x, 2 * x[..., 0])
        >>> turned = measure(x, np.array([1.0, 1.0, -1.0], np.float32)[:, None] * x[..., 0])
        >>> print(same.distance < 1e-5, same.violations, turned.distance.round(3), turned.violations > 0)
        True 0.0 2.0 True
        >>> some = [x[0], x[1, :7]]  # of two sizes
        >>> print(measure(some, [2 * x[:, 0] for x in some]).distance < 1e-5)
        True
    """
    x, y, shown = _environments("features", features, "target", target, mask, axis_name)
    others = x, y, shown
    if held_out is not None:
        u, v, *more = held_out
        others = _environments("held_out[0]", u, "held_out[1]", v, more[0] if more else None, axis_name)
        if [a.shape[-1] for a in others[:2]] != [x.shape[-1], y.shape[-1]]:
            raise ValueError(
                f"held_out: expected {x.shape[-1]} features and {y.shape[-1]} outputs, as there are to learn from, "
                f"got {others[0].shape[-1]} and {others[1].shape[-1]}"
            )
    heads = jax.vmap(lambda x, y, shown: ridge(x, y, penalty=0.0, mask=shown))
    own = heads(x, y, shown)
    pooled = ridge(*(a.reshape(-1, a.shape[-1]) for a in (x, y)), penalty=0.0, mask=shown.ravel())
    beta = jnp.concatenate([own.kernel, own.bias[:, None]], axis=1)
    excess = _excess(pooled, own, x, y, shown)
    away = excess if held_out is None else _excess(pooled, heads(*others), *others)
    return EnvironmentInvariance(
        heads=beta,
        distance=jnp.max(norm(beta[:, None] - beta, axis=(-2, -1))),
        excess=excess,
        violations=jnp.mean(away > tolerance, dtype=x.dtype),
        constant=jnp.sum(own.constant),
    )


def _excess(pooled, own, x, y, shown):
    """Risk of one head in each environment minus that of the environment's own."""

    def of_one(own, x, y, shown):
        risks = [jnp.sum((head(x) - y) ** 2, axis=-1) for head in (pooled, own)]
        return jnp.sum(jnp.where(shown, risks[0] - risks[1], 0)) / jnp.sum(shown)

    return jax.vmap(of_one)(own, x, y, shown)


def _environments(first, features, second, target, mask, axis_name):
    """Features, targets and which there are: (environments, samples, ...), with the environments of all devices."""
    if isinstance(features, list | tuple):
        features, target, mask = _padded(first, features, second, target, mask)
    x, y = in_single_or_better(first, features), in_single_or_better(second, target)
    y = y[..., None] if y.ndim == 2 else y
    if x.ndim != 3 or y.ndim != 3 or x.shape[:2] != y.shape[:2] or not x.size:
        raise ValueError(
            f"{first}, {second}: expected shapes (environments, samples, features) and (environments, samples), "
            f"got {jnp.shape(features)} and {jnp.shape(target)}"
        )
    shown = jnp.ones(x.shape[:2], bool) if mask is None else jnp.asarray(mask, bool)
    if shown.shape != x.shape[:2]:
        raise ValueError(f"mask: expected shape {x.shape[:2]}, one a sample, got {shown.shape}")
    counts = jnp.sum(shown, axis=1)
    if not isinstance(counts, jax.core.Tracer) and (least := int(jnp.min(counts))) <= x.shape[2]:
        raise ValueError(
            f"{first}: {least} samples do not determine a probe of {x.shape[2]} features; give each environment more"
        )
    return tuple(global_batch(a, axis_name) for a in (x, y, shown))


def _padded(first, features, second, target, mask):
    """Lists of arrays, one an environment, as arrays with a mask."""
    sizes = [[jnp.shape(a)[0] if jnp.ndim(a) else 0 for a in arrays] for arrays in (features, target)]
    if mask is not None or sizes[0] != sizes[1] or not sizes[0] or len({jnp.shape(a)[1:] for a in features}) > 1:
        raise ValueError(
            f"{first}, {second}: expected lists of as many arrays (samples, features) and (samples,), and no mask, got "
            f"shapes {[jnp.shape(a) for a in features]} and {[jnp.shape(a) for a in target]}"
        )
    longest = max(sizes[0])
    pad = lambda a: jnp.pad(jnp.asarray(a), [(0, longest - len(a)), *[(0, 0)] * (jnp.ndim(a) - 1)])  # noqa: E731
    shown = np.arange(longest) < np.array(sizes[0])[:, None]
    return jnp.stack([pad(a) for a in features]), jnp.stack([pad(a) for a in target]), shown

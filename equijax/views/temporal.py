"""Views of clips: the same transformation for every frame, and how far two clips of a video lie apart."""

from collections.abc import Callable

import jax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from equijax._validate import positive, random_key

View = Callable[[PRNGKeyArray, PyTree], tuple[PyTree, PyTree]]
"""(key, sample) -> (view of the sample, parameters of the view)."""


def temporally_consistent(view: View) -> View:
    """A view of clips (time, ...) that moves all frames by one and the same draw: it commutes with their permutations.

    Returns:
        (key, clip) -> (view of the clip, parameters), with the parameters of a frame, which are those of all.

    Raises:
        ValueError: When called, if the parameters depend on the frame and not on the key alone.

    References:
        Qian et al. 2021, arXiv:2008.03800, section 3.2.

    Examples:
        >>> shift = lambda key, x: (x + (step := jax.random.normal(key)), step)
        >>> clip, step = temporally_consistent(shift)(jax.random.key(0), jax.numpy.zeros(3))
        >>> (clip == step).tolist()
        [True, True, True]
    """

    def of_clip(key: PRNGKeyArray, clip: PyTree) -> tuple[PyTree, PyTree]:
        try:
            return jax.vmap(view, in_axes=(None, 0), out_axes=(0, None))(random_key("key", key), clip)
        except ValueError as error:
            if "out_axes" not in str(error):
                raise
            raise ValueError(
                "view: its parameters depend on the frame; draw them from the key alone, the same for all frames"
            ) from error

    return of_clip


def clip_interval(
    key: PRNGKeyArray, longest: int | float | Array, *, power: int | float = 1.0, shape: tuple[int, ...] = ()
) -> Float[Array, "*shape"]:
    """δ in [0, T] with the density  (p + 1) / (p T) · (1 − (δ / T)^p): clips that lie near each other come more often.

    δ = T u w^{1/(p + 1)} with u and w uniform. The mean is T (p + 1) / (2 (p + 2)), T/3 for the linear p = 1.

    Args:
        longest: T, in frames or any unit; the length of the video less that of a clip. May be traced.
        power: p.

    Raises:
        ValueError: If T or p is not positive.

    References:
        Qian et al. 2021, arXiv:2008.03800, section 3.1.

    Examples:
        >>> apart = clip_interval(jax.random.key(0), 30.0, shape=(10_000,))
        >>> 9.7 < float(apart.mean()) < 10.3
        True
    """
    positive("longest", longest)
    positive("power", power)
    u, w = jax.random.uniform(random_key("key", key), (2, *shape))
    return longest * u * w ** (1 / (power + 1))

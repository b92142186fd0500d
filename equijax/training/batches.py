"""Which examples a step sees: an order of its own for each epoch, the same one whenever training resumes."""

import itertools
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jaxtyping import Array, Int, PyTree


def epochs(count: int, batch_size: int, seed: int, first_step: int = 0) -> Iterator[Int[np.ndarray, " batch"]]:
    """Indices of batch after batch, each epoch in an order of its own; the same ones whenever training resumes.

    Args:
        count: How many examples there are; those that fill no batch are left out of the epoch.
        batch_size: Indices in each batch.
        seed: Of all orders.
        first_step: How many batches to skip.

    Raises:
        ValueError: If a batch is empty, or larger than an epoch.

    Examples:
        >>> order = epochs(4, 2, seed=0)
        >>> sorted(np.concatenate([next(order), next(order)]).tolist())
        [0, 1, 2, 3]
    """
    if not 1 <= batch_size <= count:
        raise ValueError(f"batch_size: expected 1 to {count}, the number of examples, got {batch_size}")
    batches = count // batch_size
    epoch, skip = divmod(first_step, batches)

    def of_epoch(epoch):
        order = np.random.default_rng([seed, epoch]).permutation(count)
        return order[: batches * batch_size].reshape(batches, batch_size)

    return itertools.islice(itertools.chain.from_iterable(map(of_epoch, itertools.count(epoch))), skip, None)


def shuffled(examples: PyTree[Array | np.ndarray], batch_size: int, seed: int) -> Callable[[int], Iterator[PyTree]]:
    """Batches of arrays whose first axis counts examples, in the order of `epochs`, as `fit` takes them.

    Args:
        examples: Arrays of one length.
        batch_size: Examples in each batch.
        seed: Of all orders.

    Returns:
        The function from the first step to the batches from there on.

    Raises:
        ValueError: If the arrays differ in length, or a batch is empty or larger than an epoch.

    Examples:
        >>> batches = shuffled({"x": np.arange(6), "y": np.arange(6) ** 2}, batch_size=3, seed=0)
        >>> next(batches(0))["x"].shape
        (3,)
    """
    lengths = {len(leaf) for leaf in jax.tree.leaves(examples)}
    if len(lengths) != 1:
        raise ValueError(f"examples: expected arrays of one length, got {sorted(lengths) or 'no arrays'}")
    (count,) = lengths
    epochs(count, batch_size, seed)  # a wrong size is said here, not at the first batch

    def batches(first_step: int) -> Iterator[PyTree]:
        for rows in epochs(count, batch_size, seed, first_step):
            yield jax.tree.map(lambda a, rows=rows: a[rows], examples)

    return batches

"""Which examples a step sees: an order of its own for each epoch, the same one whenever training resumes."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Int, PyTree

from equijax import _validate


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


@runtime_checkable
class ByStep(Protocol):
    """The batch of each step, by its number; it is pickled, and each worker process asks for ascending steps."""

    def __getitem__(self, step: int, /) -> PyTree: ...


def prefetch(batches: ByStep, first: int, workers: int, ahead: int = 2) -> Iterator[PyTree]:
    """The batches from a step on, made ahead by worker processes, in their order; by Grain.

    Workers are started anew, not forked, so that a script needs `if __name__ == "__main__":` around what it does. Each
    holds up to `ahead` batches, and so the memory is bounded. They end with the iterator.

    Args:
        batches: What gives the batch of a step, without end.
        first: The first step.
        workers: Processes; with 0 the batches are made when they are asked for.
        ahead: Batches that each worker makes in advance.

    Raises:
        ImportError: If Grain is not installed.

    Examples:
        >>> squares = type("Squares", (), {"__getitem__": lambda self, step: step**2})()
        >>> list(itertools.islice(prefetch(squares, 3, workers=0), 3))
        [9, 16, 25]
    """
    if not _validate.integer("workers", workers):
        yield from map(batches.__getitem__, itertools.count(first))
        return
    try:
        import grain
        from absl import flags
    except ImportError as error:
        raise ImportError("worker processes are Grain's: pip install 'equijax[data]', or take workers=0") from error
    if not flags.FLAGS.is_parsed():  # Grain asks for flags that only programs of absl parse
        flags.FLAGS.mark_as_parsed()
    reading = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
    processes = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=ahead)
    found = grain.MapDataset.source(_Endless(batches))[first:].to_iter_dataset(reading)
    yield from found.mp_prefetch(processes)


class _Endless:
    """Batches by step as Grain takes them."""

    def __init__(self, batches: ByStep):
        self.batches = batches

    def __len__(self) -> int:
        return 2**40

    def __getitem__(self, step: Any) -> PyTree:
        return self.batches[int(step)]

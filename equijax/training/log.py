"""What a run notes on its way: time spent, losses, records; and how much of its budget is done."""

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from equijax.training import files
from equijax.training.step import Found

_HELD = 1000  # losses that stay on the device before they are fetched


class Record(NamedTuple):
    """What is noted every so often."""

    step: int
    seconds: float
    """Of the budget, spent so far."""
    loss: float
    """Mean since the last record."""
    terms: dict[str, float]
    """Means of what the loss returned beside its value."""
    validation: dict[str, float]
    step_seconds: float
    """Median time of a step since the last record, without that of its batch."""


class Spent(NamedTuple):
    """Seconds that a run took, by what for; those before it was resumed are included."""

    compiling: float = 0.0
    batching: float = 0.0
    """Until the next batch was there."""
    stepping: float = 0.0
    validating: float = 0.0
    saving: float = 0.0


class Log:
    """Time, losses and records of a run whose budget is so many steps, seconds, or what comes first of both."""

    def __init__(
        self,
        steps: int | None,
        seconds: int | float | None,
        every: int | float,
        clock: Callable[[], float],
        counted: tuple[str, ...],
    ):
        self.steps, self.budget, self.every, self.clock, self.counted = steps, seconds, every, clock, counted
        self.spent = dict.fromkeys(Spent._fields, 0.0)
        self.history: list[Record] = []
        self.totals: dict[str, float] = {}  # of the losses since the last record
        self.count = 0
        self.mark = every  # where the next record is due
        self.broken = False  # whether a loss was not finite
        self._queue: list[Found] = []
        self._durations: list[float] = []  # of the steps since the last record

    @contextlib.contextmanager
    def time(self, what: str) -> Iterator[None]:
        """Add the time until the block ends."""
        begin = self.clock()
        try:
            yield
        finally:
            spent = self.clock() - begin
            self.spent[what] += spent
            if what == "stepping":
                self._durations.append(spent)

    @property
    def seconds(self) -> float:
        """Spent of the budget."""
        return sum(self.spent[what] for what in self.counted)

    @property
    def pending(self) -> bool:
        """Whether there are losses since the last record."""
        return bool(self.count or self._queue)

    def share(self, step: int) -> float:
        """How much of the run is done, 0 to 1 and beyond: of its steps, or of its time after compiling."""
        shares = []
        if self.steps is not None:
            shares.append(step / self.steps)
        if self.budget is not None:
            compiling = self.spent["compiling"] if "compiling" in self.counted else 0.0
            shares.append((self.seconds - compiling) / max(self.budget - compiling, 1e-3))
        return max(shares)

    def due(self, step: int) -> bool:
        """Whether it is time for a record."""
        return (step if isinstance(self.every, int) else self.share(step) + 1e-9) >= self.mark

    def add(self, found: Found) -> None:
        """Take what the loss says of a step, and wait for the step before, so that the host runs ahead by one."""
        if self._queue:
            jax.block_until_ready(self._queue[-1].value)
        self._queue.append(found._replace(carry=None))
        if len(self._queue) >= _HELD:
            self.fetch()

    def fetch(self) -> None:
        """Add up the losses that are still on the device, one by one, so that the sum is the same after a break."""
        for found in jax.device_get(self._queue):
            for name, value in {"loss": found.value, **found.terms}.items():
                self.totals[name] = self.totals.get(name, 0.0) + float(value)
            self.count += 1
        self._queue = []
        self.broken = not math.isfinite(self.totals.get("loss", 0.0))

    def record(self, step: int, validation: dict[str, float]) -> None:
        """Note the means since the last record."""
        means = {name: total / self.count for name, total in self.totals.items()}
        step_seconds = float(np.median(self._durations or [0.0]))
        self.history.append(Record(step, self.seconds, means.pop("loss"), means, validation, step_seconds))
        self.totals, self.count, self._durations = {}, 0, []
        done = step if isinstance(self.every, int) else self.share(step)
        self.mark = (math.floor(done / self.every + 1e-9) + 1) * self.every

    def dump(self) -> dict[str, Any]:
        """All that a resumed run needs, as JSON has it."""
        history = [record._asdict() for record in self.history]
        return {"history": history, "spent": self.spent, "totals": self.totals, "count": self.count, "mark": self.mark}

    def write(self, path: Path) -> None:
        """The records as lines of JSON, in the place of what is there, all at once: a kill leaves one of both."""
        text = "".join(json.dumps(record._asdict()) + "\n" for record in self.history)
        files.replace(path, text)

    def load(self, saved: dict[str, Any]) -> None:
        """Go on from what `dump` gave."""
        self.history = [Record(**record) for record in saved["history"]]
        self.spent, self.totals, self.count = saved["spent"], saved["totals"], saved["count"]
        self.mark = saved["mark"]


def finite(tree: Any) -> bool:
    """Whether all numbers of arrays on the devices of this process are finite."""
    shards = (shard.data for leaf in jax.tree.leaves(tree) for shard in leaf.addressable_shards)
    return all(bool(np.isfinite(np.asarray(data)).all()) for data in shards)

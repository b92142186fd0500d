"""Files of results, a line of JSON for each, and what the results were to reach."""

import json
from pathlib import Path
from typing import NamedTuple


def append(path, result):
    """Add one line to a file of results; nothing where `path` is None."""
    if path:
        with open(path, "a") as file:
            file.write(json.dumps(result) + "\n")


def read(path):
    """All results of a file; none where there is no file, or `path` is None."""
    lines = Path(path).read_text().splitlines() if path and Path(path).is_file() else []
    return [json.loads(line) for line in lines if line.strip()]


def latest(results, *keys):
    """The last result of each case; two results are of the same case if they have the same values of `keys`."""
    return list({tuple(r.get(key) for key in keys): r for r in results}.values())


def holds(path, **case):
    """Whether a file has a result with these values, so that a script that is started again need not repeat it."""
    return any(all(name in r and r[name] == value for name, value in case.items()) for r in read(path))


class Target(NamedTuple):
    """A figure that was to be reached."""

    what: str
    figure: float | None  # what was measured
    limit: float
    sense: str = "at most"  # or "at least"

    def met(self):
        """In a word."""
        if self.figure is None:
            return "not measured"
        reached = self.figure <= self.limit if self.sense == "at most" else self.figure >= self.limit
        return "met" if reached else "missed"


def summary(targets):
    """What was to be reached and was, for a terminal."""
    return "\n".join(
        f"{t.met():12} {'' if t.figure is None else f'{t.figure:.3g}':>7}  {t.what}: {t.sense} {t.limit}"
        for t in targets
    )

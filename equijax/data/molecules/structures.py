"""Structures in files, read when they are asked for: sequences that cost no memory."""

import abc
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from equijax.data.molecules.labels import Atoms, Labeling
from equijax.graphs import Structure

LOOKED_AT = 100  # frames, over all of a file, by which names of labels are chosen


class Structures(Sequence):  # of `graphs.Structure`, which a type checker would read to see
    """Frames of a file as structures; it can be pickled, and each process opens the file itself."""

    def __init__(self, path: str | Path, labeling: Labeling):
        expect_ase()
        self.path = Path(path)
        looked_at = np.unique(np.linspace(0, len(self) - 1, LOOKED_AT).astype(int)).tolist()
        self.labeling = labeling.chosen(str(path), (self._atoms(k) for k in looked_at))

    def where(self, k: int) -> str:
        """The frame in words."""
        return f"{self.path}, frame {k}"

    @overload
    def __getitem__(self, k: int) -> Structure: ...
    @overload
    def __getitem__(self, k: slice) -> "Subset": ...
    def __getitem__(self, k: int | slice) -> "Structure | Subset":
        if isinstance(k, slice):
            return Subset(self, range(len(self))[k])
        if not -len(self) <= k < len(self):
            raise IndexError(f"{self.path}: has {len(self)} frames, none of number {k}")
        k %= len(self)
        return self.labeling.structure(self.where(k), self._atoms(k))

    @abc.abstractmethod
    def _atoms(self, k: int) -> Atoms:
        """Those of a frame, as ASE reads them."""


class Subset(Sequence):
    """Some of other structures, in an order of its own, read when they are asked for.

    Args:
        structures: The others.
        indices: Which of them.

    Examples:
        >>> from equijax import data
        >>> frames = Subset(data.acetylacetone().train, [7, 3])
        >>> len(frames), frames.where(1)
        (2, 'structures[3]')
    """

    def __init__(self, structures: Sequence[Structure], indices: Sequence[int]):
        self.structures, self.indices = structures, indices

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, k: int) -> Structure: ...
    @overload
    def __getitem__(self, k: slice) -> "Subset": ...
    def __getitem__(self, k: int | slice) -> "Structure | Subset":
        if isinstance(k, slice):
            return Subset(self.structures, self.indices[k])
        return self.structures[self.indices[k]]

    def where(self, k: int) -> str:
        """Which of the others a structure is, in words."""
        named = getattr(self.structures, "where", None)
        return named(self.indices[k]) if named else f"structures[{self.indices[k]}]"


class Database(Structures):
    """Rows of an ASE database: SQLite, JSON, or LMDB by ase-db-backends."""

    def __init__(self, path: str | Path, labeling: Labeling):
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"{path}: no such database")
        try:
            self.ids = [row.id for row in _connected(self.path).select(columns=["id"], include_data=False)]
        except Exception as error:  # whatever the backend trips over
            raise ValueError(f"{path}: not readable as an ASE database ({type(error).__name__}: {error})") from error
        if not self.ids:
            raise ValueError(f"{path}: the database is empty")
        super().__init__(path, labeling)

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, k: int) -> str:
        """The row in words."""
        return f"{self.path}, frame {k} (id {self.ids[k]})"

    def _atoms(self, k: int) -> Atoms:
        row = _connected(self.path).get(id=self.ids[k])
        atoms = row.toatoms()
        atoms.info |= row.key_value_pairs | dict(row.data)
        return atoms


class Trajectory(Structures):
    """Frames of a trajectory of ASE."""

    def __init__(self, path: str | Path, labeling: Labeling):
        self.path, self._open = Path(path), None
        try:
            self._count = len(self._opened())
        except FileNotFoundError:
            raise
        except Exception as error:  # whatever ASE trips over
            raise ValueError(f"{path}: not readable as a trajectory of ASE ({error})") from error
        super().__init__(path, labeling)

    def __len__(self) -> int:
        return self._count

    def _opened(self) -> Any:
        expect_ase()
        if self._open is None:
            from ase.io import Trajectory as Reader

            self._open = Reader(str(self.path))
        return self._open

    def _atoms(self, k: int) -> Atoms:
        return self._opened()[k]

    def __getstate__(self):
        return self.__dict__ | {"_open": None}


class InMemory(Structures):
    """Frames of any other file that ASE reads."""

    def __init__(self, path: str | Path, labeling: Labeling):
        expect_ase()
        from ase.io import read

        if not Path(path).exists():
            raise FileNotFoundError(f"{path}: no such file")
        try:
            self._frames: Any = read(path, ":")
        except Exception as error:  # whatever ASE trips over
            raise ValueError(f"{path}: ASE cannot read it ({type(error).__name__}: {error})") from error
        super().__init__(path, labeling)

    def __len__(self) -> int:
        return len(self._frames)

    def _atoms(self, k: int) -> Atoms:
        return self._frames[k]


@functools.lru_cache(maxsize=8)
def _connected(path: Path) -> Any:
    """The database, opened once in each process: LMDB does not open a file twice."""
    expect_ase()
    from ase.db import connect

    if path.suffix != ".aselmdb":
        return connect(path)
    try:
        return connect(path, readonly=True)
    except (AssertionError, ValueError, ImportError, TypeError) as error:
        raise ValueError(f"{path}: LMDB needs ase-db-backends ({error}): pip install 'equijax[data]'") from error


def expect_ase() -> None:
    try:
        import ase  # noqa: F401
    except ImportError as error:
        raise ImportError("files of structures are read by ASE: pip install 'equijax[molecules]'") from error

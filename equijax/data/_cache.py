"""Sets that were generated, in a file beside the settings that they were made by."""

import io
import zipfile
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from equijax.training.files import replace

Sets = TypeVar("Sets", bound=tuple)


def write(path: Path, settings: str, sets: Any) -> None:
    """Tuples of arrays, with the names of both."""
    arrays = {f"{name}/{key}": a for name, one in sets._asdict().items() for key, a in one._asdict().items()}
    content = io.BytesIO()
    np.savez_compressed(content, settings=np.array(settings), **arrays)
    replace(path, content.getvalue())


def read(path: Path, settings: str, maker: str, kind: type[Sets], of: Any) -> Sets:
    """What was written: a `kind` of tuples `of` arrays, if it was made by these settings.

    Raises:
        ValueError: If the file is damaged, is no file of `maker`, or is of other settings.
    """
    names: Any = kind
    try:
        with np.load(path) as file:
            found = str(file["settings"])
            sets = names(*(of(*(file[f"{name}/{key}"] for key in of._fields)) for name in names._fields))
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: not written by {maker}, or damaged; name another ({error})") from error
    if found != settings:
        raise ValueError(f"{path}: holds {found}, expected {settings}; remove it or name another")
    return sets

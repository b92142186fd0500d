"""Files that are written whole or not at all."""

import os
from pathlib import Path


def replace(path: Path, content: str | bytes) -> None:
    """Write a file in the place of another one, all at once: a kill, or a full disk, leaves the one that was there.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     replace(Path(folder) / "runs" / "note.txt", "done")
        ...     [path.name for path in Path(folder).rglob("*.txt")]
        ['note.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content if isinstance(content, bytes) else content.encode())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)

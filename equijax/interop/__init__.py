"""Other packages: their arrays and interfaces. Each module imports its package; the core imports none of them."""

import importlib
from typing import Any

__all__ = ["ase", "e3nn"]


def __getattr__(name: str) -> Any:
    """Import a module on first use, and with it the package that it is for."""
    if name in __all__:
        return importlib.import_module(f"equijax.interop.{name}")
    raise AttributeError(f"module 'equijax.interop' has no attribute {name!r}; its modules are {', '.join(__all__)}")

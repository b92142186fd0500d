"""Arrays and interfaces of other packages: `interop.e3nn` converts features to and from e3nn-jax, `interop.ase` makes a
potential a calculator of ASE, `interop.nequix` reads published weights.

Each module imports the package that it is for, and the rest of equijax imports none of these modules.
"""

import importlib
from types import ModuleType

__all__ = ["ase", "e3nn", "nequix"]


def __getattr__(name: str) -> ModuleType:
    """Import a module on first use, and with it the package that it is for."""
    if name in __all__:
        try:
            return importlib.import_module(f"equijax.interop.{name}")
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] != "ase":
                raise
            raise ImportError("interop.ase needs ASE: pip install 'equijax[molecules]'") from error
    raise AttributeError(f"module 'equijax.interop' has no attribute {name!r}; its modules are {', '.join(__all__)}")

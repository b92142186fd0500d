"""Equivariant neural networks in JAX.

A symmetry is a group, how it acts on the inputs, and how it acts on the outputs. Everything here builds a function
that has a given symmetry, measures how far a function is from having it, or encourages it in training.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what `__getattr__` imports
    from equijax import (  # noqa: F401
        checks,
        data,
        frames,
        graphs,
        groups,
        interop,
        lie,
        measures,
        models,
        nn,
        objectives,
        products,
        reps,
        rotations,
        spherical,
        training,
        views,
    )
    from equijax.checks import check  # noqa: F401
    from equijax.checks.summary import report  # noqa: F401
    from equijax.frames import canonicalize, frame_average  # noqa: F401
    from equijax.measures import equivariance_error  # noqa: F401
    from equijax.symmetry import Symmetry, augment, group_average  # noqa: F401

_MODULES = (
    *("checks", "data", "frames", "graphs", "groups", "interop", "lie", "measures", "models", "nn", "objectives"),
    *("products", "reps", "rotations", "spherical", "training", "views"),
)
_NAMES = {
    "Symmetry": "symmetry",
    "augment": "symmetry",
    "equivariance_error": "measures",
    "group_average": "symmetry",
    "canonicalize": "frames",
    "check": "checks",
    "frame_average": "frames",
    "report": "checks",
}

__all__ = [*_MODULES, *_NAMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Import a part on first use, so that `import equijax` costs next to nothing."""
    if name in _MODULES:
        return importlib.import_module(f"equijax.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"equijax.{_NAMES[name]}"), name)
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("equijax")
    raise AttributeError(f"module 'equijax' has no attribute {name!r}; its parts are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)

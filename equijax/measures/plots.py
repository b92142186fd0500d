"""Figures and axes to draw on, where Matplotlib is installed."""

from typing import Any


def axes(ax: Any = None) -> Any:
    """`ax`, or new Matplotlib axes.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    return figure().add_subplot() if ax is None else ax


def figure() -> Any:
    """A new Matplotlib figure, of no window.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need Matplotlib: pip install 'equijax[plot]'") from error
    return Figure(layout="constrained")

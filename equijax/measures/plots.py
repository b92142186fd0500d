"""Axes to draw on, where Matplotlib is installed."""

from typing import Any


def axes(ax: Any = None) -> Any:
    """`ax`, or new Matplotlib axes.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    if ax is not None:
        return ax
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plots need Matplotlib: pip install 'equijax[plot]'") from error
    return Figure(layout="constrained").add_subplot()

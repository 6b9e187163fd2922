"""Pictures, as SVG: what draws them is an extra that need not be installed."""

from __future__ import annotations

from typing import Any


def figure(width: float, height: float) -> Any:
    """A figure of so many inches, to be saved as SVG. None where matplotlib, which draws it, is missing."""
    try:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError:
        return None
    drawn = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(drawn)
    return drawn

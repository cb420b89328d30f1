"""What drawn diagrams are made of: a sheet measured in inches, boxes, arrows, dots, words.

A sheet is as wide as the book's figures, so the words are the size of the body's. One unit is an
inch, the origin is the lower left corner.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from recsys import checks
from recsys.pages.figures import COLOURS, WIDE

INK = "#222222"  # of words that belong to no colour
SMALL = 9.5  # points: remarks; boxes and labels have the figures' own size
Point = tuple[float, float]


def sheet(height: float, width: float = WIDE[0]) -> tuple[Figure, Axes]:
    """Return a figure and its axes without ticks; coordinates are inches from the lower left."""
    height = checks.number("height", height, 0.5, 12.0)
    width = checks.number("width", width, 0.5, 12.0)
    figure = plt.figure(figsize=(width, height), layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_xlim(0, width)
    ax.set_ylim(0, height)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return figure, ax


def box(
    ax: Axes,
    centre: Point,
    size: Point,
    text: str = "",
    colour: str = "blue",
    dashed: bool = False,
    **words: object,
) -> None:
    """Draw a rounded box with words in its middle; dashed for what nobody sees.

    Parameters
    ----------
    ax : matplotlib Axes, of ``sheet``
    centre, size : (x, y) of its middle, and (width, height), in inches
    text : str
        May have several lines.
    colour : str
        A name of ``COLOURS``: of the edge, and pale of the inside.
    dashed : bool
        A dashed edge and no filling.
    words : keywords of ``Axes.text``, such as ``fontsize``
    """
    edge = COLOURS[checks.one_of("colour", colour, tuple(COLOURS))]
    x, y = checks.finite("centre", centre, (2,))
    width, height = checks.finite("size", size, (2,))
    corner = (x - width / 2, y - height / 2)
    look = {"boxstyle": "round,pad=0,rounding_size=0.07", "linewidth": 1.6}
    if not dashed:
        pale = FancyBboxPatch(corner, width, height, **look, fc=edge, ec="none", alpha=0.12)
        ax.add_patch(pale)
    style = (0, (3, 2)) if dashed else "-"
    ax.add_patch(FancyBboxPatch(corner, width, height, **look, fc="none", ec=edge, ls=style))
    if text:
        note(ax, (x, y), text, **{"ha": "center", **words})


def arrow(
    ax: Axes,
    start: Point,
    end: Point,
    colour: str = "grey",
    bend: float = 0.0,
    dashed: bool = False,
) -> None:
    """Draw an arrow; ``bend`` curves it to the right, or left if negative."""
    colour = COLOURS[checks.one_of("colour", colour, tuple(COLOURS))]
    start, end = checks.finite("start", start, (2,)), checks.finite("end", end, (2,))
    ax.add_patch(
        FancyArrowPatch(
            tuple(start),
            tuple(end),
            connectionstyle=f"arc3,rad={checks.number('bend', bend, -2.0, 2.0)}",
            arrowstyle="-|>,head_length=5,head_width=2.6",
            shrinkA=0,
            shrinkB=0,
            linewidth=1.6,
            linestyle=(0, (3, 2)) if dashed else "-",
            color=colour,
        )
    )


def note(ax: Axes, at: Point, text: str, colour: str = "", **words: object) -> None:
    """Write words at a point: left-aligned and centred in height, in ink or in a named colour."""
    ink = COLOURS[checks.one_of("colour", colour, tuple(COLOURS))] if colour else INK
    x, y = checks.finite("at", at, (2,))
    ax.text(x, y, text, **{"color": ink, "va": "center", "linespacing": 1.25, **words})


def dot(
    ax: Axes, at: Point, colour: str = "blue", radius: float = 0.09, filled: bool = True
) -> None:
    """Draw a round dot, such as a visitor; hollow where ``filled`` is False."""
    colour = COLOURS[checks.one_of("colour", colour, tuple(COLOURS))]
    at, radius = checks.finite("at", at, (2,)), checks.number("radius", radius, 0.01, 2.0)
    ax.add_patch(
        Circle(tuple(at), radius, fc=colour if filled else "none", ec=colour, linewidth=1.6)
    )

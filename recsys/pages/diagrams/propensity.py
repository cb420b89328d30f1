"""What a propensity does: the few who were shown a product stand for all of their kind."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.pages.diagrams.strokes import SMALL, arrow, box, dot, note, sheet

KINDS = (("blue", 4, 2), ("orange", 6, 6))  # colour, visitors, visitors for each one shown
LEFT, STEP, GAP = 1.75, 0.34, 0.5  # inches: the first dot, from dot to dot, between the kinds


def draw_propensity() -> Figure:
    """Draw ten visitors of two kinds, the three who are shown a product, and whom they stand for.

    Returns
    -------
    matplotlib Figure, as wide as the book's
    """
    figure, ax = sheet(3.3)
    rows = (
        (2.8, "ten visitors"),
        (1.8, "three are\nshown the pump"),
        (0.62, "each counts\nfor its kind"),
    )
    for y, name in rows:
        note(ax, (0.1, y), name)
    for colour, first, n, each in _places():
        xs = [first + STEP * i for i in range(n)]
        for i, x in enumerate(xs):
            dot(ax, (x, rows[0][0]), colour)
            dot(ax, (x, rows[1][0]), colour, filled=i % each == 0)
        middle = (xs[0] + xs[-1]) / 2
        words = "keep fish" if colour == "blue" else "do not"
        note(ax, (middle, 3.1), words, colour, ha="center", fontsize=SMALL)
        chance = f"propensity 1/{each}"
        note(ax, (middle, 1.48), chance, colour, ha="center", fontsize=SMALL)
        for start in range(0, n, each):
            _group(ax, rows[2][0], xs[start : start + each], colour)
    return figure


def _places() -> list[tuple[str, float, int, int]]:
    """Return colour, place of the first dot, number and weight of each kind."""
    first, places = LEFT, []
    for colour, n, each in KINDS:
        places.append((colour, first, n, each))
        first += STEP * n + GAP - STEP / 2
    return places


def _group(ax: Axes, y: float, xs: list[float], colour: str) -> None:
    """Draw one who was shown the product with those for whom this one counts."""
    middle, width = (xs[0] + xs[-1]) / 2, xs[-1] - xs[0] + 0.29
    arrow(ax, (xs[0], 1.33), (xs[0], y + 0.24), colour)
    box(ax, (middle, y), (width, 0.36), colour=colour)
    for i, x in enumerate(xs):
        dot(ax, (x, y), colour, filled=i == 0)
    note(ax, (middle, y - 0.36), f"× {len(xs)}", colour, ha="center")

"""The shop and its log: from a visitor to a row, and what no row ever says."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.figure import Figure

from recsys.pages.diagrams.strokes import SMALL, arrow, box, note, sheet

COLUMNS = (0.78, 2.22, 3.64, 5.06)  # middles
STEPS = (
    ("a visitor", "blue", "features"),
    ("the rule", "purple", "propensity"),
    ("the slot", "green", "product"),
    ("a click\nor none", "orange", "click"),
)
UNSEEN = (
    (0, "liking, price\nsensitivity"),
    (2, "hidden\nquality"),
    (3, "clicks on\nthe others"),
)


def draw_shop_and_log() -> Figure:
    """Draw visitor, rule, slot and click, the row that they leave in the log, what it leaves out.

    Returns
    -------
    matplotlib Figure, as wide as the book's
    """
    figure, ax = sheet(3.35)
    for x, (name, colour, written) in zip(COLUMNS, STEPS, strict=True):
        box(ax, (x, 2.85), (1.12, 0.62), name, colour)
        arrow(ax, (x, 2.51), (x, 1.89), colour)
        box(ax, (x, 1.65), (1.36, 0.42), written, colour)
    for left, right in pairwise(COLUMNS):
        arrow(ax, (left + 0.59, 2.85), (right - 0.59, 2.85))
    note(
        ax,
        (0.1, 1.22),
        "in the log, for a policy to learn from: a row for every visit",
        "grey",
        fontsize=SMALL,
    )
    for column, words in UNSEEN:
        box(ax, (COLUMNS[column], 0.66), (1.36, 0.58), words, "grey", dashed=True)
    note(ax, (0.1, 0.16), "in no log: what no policy ever sees", "grey", fontsize=SMALL)
    return figure

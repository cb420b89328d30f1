"""The feedback loop: a model decides what its successor will be able to learn."""

from __future__ import annotations

from matplotlib.figure import Figure

from recsys.pages.diagrams.strokes import SMALL, arrow, box, note, sheet


def draw_feedback_loop() -> Figure:
    """Draw log, training, policy and visits as a ring, and where the ring can be opened.

    Returns
    -------
    matplotlib Figure
        Four boxes in a ring; dashed boxes name the places at which a shop may interfere.
    """
    figure, ax = sheet(3.7)
    size, left, right, top, bottom = (1.5, 0.72), 0.95, 4.85, 2.95, 0.85
    box(ax, (left, top), size, "log\nof one day", "blue")
    box(ax, (right, top), size, "model\ntrained at night", "green")
    box(ax, (right, bottom), size, "policy\nshows a product", "orange")
    box(ax, (left, bottom), size, "visitors\nclick or not", "purple")
    middle, half = (left + right) / 2, size[0] / 2 + 0.06
    arrow(ax, (left + half, top), (right - half, top))
    arrow(ax, (right, top - 0.42), (right, bottom + 0.42))
    arrow(ax, (right - half, bottom), (left + half, bottom))
    arrow(ax, (left, bottom + 0.42), (left, top - 0.42))
    words = {"ha": "center", "fontsize": SMALL}
    note(ax, (middle, top + 0.2), "is learned from", **words)
    note(ax, (right - 0.12, 1.9), "picks the\nhighest prediction", ha="right", fontsize=SMALL)
    note(ax, (middle, bottom - 0.2), "what is not shown", "orange", **words)
    note(ax, (middle, bottom - 0.4), "gets no row tomorrow", "orange", **words)
    note(ax, (left + 0.12, 1.9), "rows of\nwhat was shown", fontsize=SMALL)
    for at, text in (
        ((middle, top - 0.32), "start: nothing or last night"),
        ((middle, bottom + 0.32), "exploration: none or a coin"),
        ((left + 0.12, top + 0.56), "source: own log or the rule's"),
    ):
        note(ax, at, text, "grey", style="italic", **words)
    return figure

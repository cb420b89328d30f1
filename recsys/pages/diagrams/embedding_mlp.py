"""Embedding + MLP with the shapes on its lines (``eq-click-network``)."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recsys.pages.diagrams.strokes import SMALL, arrow, box, note, sheet


def draw_embedding_mlp() -> Figure:
    """Draw how two ids become the log-odds of a click, from the left to the right."""
    figure, ax = sheet(3.9)
    _table(ax, 2.95, "user $u$", "$E$", "$N\\times k$", "$\\mathbf{e}$", "blue")
    _table(ax, 0.95, "product $a$", "$F$", "$K\\times k$", "$\\mathbf{f}$", "green")
    box(ax, (2.72, 1.95), (0.5, 1.3), "$\\mathbf{e}$\n\n$\\mathbf{f}$", "grey")
    arrow(ax, (1.88, 2.9), (2.44, 2.35))
    arrow(ax, (1.88, 1.0), (2.44, 1.55))
    note(ax, (2.26, 2.83), "$k$", fontsize=SMALL)
    note(ax, (2.26, 1.07), "$k$", fontsize=SMALL)
    layers = ((3.5, "$W_1$\n$\\phi$", "$2k$"), (4.3, "$W_2$\n$\\phi$", "$h_1$"))
    for x, text, size in (*layers, (5.0, "$\\mathbf{w}_3$", "$h_2$")):
        narrow = size == "$h_2$"
        width, before = (0.36, 0.18) if narrow else (0.44, 0.22)
        box(ax, (x, 1.95), (width, 1.0 - 0.25 * narrow), text, "orange")
        arrow(ax, (x - before - 0.32, 1.95), (x - before - 0.03, 1.95))
        note(ax, (x - before - 0.18, 2.14), size, fontsize=SMALL, ha="center")
    arrow(ax, (5.21, 1.95), (5.5, 1.95))
    note(ax, (5.54, 1.95), "$z$")
    note(ax, (5.36, 2.14), "$1$", fontsize=SMALL, ha="center")
    note(ax, (4.25, 2.75), "one network for all pairs", "orange", fontsize=SMALL, ha="center")
    note(ax, (2.72, 2.76), "stacked", fontsize=SMALL, ha="center")
    note(ax, (4.25, 1.05), "$z$: log-odds of a click", fontsize=SMALL, ha="center")
    note(ax, (4.25, 0.78), "$\\hat p(u,a)=\\sigma(z)$", fontsize=SMALL, ha="center")
    return figure


def _table(ax: Axes, y: float, who: str, name: str, shape: str, vector: str, colour: str) -> None:
    """Draw an id, the table that it looks into, and the row that comes out."""
    note(ax, (0.42, y), who.replace(" ", "\n"), colour, ha="center")
    arrow(ax, (0.82, y), (1.12, y))
    box(ax, (1.5, y), (0.68, 1.2), "", colour)
    note(ax, (1.5, y + 0.35), name, colour, ha="center")
    box(ax, (1.5, y - 0.05), (0.6, 0.24), vector, colour)
    note(ax, (1.5, y - 0.78), f"table, {shape}", fontsize=SMALL, ha="center")

"""One look for every figure: colours, sizes, bands, direct labels.

Colours are Okabe and Ito's, chosen to be told apart by colour-blind readers; every line also has
its own dash, so that the figures survive a grey print.
"""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib_inline.backend_inline import set_matplotlib_formats
from numpy.typing import ArrayLike

from recsys import checks
from recsys.lab import band_curve

COLOURS = {
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#007A5A",
    "purple": "#A0568A",
    "sky": "#3A8FC4",
    "gold": "#A87900",
    "grey": "#555555",
}
DASHES = {
    "blue": "-",
    "orange": (0, (6, 2)),
    "green": (0, (2, 1.5)),
    "purple": (0, (6, 2, 1.5, 2)),
    "sky": (0, (1, 1)),
    "gold": (0, (8, 2, 1.5, 2, 1.5, 2)),
    "grey": (0, (4, 3)),
}
WIDE = (5.8, 3.5)  # inches, one panel: its text is as large as the body's, also on a phone
KEPT = ("backend", "backend_fallback", "interactive")  # how figures are shown, not how they look
TALL = (5.8, 6.4)  # inches, two panels one above the other


def use_book_style() -> None:
    """Set the look of the book: reproducible SVG, text the size of the body's.

    It begins with matplotlib's own defaults, so no settings of the user's have an influence.
    """
    set_matplotlib_formats("svg", metadata={"Date": None})
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if name not in KEPT}
    plt.rcParams.update(defaults)
    plt.rcParams.update(
        {
            "svg.hashsalt": "modern-recommendation-systems",
            "svg.fonttype": "path",
            "figure.figsize": WIDE,
            "figure.constrained_layout.use": True,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "font.family": "DejaVu Sans",
            "font.size": 11,
            "axes.titlesize": 11.5,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": "#E4E4E4",
            "lines.linewidth": 2.0,
            "legend.frameon": False,
        }
    )


def line(ax: Axes, x: ArrayLike, samples: ArrayLike, colour: str, label: str = "") -> None:
    """Draw the mean of curves (S, T) over seeds with its band, in a named colour and dash."""
    colour = checks.one_of("colour", colour, tuple(COLOURS))
    mean, half = band_curve(samples)
    x = checks.finite("x", x, mean.shape)
    ax.plot(x, mean, color=COLOURS[colour], linestyle=DASHES[colour], label=label)
    ax.fill_between(x, mean - half, mean + half, color=COLOURS[colour], alpha=0.18, linewidth=0)


def label_end(ax: Axes, x: float, y: float, text: str, colour: str, **kwargs: object) -> None:
    """Write a label in the line's colour beside its end, in the place of a legend."""
    colour = checks.one_of("colour", colour, tuple(COLOURS))
    ax.annotate(
        text,
        (x, y),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=COLOURS[colour],
        annotation_clip=False,
        **kwargs,
    )


def dots(ax: Axes, rows: Iterable[tuple[str, ArrayLike, str]], scale: float = 1.0) -> None:
    """Draw one row per entry (label, samples (S,), colour): every seed, the mean, and its band."""
    rows = [
        (label, scale * checks.finite("samples", samples, (None,)), colour)
        for label, samples, colour in rows
    ]
    for _, values, colour in rows:
        checks.one_of("colour", colour, tuple(COLOURS))
        band_curve(values[:, None])  # refuses before anything is drawn
    for y, (_, values, colour) in enumerate(rows):
        mean, half = band_curve(values[:, None])
        spread = np.linspace(-0.18, 0.18, len(values))
        ax.plot(values, y + spread, ".", color=COLOURS[colour], alpha=0.35, markersize=5)
        ax.errorbar(mean, y, xerr=half, fmt="o", color=COLOURS[colour], capsize=4, markersize=6)
    ax.set_yticks(range(len(rows)), [label for label, *_ in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)


def mark_round(ax: Axes, at: float, text: str) -> None:
    """Draw a vertical line at a round, with its name."""
    ax.axvline(at, color=COLOURS["grey"], linestyle=":", linewidth=1.5)
    ax.annotate(
        text,
        (at, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(4, -4),
        textcoords="offset points",
        va="top",
        color=COLOURS["grey"],
    )

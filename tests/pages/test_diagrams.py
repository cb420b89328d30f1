from collections.abc import Callable, Iterator
from itertools import combinations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from recsys.pages import diagrams
from recsys.pages.diagrams import strokes
from recsys.pages.figures import COLOURS, WIDE
from strategies import refuses


@pytest.fixture(autouse=True)
def agg() -> Iterator[None]:
    with mpl.rc_context({"backend": "agg", "font.size": 11}):
        yield
        plt.close("all")


def clashes(figure: Figure) -> list[str]:
    """Return what a reader could not read: words off the sheet, or over other words."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    (ax,) = figure.axes
    words = [(t.get_text(), t.get_window_extent(renderer)) for t in ax.texts]
    page = figure.bbox
    off = [
        text
        for text, at in words
        if at.x0 < page.x0 or at.x1 > page.x1 or at.y0 < page.y0 or at.y1 > page.y1
    ]
    pairs = combinations(words, 2)
    return off + [f"{a} / {b}" for (a, first), (b, second) in pairs if first.overlaps(second)]


@pytest.mark.parametrize("name", diagrams.__all__)
def test_every_word_of_a_diagram_can_be_read(name: str):
    figure = getattr(diagrams, name)()
    assert clashes(figure) == []
    assert figure.get_size_inches()[0] == WIDE[0]  # so that the words are the body's size
    assert min(text.get_fontsize() for text in figure.axes[0].texts) >= strokes.SMALL


def test_words_over_words_and_off_the_sheet_are_found():
    figure, ax = strokes.sheet(2.0)
    strokes.note(ax, (1.0, 1.0), "one")
    assert clashes(figure) == []
    strokes.note(ax, (1.1, 1.0), "over it")
    assert clashes(figure) == ["one / over it"]
    strokes.note(ax, (5.7, 0.5), "off the sheet")
    assert clashes(figure) == ["off the sheet", "one / over it"]


def test_a_sheet_is_measured_in_inches_and_shows_no_axes():
    figure, ax = strokes.sheet(2.5)
    assert np.allclose(figure.get_size_inches(), (WIDE[0], 2.5))
    inch = ax.transData.transform((1.0, 2.0)) - ax.transData.transform((0.0, 0.0))
    assert np.allclose(inch, np.array([1.0, 2.0]) * figure.dpi)
    assert not ax.axison


def test_a_box_lies_around_its_middle_in_its_colour():
    _, ax = strokes.sheet(2.0)
    strokes.box(ax, (2.0, 1.0), (1.0, 0.5), "text", "green")
    strokes.box(ax, (4.0, 1.0), (1.0, 0.5), colour="green", dashed=True)
    pale, edge, dashed = ax.patches
    for patch, x in ((pale, 2.0), (edge, 2.0), (dashed, 4.0)):
        at = patch.get_path().get_extents(patch.get_patch_transform())
        assert np.allclose(at.get_points(), [[x - 0.5, 0.75], [x + 0.5, 1.25]])
    assert pale.get_facecolor() == (*to_rgb(COLOURS["green"]), 0.12)
    assert edge.get_edgecolor()[:3] == dashed.get_edgecolor()[:3] == to_rgb(COLOURS["green"])
    assert [text.get_text() for text in ax.texts] == ["text"]


def test_arrows_and_dots_are_where_they_are_asked_for():
    _, ax = strokes.sheet(2.0)
    strokes.arrow(ax, (1.0, 1.0), (3.0, 1.5), "orange")
    strokes.dot(ax, (2.0, 0.5), "blue", 0.2, filled=False)
    arrow, dot = ax.patches
    assert arrow._posA_posB == [(1.0, 1.0), (3.0, 1.5)]
    assert (dot.center, dot.radius) == ((2.0, 0.5), 0.2)
    assert dot.get_facecolor()[3] == 0.0


BAD = [
    ("colour", strokes.box, ((1, 1), (1, 1), "a", "pink")),
    ("centre", strokes.box, ((1, np.nan), (1, 1))),
    ("size", strokes.box, ((1, 1), (1, 1, 1))),
    ("colour", strokes.arrow, ((1, 1), (2, 2), "pink")),
    ("end", strokes.arrow, ((1, 1), (2, np.inf))),
    ("bend", strokes.arrow, ((1, 1), (2, 2), "blue", 9.0)),
    ("colour", strokes.note, ((1, 1), "a", "pink")),
    ("at", strokes.dot, ((1, 1, 1),)),
    ("radius", strokes.dot, ((1, 1), "blue", 0.0)),
]


@pytest.mark.parametrize(("argument", "stroke", "arguments"), BAD)
def test_strokes_refuse_what_they_cannot_draw_and_draw_nothing(
    argument: str, stroke: Callable, arguments: tuple
):
    _, ax = strokes.sheet(2.0)
    with refuses(argument):
        stroke(ax, *arguments)
    assert not ax.patches
    assert not ax.texts


def test_a_sheet_has_a_size():
    with refuses("height"):
        strokes.sheet(0.0)
    with refuses("width"):
        strokes.sheet(1.0, np.inf)

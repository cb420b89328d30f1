import io
from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from scipy import stats

from recsys.pages import figures
from strategies import refuses


@pytest.fixture
def ax() -> Iterator[Axes]:
    with mpl.rc_context(), mpl.rc_context({"backend": "agg"}):
        fig, ax = plt.subplots()
        yield ax
        plt.close(fig)


@pytest.fixture
def book_style() -> Iterator[None]:
    with mpl.rc_context():
        InteractiveShell.instance()  # the shell that the notebook has
        figures.use_book_style()
        yield
        plt.close("all")
        InteractiveShell.clear_instance()


SAMPLES = np.random.default_rng(0).normal(size=(6, 4)).cumsum(axis=1)


def luminance(colour: str) -> float:
    """Return the relative luminance of the web accessibility guidelines."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


# ---------------------------------------------------------------------- style


def test_every_colour_has_its_own_dash():
    assert figures.DASHES.keys() == figures.COLOURS.keys()
    assert len(set(map(str, figures.DASHES.values()))) == len(figures.DASHES)
    assert len(set(figures.COLOURS.values())) == len(figures.COLOURS)


@pytest.mark.parametrize("colour", figures.COLOURS)
def test_every_colour_can_be_seen_on_white(colour: str):
    contrast = 1.05 / (luminance(figures.COLOURS[colour]) + 0.05)
    assert contrast >= 3.0  # for graphics and large text, WCAG 2.1, 1.4.3 and 1.4.11


def svg(seed: int) -> bytes:
    """Return the bytes of a figure with everything that the module draws."""
    rng = np.random.default_rng(seed)
    fig, axes = plt.subplots(1, 2)
    figures.line(axes[0], np.arange(4), rng.normal(size=(5, 4)), "blue", "a")
    figures.label_end(axes[0], 3, 0.0, "end", "blue")
    figures.mark_round(axes[0], 2, "shock")
    figures.dots(axes[1], [("one", rng.normal(size=5), "orange")])
    buffer = io.BytesIO()
    fig.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(fig)
    return buffer.getvalue()


@pytest.mark.usefixtures("book_style")
def test_a_figure_is_the_same_svg_byte_for_byte_and_another_one_is_not():
    first = svg(0)
    assert svg(0) == first
    assert svg(1) != first
    assert b"<dc:date>" not in first


def test_the_style_sets_svg_without_a_date_as_the_only_format_of_the_notebook():
    with mpl.rc_context():
        shell = InteractiveShell.instance()
        figures.use_book_style()
        fig, ax = plt.subplots()
        ax.plot([0, 1])
        data, _ = shell.display_formatter.format(fig)
        plt.close(fig)
        InteractiveShell.clear_instance()
    assert "image/svg+xml" in data
    assert "image/png" not in data
    assert "<dc:date>" not in data["image/svg+xml"]


# ---------------------------------------------------------------------- lines and bands


def test_a_line_is_the_mean_with_its_confidence_band(ax: Axes):
    x = np.array([10, 20, 30, 40])
    figures.line(ax, x, SAMPLES, "green", "name")
    (drawn,) = ax.lines
    assert np.array_equal(drawn.get_xdata(), x)
    assert np.allclose(drawn.get_ydata(), SAMPLES.mean(axis=0))
    assert drawn.get_color() == figures.COLOURS["green"]
    assert drawn.get_label() == "name"
    (area,) = (c for c in ax.collections if isinstance(c, PolyCollection))
    corners = area.get_paths()[0].vertices
    for i in range(4):
        low, high = stats.t.interval(
            0.95, 5, loc=SAMPLES[:, i].mean(), scale=stats.sem(SAMPLES[:, i])
        )
        heights = corners[corners[:, 0] == x[i], 1]
        assert heights.min() == pytest.approx(low)
        assert heights.max() == pytest.approx(high)


def test_lines_can_be_told_apart_without_colour(ax: Axes):
    for colour in figures.COLOURS:
        figures.line(ax, np.arange(4), SAMPLES, colour)
    patterns = {str(line._dash_pattern) for line in ax.lines}
    assert len(patterns) == len(figures.COLOURS)


def test_dots_show_every_seed_the_mean_and_the_band_in_the_stated_scale(ax: Axes):
    one, two = SAMPLES[:, 0], SAMPLES[:, 1]
    figures.dots(ax, iter([("one", one, "blue"), ("two", two, "orange")]), scale=100.0)
    seeds = [line for line in ax.lines if len(line.get_xdata()) == 6]
    assert [sorted(line.get_xdata()) for line in seeds] == [
        pytest.approx(sorted(100 * one)),
        pytest.approx(sorted(100 * two)),
    ]
    for y, (values, bars) in enumerate(zip((one, two), ax.containers, strict=True)):
        assert bars.lines[0].get_xdata() == pytest.approx([100 * values.mean()])
        (segment,) = bars.lines[2][0].get_segments()
        ends = stats.t.interval(0.95, 5, loc=values.mean(), scale=stats.sem(values))
        assert segment[:, 0] == pytest.approx(100 * np.array(ends))
        assert (segment[:, 1] == y).all()
        assert np.abs(seeds[y].get_ydata() - y).max() < 0.5
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"]
    low, high = ax.get_ylim()
    assert low > high  # the first row is at the top
    assert high < 0 < 1 < low


def test_a_label_stands_at_its_point_in_the_lines_colour(ax: Axes):
    figures.label_end(ax, 3.0, 0.7, "LinUCB", "purple", fontsize=8)
    (label,) = ax.texts
    assert label.get_text() == "LinUCB"
    assert label.xy == (3.0, 0.7)
    assert label.get_color() == figures.COLOURS["purple"]
    assert label.get_fontsize() == 8


def test_a_marked_round_is_a_vertical_line_with_its_name(ax: Axes):
    figures.mark_round(ax, 250, "shock")
    (marker,) = ax.lines
    assert list(marker.get_xdata()) == [250, 250]
    assert ax.texts[0].get_text() == "shock"
    assert ax.texts[0].xy[0] == 250


# ---------------------------------------------------------------------- bad input


def test_an_unknown_colour_is_refused_and_nothing_is_drawn(ax: Axes):
    for colour in ("red", "", None, "#0072B2"):
        with refuses("colour"):
            figures.line(ax, np.arange(4), SAMPLES, colour)
        with refuses("colour"):
            figures.label_end(ax, 0, 0, "x", colour)
        with refuses("colour"):
            figures.dots(ax, [("x", SAMPLES[:, 0], colour)])
    assert not (ax.lines or ax.texts or ax.collections)


def test_samples_without_a_band_are_refused_and_nothing_is_drawn(ax: Axes):
    for bad in (SAMPLES[:1], SAMPLES[0], np.where(SAMPLES > 0, np.nan, SAMPLES), "text"):
        with refuses("samples"):
            figures.line(ax, np.arange(4), bad, "blue")
    for bad in ([1.0], [1.0, np.nan], np.zeros((2, 2))):
        with refuses("samples"):
            figures.dots(ax, [("x", bad, "blue")])
    for bad in (np.arange(3), "text", [0, 1, 2, np.nan]):
        with refuses("x"):
            figures.line(ax, bad, SAMPLES, "blue")
    assert not (ax.lines or ax.texts or ax.collections or ax.containers)


def test_settings_of_the_user_s_do_not_change_a_figure():
    with plt.rc_context():
        figures.use_book_style()
        style = dict(plt.rcParams)
    with plt.rc_context({"axes.labelcolor": "red", "timezone": "Asia/Tokyo", "font.size": 30}):
        figures.use_book_style()
        assert dict(plt.rcParams) == style

import re

import numpy as np
import pytest
from bs4 import BeautifulSoup
from hypothesis import given
from hypothesis import strategies as st

from recsys.lab import Estimate
from recsys.pages import table
from strategies import refuses

MINUS = "\N{MINUS SIGN}"
LEAD = [
    ["LinUCB", Estimate(-0.02, -0.031, -0.009, 20), 20_000],
    ["network", Estimate(0.0, -0.0001, 0.12, 20), 3],
    ["<none>", "–", -4],
]


def cells(shown: object) -> list[list[str]]:
    rows = BeautifulSoup(shown._repr_html_(), "html.parser").select("tr")
    texts = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in rows]
    assert not any(" to " in text for row in texts for text in row)  # a band would wrap there
    return [[text.replace("\N{NO-BREAK SPACE}", " ") for text in row] for row in texts]


def column(values: list, **options: object) -> list[str]:
    """Return how values are printed."""
    rows = cells(table(["row", "value"], [["row", value] for value in values], **options))
    return [row[1] for row in rows[1:]]


def test_a_table_has_a_mean_and_its_band_in_cells_of_their_own():
    assert cells(table(["policy", "lead", "visits"], LEAD, scale=[1, 100, 1])) == [
        ["policy", "lead", "visits"],
        ["LinUCB", f"{MINUS}2.0", f"({MINUS}3.1 to {MINUS}0.9)", "20,000"],
        ["network", "0.0", "(0.0 to 12.0)", "3"],
        ["<none>", "–", "", f"{MINUS}4"],
    ]


def test_every_cell_has_headers_that_a_screen_reader_can_tell():
    shown = table(["policy", "lead", "visits"], LEAD, caption="Clicks & <visits>")
    found = BeautifulSoup(shown._repr_html_(), "html.parser")
    assert found.caption.get_text() == "Clicks & <visits>"
    head = found.select("thead th")
    assert [th["scope"] for th in head] == ["col"] * 3
    assert [th.get("colspan") for th in head] == [None, "2", None]
    assert [th["scope"] for th in found.select("tbody th")] == ["row"] * 3
    assert not found.select("[style], script")  # which the site's policy forbids
    nameless = table(["", "value"], [["a", 1]])._repr_html_()
    assert len(BeautifulSoup(nameless, "html.parser").select("th")) == 2  # none is empty


def test_the_text_of_a_table_is_aligned():
    lines = repr(table(["policy", "lead", "visits"], LEAD, scale=[1, 100, 1])).splitlines()
    assert lines == [
        "policy                  lead  visits",
        "-------  -------------------  ------",
        f"LinUCB   {MINUS}2.0 ({MINUS}3.1 to {MINUS}0.9)  20,000",
        "network   0.0  (0.0 to 12.0)       3",
        f"<none>      –                     {MINUS}4",
    ]
    assert repr(table(["a", "b"], [["x", 1]], caption="What")).splitlines()[:2] == ["What", ""]


def test_a_column_of_integers_has_no_decimals_unless_it_is_scaled_or_mixed():
    assert column([1, np.int64(20_000)]) == ["1", "20,000"]
    assert column([1, 2.5]) == ["1.0", "2.5"]
    assert column([1, 2], scale=100) == ["100.0", "200.0"]
    assert column([1.0, np.float32(2.5)], decimals=2) == ["1.00", "2.50"]
    assert column([0.123], decimals=(0, 1), scale=(1, 100)) == ["12.3"]


def test_a_scale_for_all_leaves_the_labels_alone():
    assert cells(table(["products", "%"], [[50, 0.1], [800, 0.2]], scale=100))[1:] == [
        ["50", "10.0"],
        ["800", "20.0"],
    ]


def test_a_negative_scale_turns_a_band_round():
    [row] = cells(table(["a", "loss"], [["x", Estimate(0.2, 0.1, 0.5, 9)]], scale=-1))[1:]
    assert row[2] == f"({MINUS}0.5 to {MINUS}0.1)"


def test_rows_may_be_arrays():
    assert cells(table(["n", "value"], np.array([[1.0, 0.25], [2.0, -0.5]]), 2))[1:] == [
        ["1.00", "0.25"],
        ["2.00", f"{MINUS}0.50"],
    ]


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_what_is_printed_is_the_number(value: float, places: int):
    [printed] = column([value], decimals=places)
    assert re.fullmatch(rf"{MINUS}?\d{{1,3}}(,\d{{3}})*(\.\d{{{places}}})?", printed)
    number = float(printed.replace(MINUS, "-").replace(",", ""))
    assert number == float(f"{value:.{places}f}")
    assert (printed[0] == MINUS) == (number < 0)  # no zero has a sign


def test_the_same_table_is_printed_alike():
    first, second = (table(["a", "b", "c"], LEAD) for _ in range(2))
    assert first._repr_html_() == second._repr_html_()
    assert repr(first) == repr(second)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("columns", {"columns": "ab"}),
        ("columns", {"columns": ["a"]}),
        (r"columns\[1\]", {"columns": ["a", 2]}),
        ("rows", {"rows": []}),
        ("rows", {"rows": "ab"}),
        ("rows", {"rows": None}),
        (r"rows\[0\]", {"rows": [["a", 1, 2]]}),
        (r"rows\[1\]", {"rows": [["a", 1], "bc"]}),
        (r"rows\[0\]\[1\]", {"rows": [["a", None]]}),
        (r"rows\[0\]\[1\]", {"rows": [["a", True]]}),
        (r"rows\[0\]\[1\]", {"rows": [["a", np.nan]]}),
        (r"rows\[0\]\[1\]", {"rows": [["a", np.ones(2)]]}),
        (r"rows\[0\]\[1\].low", {"rows": [["a", Estimate(0.0, -np.inf, 1.0, 2)]]}),
        ("rows", {"rows": [[Estimate(0.0, 0.0, 1.0, 2), 1]]}),
        ("decimals", {"decimals": -1}),
        ("decimals", {"decimals": 1.5}),
        ("decimals", {"decimals": [1, 1, 1]}),
        ("scale", {"scale": np.inf}),
        ("scale", {"scale": "x"}),
        ("scale", {"scale": [1.0]}),
        ("scale", {"scale": 1e300, "rows": [["a", 1e300]]}),
        ("caption", {"caption": None}),
    ],
)
def test_what_is_no_table_is_refused(name: str, call: dict[str, object]):
    arguments = {"columns": ["a", "b"], "rows": [["x", 1.0]]} | call
    with refuses(name):
        table(**arguments)

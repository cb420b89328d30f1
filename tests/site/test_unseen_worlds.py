"""Claims in worlds that nobody looked at: how they are told apart, counted, listed and recorded."""

import json
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import unseen_worlds
import verified
from bookmodel import load_book
from claims import claims
from unseen_worlds import (
    KNOWN,
    RANGE,
    RECORD,
    Found,
    complaints,
    decided_by_rounding,
    load,
    of_the_week,
)

ROOT = Path(__file__).parents[2]
OWING = ("book/02-linucb/", "book/03-neuralucb/")  # whose second editions are to come


def cell(source: str, *tags: str):
    made = new_code_cell(source)
    made.metadata["tags"] = list(tags)
    return made


PAGE = new_notebook(
    cells=[
        new_markdown_cell("A text."),
        cell("from recsys.lab import generator\nfrom recsys.worlds import shift\nx = 1"),
        cell("y = 2\nassert x < y\nfor z in (1, 2):\n    assert z < 2\n    assert z > 5", "claim"),
        cell("assert shift() < 0", "timing"),
        cell("assert x < y\nassert generator(0).random() == 7", "claim"),
        cell("assert x == shift() / 1000", "claim"),
    ]
)
NAMES = [
    "assert x < y",
    "for z in (1, 2):\n    assert z < 2\n    assert z > 5",
    "assert x < y  # 2",
    "assert generator(0).random() == 7",
    "assert x == shift() / 1000",
]


def test_a_claim_is_a_statement_that_asserts_in_a_cell_of_claims():
    assert claims(PAGE) == NAMES
    assert claims(new_notebook(cells=[cell("assert True")])) == []


def test_each_claim_is_tried_by_itself_in_the_worlds_that_are_asked_for(tmp_path: Path):
    path = ROOT / "book" / "index.md"  # only its name and its folder matter
    found = unseen_worlds.try_page(path, PAGE, 1000, tmp_path)
    assert (found.page, found.names, found.error) == ("book/index", NAMES, "")
    assert found.held == [True, False, True, False, True]
    assert found.failed == [NAMES[1], NAMES[3]]
    elsewhere = unseen_worlds.try_page(path, PAGE, 2000, tmp_path)
    assert elsewhere.failed == [NAMES[1], NAMES[3], NAMES[4]]


@pytest.mark.parametrize(
    ("broken", "held"),
    [
        (cell("1 / 0"), [True]),  # breaks off: what follows has not held
        (cell("assert 1 / 0", "claim"), [True, False, True]),
    ],
)
def test_an_error_is_no_claim_that_held(broken, held, tmp_path: Path):
    first, last = cell("assert True", "claim"), cell("assert 1 < 2", "claim")
    page = new_notebook(cells=[first, broken, last])
    found = unseen_worlds.try_page(ROOT / "book" / "index.md", page, 1000, tmp_path)
    assert found.held == held
    assert "ZeroDivisionError" in found.error
    assert found.failed == claims(page)[1 : len(claims(page)) - (len(held) == 3)]


def result(*failed: str) -> list[Found]:
    names = ["a", "b", "c"]
    return [Found("page", names, [name not in failed for name in names])]


@pytest.mark.parametrize(
    ("failed", "listed", "strict", "said"),
    [
        ((), (), True, 0),
        (("a",), (), True, 1),
        (("a",), (), False, 1),
        (("a",), ("a",), True, 0),
        ((), ("a",), True, 1),  # a known failure that holds
        ((), ("a",), False, 0),  # ... which in other worlds may well be so
        (("a",), ("a", "gone"), True, 1),
        (("a", "b"), ("c",), True, 3),
    ],
)
def test_the_list_of_known_failures_is_strict_both_ways(failed, listed, strict, said):
    known = {"page": dict.fromkeys(listed, "why")}
    assert len(complaints(result(*failed), known, strict)) == said


def test_what_rounding_decides_may_hold_or_fail_and_must_be_a_claim():
    known = {"page": {"a": "by rounding: two arms tie"}}
    assert complaints(result(), known, True) == complaints(result("a"), known, True) == []
    assert len(complaints(result("b"), known, True)) == 1
    gone = {"page": {"no claim": "by rounding: two arms tie"}}
    assert len(complaints(result(), gone, True)) == 1
    one, other = {"held": ["a", "b"], "failed": []}, {"held": ["b"], "failed": ["a"]}
    assert unseen_worlds.agree(one, other, known["page"])
    assert not unseen_worlds.agree(one, other, {"a": "more shops"})
    assert not unseen_worlds.agree(one, {"held": ["b"], "failed": []}, known["page"])


def ends_with(
    monkeypatch, tmp_path: Path, known: dict, record: dict | None, *arguments: str
) -> int:
    """Return how the command ends where every page has one claim, which fails."""
    monkeypatch.setattr(unseen_worlds, "KNOWN", tmp_path / "known.json")
    monkeypatch.setattr(unseen_worlds, "RECORD", tmp_path / "record.json")
    (tmp_path / "known.json").write_text(json.dumps(known), "utf-8")
    if record is not None:
        (tmp_path / "record.json").write_text(json.dumps(record), "utf-8")
    found = [Found("book/index", ["a", "b"], [True, False])]
    monkeypatch.setattr(unseen_worlds, "try_all", lambda paths, worlds, build: found)
    return unseen_worlds.main([*arguments, str(ROOT / "book" / "index.md")])


FAILS = {"book/index": {"b": "why"}}
FOUND = {"worlds": RANGE, "pages": {"book/index": {"held": ["a"], "failed": ["b"]}}}


def test_the_command_passes_only_where_lists_and_record_say_what_was_found(monkeypatch, tmp_path):
    assert ends_with(monkeypatch, tmp_path, FAILS, FOUND) == 0
    assert ends_with(monkeypatch, tmp_path, {}, FOUND) == 1
    assert ends_with(monkeypatch, tmp_path, FAILS | {"book/index": {"a": "", "b": ""}}, FOUND) == 1
    stale = {"worlds": RANGE, "pages": {"book/index": {"held": ["a", "b"], "failed": []}}}
    assert ends_with(monkeypatch, tmp_path, FAILS, stale) == 1
    assert ends_with(monkeypatch, tmp_path, FAILS, stale, "--record") == 0
    assert json.loads((tmp_path / "record.json").read_text("utf-8")) == FOUND
    assert ends_with(monkeypatch, tmp_path, FAILS, stale, "--worlds", "5000") == 0
    assert ends_with(monkeypatch, tmp_path, {}, stale, "--by-date") == 1


@pytest.mark.parametrize(
    "arguments",
    [["--worlds", "0"], ["--worlds", "x"], ["--by-date", "--record"], ["book/none.md"]],
)
def test_the_command_refuses_what_it_cannot_do(arguments, capsys):
    with pytest.raises(SystemExit):
        unseen_worlds.main(arguments)
    assert "expected" in capsys.readouterr().err or "x" in arguments


def test_every_week_has_worlds_of_its_own():
    days = [date(2026, 11, 30) + timedelta(n) for n in range(70)]
    ranges = sorted({of_the_week(day) for day in days})
    assert len(ranges) == 10
    assert min(b - a for a, b in pairwise(ranges)) >= 10_000
    assert min(ranges) > RANGE + 1000


# ------------------------------------------------------------------ what the repository keeps


def claims_of_the_book() -> dict[str, list[str]]:
    """Return the names of the claims of every page that has some."""
    found = {}
    for page in load_book(ROOT).pages:
        cells = [cell(c.source, *c.tags) for c in page.cells]
        if names := claims(new_notebook(cells=cells)):
            found[f"book/{page.name.removesuffix('.md')}"] = names
    return found


def test_the_record_is_of_the_claims_that_the_pages_make():
    pages = load(RECORD)["pages"]
    recorded = {page: sorted(kept["held"] + kept["failed"]) for page, kept in pages.items()}
    assert recorded == {page: sorted(names) for page, names in claims_of_the_book().items()}
    assert load(RECORD)["worlds"] == RANGE


def test_what_failed_is_known_and_waits_for_a_second_edition():
    pages, known = load(RECORD)["pages"], load(KNOWN)
    for page, kept in pages.items():
        listed = known.get(page, {})
        failed, either = set(kept["failed"]), decided_by_rounding(listed)
        assert failed <= set(listed) <= failed | either
        assert either <= set(kept["held"]) | failed
    assert set(known) <= set(pages)
    assert all(page.startswith(OWING) for page in known)
    assert all(len(why) > 10 for names in known.values() for why in names.values())


@pytest.mark.parametrize(
    ("names", "recorded", "said"),
    [
        (["a", "b"], {"held": ["a", "b"], "failed": []}, "2 of 2 claims held in unseen worlds"),
        (["a", "b"], {"held": ["a"], "failed": ["b"]}, "1 of 2 claims held in unseen worlds"),
        (["a"], {}, "0 of 1 claim held in unseen worlds (1 not yet tried there)"),
    ],
)
def test_a_page_says_how_many_of_its_claims_held(names, recorded, said):
    assert verified.elsewhere(names, recorded) == said

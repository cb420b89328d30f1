"""The small book: numbering, openings, maps, folds, execution, and one page built alone."""

import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from small_book import build, run, write_book


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the small book, built."""
    folder = write_book(tmp_path_factory.mktemp("small"))
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def article(book: Path, name: str, site: str = "html") -> BeautifulSoup:
    """Return the content of a built page."""
    text = (book / "_build" / site / "book" / f"{name}.html").read_text("utf-8")
    content = BeautifulSoup(text, "html.parser").article
    for link in content.select("a.headerlink"):
        link.decompose()
    return content


def numbers(content: BeautifulSoup) -> list[str]:
    """Return what is numbered on a page, in the order of the page."""
    found = content.select(".caption-number, .eqno")
    return [re.sub(r"\s+", " ", tag.get_text()).strip() for tag in found]


@pytest.mark.parametrize(
    ("page", "of"), [("01-first/zebra", "1.1"), ("01-first/ant", "1.2"), ("02-second/only", "2.1")]
)
def test_numbers_run_on_through_a_chapter_in_the_order_of_the_contents(
    book: Path, page: str, of: str
):
    content = article(book, page)
    assert content.h1.text.startswith(f"{of}. The ")
    assert [h.text.split()[0] for h in content.select("h2")] == [f"{of}.1.", f"{of}.2."]
    expected = [f"Fig. {of}", f"Theorem {of}", f"({of})", f"Table {of}", f"Exercise {of}"]
    assert numbers(content) == expected


def test_a_table_that_a_cell_returns_is_numbered_and_whole(book: Path):
    [table] = article(book, "01-first/ant").select("table")
    assert " ".join(table.caption.get_text().split()) == "Table 1.2 A table of 2 columns."
    cells = [cell.get_text() for cell in table.select("tr > *")]
    assert cells[:2] == ["policy", "lead"]
    assert "(−3.0\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}−1.0)" in cells
    assert [child.name for child in table.find_all(recursive=False)] == [
        "caption",
        "thead",
        "tbody",
    ]
    notebook = json.loads(
        (book / "_build/html/_notebooks/book/01-first/ant.ipynb").read_text("utf-8")
    )
    texts = [
        "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"
    ]
    assert any(text.startswith("**Table 1.2.** A table of 2 columns.") for text in texts)


def test_appendices_have_letters(book: Path):
    content = article(book, "appendices/a-algebra")
    assert content.h1.text == "A. Linear Algebra"
    expected = ["Fig. A.1", "Theorem A.1", "(A.1)", "Table A.1", "Exercise A.1"]
    assert numbers(content) == expected
    assert article(book, "appendices/c-verification").h1.text == "B. Verification"
    assert article(book, "appendices/notation").h1.text == "Notation"


def across(content: BeautifulSoup) -> list[str]:
    """Return the texts of the references to other pages."""
    [paragraph] = [p for p in content.select("p") if p.text.startswith("On other pages")]
    return [link.get_text(" ", strip=True) for link in paragraph.select("a")]


EXPECTED_ACROSS = ["Fig. 1.2", "(1.1)", "Theorem 2.1", "Exercise 1.2", "A section of zebra"]
EXPECTED_ACROSS += ["Table A.1", "Theorem A.1", "(A.1)", "The Ant"]


def test_references_lead_across_pages(book: Path):
    assert across(article(book, "02-second/only")) == EXPECTED_ACROSS


def test_openings_tell_question_outcome_and_cost(book: Path):
    [opening] = article(book, "01-first/ant").select("h1 + dl.opening")
    labels = [label.text for label in opening.select("dt")]
    assert labels == ["The question", "What comes out", "What it costs"]
    question, outcome, cost = (line.text.strip() for line in opening.select("dd"))
    assert (question, outcome) == ("What does the page ant ask?", "A number, ant.")
    assert re.fullmatch(
        r"About 1 minute to read, and \d+ seconds? of computing when the book was built\.", cost
    )


def test_a_chapter_maps_its_pages_in_their_order(book: Path):
    content = article(book, "01-first/index")
    links = content.select("ul.chapter-map > li > p:first-child > a")
    assert [(link["href"], link.text) for link in links] == [
        ("zebra.html", "1.1 The Zebra"),
        ("ant.html", "1.2 The Ant"),
    ]
    asked = [p.text for p in content.select("ul.chapter-map > li > p + p")]
    assert asked == ["What does the page zebra ask?", "What does the page ant ask?"]
    assert content.select_one(".chapter-sum").text == "2 pages, about 2 minutes to read."


def test_a_long_proof_folds_and_is_found(book: Path):
    content = article(book, "01-first/zebra")
    [fold] = content.select("details.folded")
    assert fold.summary.span.text == "Show the proof"
    assert fold.p.text.startswith("Proof. Count.")
    assert not content.select(".proof.dropdown")
    index = (book / "_build" / "html" / "searchindex.js").read_text("utf-8")
    assert '"unfoldedzebra"' in index


def test_the_build_keeps_a_record_of_every_executed_page(book: Path):
    record = json.loads((book / "_build" / "execution.json").read_text("utf-8"))
    executed = {"01-first/zebra", "01-first/ant", "02-second/only", "appendices/a-algebra"}
    assert set(record["pages"]) == {f"book/{name}" for name in executed}
    assert all(0 < page["seconds"] < 300 for page in record["pages"].values())
    assert record["pace"] > 0


# ------------------------------------------------------------------ one page alone


def alone(book: Path, *pages: str) -> set[str]:
    """Build pages alone; return which executions that made, by what is kept of each."""
    kept = book / "_build" / "executed"
    before = set(kept.iterdir())
    names = [page if page.startswith("--") else f"book/{page}.md" for page in pages]
    done = run(book, "python", "book/_ext/one_page.py", *names)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in pages:
        if not page.startswith("--"):
            assert str(book / "_build" / "page" / "html" / "book" / f"{page}.html") in done.stdout
    return {json.loads(path.read_text("utf-8"))["page"] for path in set(kept.iterdir()) - before}


def change(path: Path, old: str, new: str) -> None:
    """Change a file as an author would."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_only_what_changed_is_executed(book: Path):
    page = book / "book" / "02-second" / "only.md"
    published = (book / "_build" / "html" / "book" / "02-second" / "only.html").read_text("utf-8")

    change(page, "On other pages:", "On other pages, in new words:")
    assert alone(book, "02-second/only") == set()
    built = article(book, "02-second/only", "page/html")
    assert "in new words" in built.text
    assert across(built) == EXPECTED_ACROSS
    assert numbers(built) == numbers(article(book, "02-second/only"))

    change(page, "1 + 1", "1 + 2")
    assert alone(book, "02-second/only") == {"book/02-second/only"}
    assert "3" in article(book, "02-second/only", "page/html").select(".solution pre")[-1].text

    module = book / "recsys" / "shop" / "world.py"  # of these pages the zebra alone imports it
    module.write_text(module.read_text("utf-8") + "\n# changed\n", "utf-8")
    assert alone(book, "--all") == {"book/01-first/zebra"}
    assert alone(book, "--all") == set()

    after = (book / "_build" / "html" / "book" / "02-second" / "only.html").read_text("utf-8")
    assert after == published


def test_what_cannot_be_built_alone_is_refused(book: Path, tmp_path: Path):
    unknown = run(book, "python", "book/_ext/one_page.py", "book/nothing.md")
    assert unknown.returncode != 0 and "is no page of the book" in unknown.stderr
    nothing = run(book, "python", "book/_ext/one_page.py")
    assert nothing.returncode != 0 and "Name a page" in nothing.stderr
    fresh = write_book(tmp_path)
    early = run(fresh, "python", "book/_ext/one_page.py", "book/01-first/ant.md")
    assert early.returncode != 0 and "bash .ci/build" in early.stderr
    without = run(fresh, "bash", ".ci/page", "book/01-first/ant.md")
    assert without.returncode != 0 and "bash .ci/build" in without.stderr


def test_a_failing_cell_fails_the_build(tmp_path: Path):
    folder = write_book(tmp_path)
    change(folder / "book" / "01-first" / "zebra.md", "1 + 1", "1 / 0")
    done = build(folder)
    assert done.returncode != 0
    assert "ZeroDivisionError" in done.stdout + done.stderr

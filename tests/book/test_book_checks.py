"""Every check of the book can fail: a small bad page for each rule, and a good one for all."""

from dataclasses import replace
from textwrap import dedent

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_notebook, new_output

from bookchecks import CHECKS
from bookmodel import Book, toc_files
from bookparse import parse_page
from nbval_glue import differences
from pagechecks import check_front_doors, check_no_state
from resultchecks import check_proofs, twin_of
from sitechecks import (
    SITE_CHECKS,
    Site,
    check_executed,
    check_glue_used,
    check_pages,
    check_seconds,
)
from textchecks import check_contents

NAMED = {check.__name__.removeprefix("check_"): check for check in [*CHECKS, *SITE_CHECKS]}

FRONT = """\
---
jupytext:
  text_representation:
    format_name: myst
kernelspec:
  name: python3
myst:
  html_meta:
    description: A page.
---
"""

INDEX = """\
---
myst:
  html_meta:
    description: A chapter.
---

# The chapter

What does it ask?

```{chapter-map}
```
"""

OPENING = """\
```{opening}
What does it ask?

What comes out.
```
"""

HEAD = """\
```{code-cell} ipython3
import numpy as np

from recsys.shop import Shop
```
"""

FIGURE = """\
```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-a
    caption: A rise to {glue:text}`top` in the 95 % band.
  image:
    alt: A line that rises.
---
plt.show()
```
"""

TABLE = """\
```{code-cell} ipython3
---
mystnb:
  figure:
    name: tab-a
    caption: What rises.
---
table(["what", "rise"], [["x", x]])
```
"""

EXERCISE = """\
```{exercise} Warm up
:label: ex-a
Do it.
```

```{solution-start} ex-a
:class: dropdown
```

```{code-cell} ipython3
1 + 1
```

```{solution-end}
```
"""

GOOD = (
    FRONT
    + """
# Title

"""
    + OPENING
    + HEAD
    + """
{cite:t}`key2007` shows {numref}`fig-a` and {numref}`tab-a`;
we see {glue:text}`top` % with a 95 % band (`0.5`, $0.5$).

"""
    + FIGURE
    + """
```{code-cell} ipython3
x = np.mean(Shop().log(9).clicks)
```

```{code-cell} ipython3
:tags: [remove-cell, nbval-ignore-output]
glue_number("top", x)
```

```{code-cell} ipython3
:tags: [claim, hide-input]
assert x > 0
```

```{code-cell} ipython3
:tags: [timing, nbval-ignore-output]
assert fast < slow
```

"""
    + TABLE
    + """
```{prf:lemma}
:label: lem-a
It holds.
```

```{prf:proof}
As 0.5 < 1.
```

## Exercises

"""
    + EXERCISE
)


NAME = "01-a/page"


def book_of(text: str, index: str = INDEX) -> Book:
    """Return a chapter of one page, with all that the good page needs around it."""
    return Book(
        pages=[parse_page(f"{NAME}.md", dedent(text)), parse_page("01-a/index.md", index)],
        toc=["01-a/index.md", f"{NAME}.md"],
        bibliography={"key2007"},
        package_names={"Shop"},
        twins=["test_lem_a"],
    )


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_good_page_passes(check):
    assert check(book_of(GOOD)) == []


def cell(tags: str, *lines: str) -> str:
    """Return a code cell in MyST."""
    return "\n".join(["```{code-cell} ipython3", f":tags: [{tags}]", *lines, "```", ""])


# (check, what to replace in the good page, by what, a word of the report)
BAD = [
    ("front_matter", "format_name: myst", "format_name: light", "format_name"),
    ("front_matter", "name: python3", "name: julia", "kernelspec"),
    ("figures", "{numref}`fig-a`", "the figure", "numref"),
    ("figures", "    name: fig-a\n", "", "fig-"),
    ("figures", "    alt: A line that rises.", "    width: 90%", "alternative"),
    ("figures", "    caption: A rise to {glue:text}`top` in the 95 % band.\n", "", "caption"),
    ("figures", "# Title", "# Title\n\n![x](x.svg)", "no figure"),
    ("figures", "# Title", "# Title\n\n" + cell("", "plt.plot(x)", "plt.show()"), "mystnb"),
    ("figures", "plt.show()", "fig", "plt.show()"),
    ("tables", "{numref}`tab-a`", "the table", "numref"),
    ("tables", "    caption: What rises.\n", "", "caption"),
    ("tables", 'table(["what", "rise"], [["x", x]])', "x", "call of table"),
    ("figures", "name: tab-a", "name: a", "fig-"),
    ("causes", "we see", "due to luck we see", "# arm:"),
    ("cells", "1 + 1", "\n".join(["1 + 1"] * 26), "25 lines"),
    ("cells", "# Title", "````{note}\n" + cell("", "1 + 1") + "````", "inside note"),
    ("cells", "# Title", cell("nbval-skip", "1 + 1"), "escapes"),
    ("cells", "1 + 1", "# NBVAL_SKIP\n1 + 1", "escapes"),
    ("cells", "# Title", cell("nbval-ignore-output", "1 + 1"), "only glue"),
    ("cells", "1 + 1", "%time 1 + 1", "plain Python"),
    ("glue_cells", "remove-cell, ", "", "remove-cell"),
    ("glue_cells", ", nbval-ignore-output]\nglue_number(", "]\nglue(", "nbval-ignore-output"),
    ("claims", "assert x > 0", "x > 0", "without an assert"),
    ("claims", "claim, hide-input", "claim", "hide-input"),
    ("claims", "claim, hide-input", "claim, hide-input, nbval-ignore-output", "ignore"),
    ("timings", "timing, nbval-ignore-output", "timing", "nbval-ignore-output"),
    ("timings", "assert fast < slow", "fast", "without an assert"),
    ("seeds", "1 + 1", "np.random.default_rng(0)", "default_rng draws the same in all worlds"),
    ("seeds", "1 + 1", "torch.manual_seed(0)", "manual_seed"),
    ("no_copies", "1 + 1", "class Shop:\n    pass", "Shop"),
    ("no_copies", "1 + 1", "def f():\n    def Shop(): pass", "Shop"),
    ("result_labels", "lem-a", "prop-a", "lem-"),
    ("result_labels", "# Title", "```{prf:lemma}\n:label: lem-a\n```", "2 times"),
    ("proofs", "```{prf:proof}", "```{note}", "no proof"),
    ("proofs", ":label: lem-a", ":label: lem-a\n:class: cited", "no source"),
    ("twins", "lem-a", "lem-b", "lem-b"),
    ("twins", "lem-a", "lem-b", "test_lem_a"),
    ("exercises", ":label: ex-a", "", "label"),
    ("exercises", "{solution-start} ex-a", "{solution-start} ex-b", "0 solutions"),
    ("exercises", "{solution-start} ex-a", "{solution-start} ex-b", "no exercise"),
    ("exercises", "```{solution-end}\n```", "", "pair"),
    ("exercises", "```{code-cell} ipython3\n1 + 1\n```", "", "no cell"),
    ("exercises", ":class: dropdown", "", "dropdown"),
    ("exercises", "# Title", "```{solution} ex-a\n```", "gated"),
    ("typed_numbers", "we see", "we see 0.31 clicks and", "'0.31'"),
    ("typed_numbers", "we see", "we see the value 0.31.\n\nThen", "'0.31'"),
    ("typed_numbers", "we see", "we see 12 % and", "12"),
    ("typed_numbers", "we see", "we see 95 % of visits and", "5 %"),
    ("typed_numbers", "we see", "we see 3× and", "3×"),
    ("typed_numbers", "we see", "we see 3 per cent and", "3 per cent"),
    ("typed_numbers", "{glue:text}`top` in", "0.31 in", "'0.31'"),
    ("typed_numbers", "A line that rises.", "A line that rises by 7 %.", "7 %"),
    ("typed_numbers", "It holds.", "It holds for 0.5.", "'0.5'"),
    ("citations", "key2007", "key2008", "unknown"),
    ("citations", "key2007", "key2008", "nobody cites key2007"),
    ("words", "It holds.", "Clearly, it holds.", "Clearly,"),
    ("words", "It holds.", "TODO", "TODO"),
    ("words", "It holds.", "It is\nknown that it holds.", "known that"),
    ("words", "It holds.", "A dramatic rise.", "dramatic"),
    ("words", "# Title", "# Title\n\n<div>x</div>", "raw HTML"),
    ("words", "1 + 1", "1 + 1  # placeholder", "placeholder"),
    ("front_matter", "    description: A page.", "    keywords: page", "description"),
    ("titles", "# Title", "## Title", "title"),
    ("titles", "## Exercises", "# Exercises", "title"),
    ("openings", OPENING, "", "0 openings"),
    ("openings", OPENING, OPENING + "\n" + OPENING, "2 openings"),
    ("openings", "What does it ask?\n\n", "", "not 1"),
    ("openings", "What comes out.", "What comes out.\n\nMore.", "not 3"),
    ("openings", "# Title", "# Title\n\nA word first.", "below the title"),
    ("chapter_maps", OPENING, OPENING + "```{chapter-map}\n```\n", "1 times"),
    ("heads", "1 + 1", "from recsys.shop import Shop\nShop()", "below the top"),
    ("heads", "recsys.shop import", "recsys.shop.simulator import", "no face"),
    ("heads", "from recsys.shop import Shop", "import recsys.shop as Shop", "no face"),
    ("heads", "import numpy as np", "import numpy as np\nimport torch", "torch"),
    ("heads", "import numpy as np", "import numpy as np\n" + 6 * "import recsys\n", "7 imports"),
    ("no_state", "1 + 1", "Path('x').write_text('1')", "write_text"),
    ("no_state", "1 + 1", "np.save('x', x)", "save"),
    ("no_state", "1 + 1", "open('x', 'w')", "open"),
    ("labels", ":label: ex-a", ":label: lem-a", "lem-a"),
    ("labels", "    name: fig-a", "    name: ex-a", "ex-a"),
    ("labels", "# Title", "(ex-a)=\n# Title", "ex-a"),
    ("labels", "# Title", "# Title\n\n$$\nx\n$$ (ex-a)\n", "ex-a"),
    ("exercises_last", "## Exercises", "## Tasks", "Exercises"),
    ("exercises_last", "## Exercises", "", "Exercises"),
    ("exercises_last", "{solution-end}\n```", "{solution-end}\n```\n\n## Afterwards", "last"),
    ("exercises_last", EXERCISE, "", "has none"),
    ("exercises_last", "# Title", "# Title\n\n```{exercise}\n```", "before"),
    ("length", "It holds.", "It holds. " * 2_300, "divide"),
]


@pytest.mark.parametrize(("check", "old", "new", "word"), BAD)
def test_bad_page_is_reported(check: str, old: str, new: str, word: str):
    assert old in GOOD
    problems = NAMED[check](book_of(GOOD.replace(old, new)))
    assert any(word in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("check", "old", "new", "word"),
    [
        ("chapter_maps", "```{chapter-map}\n```", "", "0 times"),
        ("chapter_maps", "# The chapter", "# The chapter\n\n## A section", "one heading"),
        ("openings", "What does it ask?", OPENING, "1 openings"),
    ],
)
def test_bad_first_page_of_a_chapter_is_reported(check: str, old: str, new: str, word: str):
    assert old in INDEX
    problems = NAMED[check](book_of(GOOD, INDEX.replace(old, new)))
    assert any(word in problem for problem in problems), problems


def test_a_chapter_without_a_first_page_is_reported():
    book = book_of(GOOD)
    assert check_front_doors(replace(book, pages=book.pages[:1])) == ["01-a: has no index.md"]


def test_a_page_may_write_what_it_does_not_keep():
    kept = "with TemporaryDirectory() as folder:\n    agent.save(folder)"
    assert check_no_state(book_of(GOOD.replace("1 + 1", kept))) == []


RECORDED = """
record = Record.read("settings.json")
how = record["ids"].settings
fit_with(how, rows, log, 0)
train_models(shop, log, record.settings)
optimiser = AdamW(weight_decay=0.1)
labels = {"weight_decay": "weight decay"}
"""
# what a page types in the place of what the record chose, and a word of the report
NO_RECORD = [
    ('Record.read("settings.json")', "something", "no record chose"),
    ("fit_with(how, ", "fit(", "no record chose"),
    (", record.settings)", ")", "no record chose"),
    ("fit_with(how,", "how = {}\nfit_with(other,", "no record chose"),
    ("fit_with(how, rows", "network = fit_with(how, rows, log)\nfit(network", "no record chose"),
    ("fit_with(how,", 'fit_with({**how, "weight_decay": 0.1},', "weight_decay is typed"),
    ("fit_with(how,", 'fit_with({**how, "hidden": [9, 9]},', "hidden is typed"),
    ("fit_with(how,", "fit_with(how | dict(hidden=(9,)),", "hidden is typed"),
    ("train_models(", "LogisticPolicy(rows, log, 0.3, **how)\ntrain_models(", "without its name"),
    ("train_models(", "Training(**how, hidden=-1)\ntrain_models(", "hidden is typed"),
]


@pytest.mark.parametrize(("old", "new", "word"), NO_RECORD)
def test_a_page_that_plays_what_no_record_chose_is_reported(old: str, new: str, word: str):
    def problems(code: str) -> list[str]:
        book = book_of(GOOD.replace("1 + 1", code))
        return NAMED["settings"](replace(book, settings={"01-a": {"weight_decay", "hidden"}}))

    assert problems(RECORDED) == []
    assert old in RECORDED
    found = problems(RECORDED.replace(old, new))
    assert any(word in problem for problem in found), found


def test_a_chapter_without_a_record_is_let_be():
    book = book_of(GOOD.replace("1 + 1", "fit(rows, log, Training(hidden=3))"))
    assert NAMED["settings"](book) == []


def test_contents_are_checked_both_ways():
    book = book_of(GOOD)
    missing = check_contents(replace(book, toc=["01-a/index.md"]))
    assert missing == ["01-a/page.md: not in _toc.yml"]
    unknown = check_contents(replace(book, toc=[*book.toc, "page.md"]))
    assert unknown == ["page.md: in _toc.yml but not on disk"]
    twice = check_contents(replace(book, toc=[*book.toc, "01-a/page.md"]))
    assert twice == ["01-a/page.md: twice in _toc.yml"]


def test_toc_is_read_at_any_depth():
    toc = """
        root: book/index
        parts:
          - chapters:
            - file: book/a/index
              sections:
              - file: book/a/b
    """
    assert toc_files(dedent(toc)) == ["index.md", "a/index.md", "a/b.md"]


def test_proof_in_an_appendix_counts_only_after_a_reference():
    result = "```{prf:lemma}\n:label: lem-a\nIt holds.\n```\n"
    proof = "\n```{prf:proof}\nSo it is.\n```\n"
    pages = [parse_page("a.md", result), parse_page("b.md", "Proof of {prf:ref}`lem-a`.\n" + proof)]
    assert check_proofs(Book(pages)) == []
    pages[1] = parse_page("b.md", "Proof of {prf:ref}`lem-a`.\n\nAnother paragraph.\n" + proof)
    assert check_proofs(Book(pages)) == ["a.md:1: lem-a has no proof"]


def test_longest_label_owns_a_twin():
    labels = {"prop-a", "prop-a-b"}
    assert twin_of("test_prop_a_b_closed_form", labels) == "prop-a-b"
    assert twin_of("test_prop_a_closed_form", labels) == "prop-a"
    assert twin_of("test_prop_ab", labels) is None


ARM = "# arm: x with the same rows, without the cause\n"


@pytest.mark.parametrize("phrase", ["due to", "because of", "thanks\nto", "the price of"])
def test_a_number_that_is_put_down_to_a_cause_needs_its_arm(phrase: str):
    caused = GOOD.replace("we see", f"{phrase} luck we see")
    [problem] = NAMED["causes"](book_of(caused))
    assert "# arm:" in problem
    assert NAMED["causes"](book_of(caused.replace("assert x > 0", f"{ARM}assert x > 0"))) == []
    assert NAMED["causes"](book_of(caused.replace("assert x > 0", "# arm:\nassert x > 0"))) != []
    without_number = GOOD.replace("we see", f"{phrase} luck.\n\nWe see")
    assert NAMED["causes"](book_of(without_number)) == []


def site_of(**changes: object) -> Site:
    """Return the site that a good build of the good page makes, with changes."""
    book = book_of(GOOD)
    cells = []
    for n, source in enumerate(book.pages[0].cells, start=1):
        code = new_code_cell(source.source, execution_count=n)
        code.metadata.update(source.options)
        if source.figure:
            code.outputs = [new_output("display_data", {"image/svg+xml": "<svg/>"})]
        if source.table:
            code.outputs = [new_output("display_data", {"text/html": "<table></table>"})]
        cells.append(code)
    html = '<link href="x.css"/><article><h1>T</h1><img src="a.svg" alt="A line."/></article>'
    site = Site(
        book,
        notebooks={NAME: new_notebook(cells=cells)},
        glued={NAME: {"top"}},
        html={page: BeautifulSoup(html, "html.parser") for page in (NAME, "01-a/index")},
        seconds={NAME: 70.0},
    )
    return replace(site, **changes)


@pytest.mark.parametrize("check", SITE_CHECKS, ids=lambda check: check.__name__)
def test_good_site_passes(check):
    assert check(site_of()) == []


def notebook_with(change: str) -> Site:
    """Return a site with one fault in its executed notebook."""
    site = site_of()
    cells = site.notebooks[NAME].cells
    if change == "not executed":
        cells[1].execution_count = None
    elif change == "other source":
        cells[1].source = "plt.show()  # older"
    elif change == "cell missing":
        cells.pop()
    elif change == "error":
        cells[1].outputs.append(new_output("error", ename="ValueError", evalue="", traceback=[]))
    elif change == "stderr":
        cells[1].outputs.append(new_output("stream", name="stderr", text="careful"))
    elif change == "png":
        cells[1].outputs[0]["data"] = {"image/png": ""}
    elif change == "claim speaks":
        cells[4].outputs.append(new_output("stream", text="true"))
    return site


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("executed", "not executed"),
        ("executed", "other source"),
        ("executed", "cell missing"),
        ("outputs", "error"),
        ("outputs", "stderr"),
        ("outputs", "png"),
        ("figures_drawn", "png"),
        ("claims_silent", "claim speaks"),
    ],
)
def test_bad_notebook_is_reported(check: str, change: str):
    assert NAMED[check](notebook_with(change))


@pytest.mark.parametrize(
    ("check", "html"),
    [
        ("pages", "<article>no heading</article>"),
        ("pages", "<article><h1>a</h1><h1>b</h1></article>"),
        ("alternative_text", "<article><img src='a.svg'/></article>"),
        ("alternative_text", "<article><img src='a.svg' alt='a.svg'/></article>"),
        ("leftovers", "<article>see Fig. ??</article>"),
        ("leftovers", "<article>{glue:text}`top`</article>"),
        ("leftovers", "<article>{glue}`top`</article>"),
        ("leftovers", "<article><div class='system-message'>x</div></article>"),
        ("own_host", "<script src='https://example.org/x.js'></script>"),
        ("own_host", "<link rel='stylesheet' href='//example.org/x.css'/>"),
    ],
)
def test_bad_html_is_reported(check: str, html: str):
    site = site_of(html={NAME: BeautifulSoup(html, "html.parser")})
    assert NAMED[check](site)


def test_missing_parts_of_a_site_are_reported():
    assert check_executed(site_of(notebooks={})) == ["01-a/page.md: no executed notebook"]
    assert check_pages(site_of(html={})) == ["01-a/page.md: not built", "01-a/index.md: not built"]
    assert check_seconds(site_of(seconds={})) == ["01-a/page.md: no record of its execution"]
    [slow] = check_seconds(site_of(seconds={NAME: 300.0}))
    assert slow == "01-a/page.md: executed in 300 seconds: divide it"
    assert check_seconds(site_of(seconds={NAME: 300.0}, pace=2.0)) == []  # a slow machine
    assert check_seconds(site_of(seconds={NAME: 300.0}, pace=0.5)) == [slow]


def test_glue_is_checked_both_ways():
    unused = check_glue_used(site_of(glued={NAME: {"top", "low"}}))
    assert unused == ["01-a/page.md: low is glued and never used"]
    missing = check_glue_used(site_of(glued={}))
    assert missing == ["01-a/page.md: top is used and never glued"]


def test_glued_values_are_compared():
    record = {"scrapbook": {"name": "top", "mime_prefix": "application/papermill.record/"}}
    data = {"application/papermill.record/text/plain": "'0.31'"}
    outputs = [new_output("display_data", data, metadata=record), new_output("stream", text="x")]
    assert differences(outputs, {"top": {"text/plain": "'0.31'"}}) == []
    assert differences(outputs, {"top": {"text/plain": "'0.32'"}})
    assert differences(outputs, {})


def test_every_check_is_shown_to_fail():
    shown = {f"check_{check}" for check, *_ in BAD} | {"check_contents", "check_front_doors"}
    shown.add("check_settings")  # by NO_RECORD
    assert {check.__name__ for check in CHECKS} == shown

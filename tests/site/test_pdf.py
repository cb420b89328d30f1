"""The PDF edition: how pages are joined and printed, on a site of two pages, and the book's own."""

import os
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from browser import find_browser
from joined_pages import joined
from local_mathjax import mathjax_folder
from pdf_edition import (
    PDF_LABEL,
    PDF_NAME,
    Edition,
    built_from,
    link_edition,
    make_edition,
)
from sitelinks import parsed

ROOT = Path(__file__).parents[2]
SITE = ROOT / "_build" / "html"
RAW_TEX = re.compile(r"\\(?:frac|mathbf|mathbb|sum|hat|left|right|begin|top|\(|\[)|\$\$")
RIGHT_EDGE = 595 - 40  # points; the page is 595 wide, and 15 mm of it are margin

FIRST = """<html><head><title>One</title><link rel="next" href="b/two.html">
<script src="_static/mathjax/tex-chtml.js"></script></head><body><nav>menu</nav><article>
<section id="one"><h1>The first page<a class="headerlink" href="#one">#</a></h1>
<p id="proof">See <a href="b/two.html#late">there</a>, <a href="b/two.html">the page</a>,
<a href="#proof">here</a>, <a href="genindex.html">the index</a> and
<a href="https://example.org/">elsewhere</a>.</p><p id="proof">Again.</p>
<p>A half is <span class="math">\\(\\frac{1}{2}\\)</span>, and so on.</p>
<details class="hide"><summary>Show</summary><p>folded away</p></details></section>
</article></body></html>"""
SECOND = """<html><head><title>Two</title></head><body><article>
<section id="one"><h1>The second page</h1><figure id="fig"><img src="../_images/dot.svg"></figure>
<section id="early"><h2>An early section</h2><p style="height: 400mm">Much.</p></section>
<section id="late"><h2>A late section</h2><p>The <a href="../one.html#proof">end</a>.</p></section>
</section></article></body></html>"""
DOT = """<svg xmlns="http://www.w3.org/2000/svg" width="60" height="20">
<text x="2" y="15">drawn</text></svg>"""
ABOUT = Edition("A small book", "Its author", "Free", "abc1234", "2020-02-03")


def small_site(folder: Path, more: str = "") -> Path:
    """Write a site of two pages, the second with something more."""
    for name in ("b", "_static", "_images"):
        (folder / name).mkdir()
    (folder / "_static" / "mathjax").symlink_to(mathjax_folder())
    (folder / "_images" / "dot.svg").write_text(DOT, "utf-8")
    (folder / "one.html").write_text(FIRST, "utf-8")
    (folder / "b" / "two.html").write_text(SECOND.replace("Much.", f"Much.{more}"), "utf-8")
    return folder


def doubled_ids(html: str) -> list[str]:
    """Return the ids that occur more than once."""
    found = Counter(tag["id"] for tag in BeautifulSoup(html, "html.parser").select("[id]"))
    return [name for name, times in found.items() if times > 1]


def titles(outline: list) -> list[str]:
    """Return all titles of an outline, whatever their depth."""
    nested = [titles(item) if isinstance(item, list) else [item.title] for item in outline]
    return [title for part in nested for title in part]


def squeezed(text: str) -> str:
    """Return the text without white space and ligatures: a line may break anywhere."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


def texts(pdf: PdfReader) -> list[str]:
    """Return the text of every page."""
    return [page.extract_text() for page in pdf.pages]


def lost_links(html: str) -> list[str]:
    """Return the links of the joined page that lead nowhere; in print they are no links at all."""
    page = BeautifulSoup(html, "html.parser")
    known = {tag["id"] for tag in page.select("[id]")}
    links = [link["href"] for link in page.select("a[href]")]
    return [link for link in links if link.removeprefix("#") not in known and "://" not in link]


def broken_links(pdf: PdfReader, html: str) -> list[str]:
    """Return the targets in the joined page that the print has not, and addresses of no use."""
    page = BeautifulSoup(html, "html.parser")
    inside = {"/" + link["href"][1:] for link in page.select("a[href^='#']")}
    notes = [note.get_object() for leaf in pdf.pages for note in leaf.get("/Annots", [])]
    outside = [note["/A"]["/URI"] for note in notes if "/URI" in note.get("/A", {})]
    local = [address for address in outside if "127.0.0.1" in address]
    return sorted(inside - set(pdf.named_destinations)) + local


def wrong_numbers(pages: list[str]) -> list[str]:
    """Return the lines of the contents whose heading is not on the page that they name."""
    first = next(n for n, page in enumerate(pages) if re.search(r"^Contents$", page, re.MULTILINE))
    lines = [line for page in pages[first : first + 2] for line in page.splitlines()]
    entries = [match for line in lines if (match := re.fullmatch(r"(\D.*\D) (\d+)", line.strip()))]
    assert entries, "no line of the contents has a page number"
    return [
        entry[0]
        for entry in entries
        if int(entry[2]) > len(pages)
        or squeezed(entry[1]) not in squeezed(pages[int(entry[2]) - 1])
    ]


def beyond(pdf: PdfReader, edge: float) -> list[str]:
    """Return the texts that begin to the right of an edge, in points."""
    found = []

    def visit(text: str, cm: list[float], tm: list[float], *_: object) -> None:
        if text.strip() and tm[4] * cm[0] + tm[5] * cm[2] + cm[4] > edge:
            found.append(text.strip())

    for page in pdf.pages:
        page.extract_text(visitor_text=visit)
    return found


needs_browser = pytest.mark.skipif(
    not os.environ.get("CI") and find_browser() is None, reason="no browser is installed"
)


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the site of two pages."""
    return small_site(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def small(small_folder: Path) -> PdfReader:
    """Return the printed site of two pages."""
    pdf = PdfReader(make_edition(small_folder, "one", ABOUT))
    assert not list(small_folder.glob("pdf-edition*"))
    return pdf


def test_ids_are_unique_and_links_lead_to_them(small_folder: Path):
    html = joined(small_folder, "one", "Title", "", "")
    assert doubled_ids(html) == []
    assert lost_links(html) == []
    assert lost_links(html.replace('id="b-two--late"', "")) == ["#b-two--late"] * 2
    assert doubled_ids(FIRST + SECOND) == ["one", "proof"]
    page = BeautifulSoup(html, "html.parser")
    assert [link["href"] for link in page.select("article a")] == [
        "#b-two--late",
        "#b-two",
        "#one--proof",
        "https://example.org/",
        "#one--proof",
    ]
    assert page.select_one("img")["src"] == "_images/dot.svg"
    assert page.select_one(".unbroken").text == r"\(\frac{1}{2}\),"
    assert "menu" not in page.text


@needs_browser
def test_what_is_printed(small: PdfReader):
    text = "\n".join(texts(small))
    for expected in ("A small book", "Its author", "abc1234", "2020-02-03", "Free", "drawn"):
        assert expected in text
    assert "folded away" not in text
    assert not RAW_TEX.search(text)
    assert RAW_TEX.search(FIRST)
    assert (small.metadata.title, small.metadata.author) == ("A small book", "Its author")
    assert small.metadata["/CreationDate"] == "D:20200203"


@needs_browser
def test_contents_outline_and_links(small: PdfReader, small_folder: Path):
    headings = ["The first page", "The second page", "An early section", "A late section"]
    assert titles(small.outline) == ["Contents", *headings]
    pages = texts(small)
    assert wrong_numbers(pages) == []
    assert len(wrong_numbers([*pages[:3], "", *pages[3:]])) == len(headings)
    html = joined(small_folder, "one", "", "", "")
    assert broken_links(small, html) == []
    assert broken_links(small, html.replace("#b-two--late", "#nowhere")) == ["/nowhere"]
    assert beyond(small, RIGHT_EDGE) == []
    assert beyond(small, 100)


@needs_browser
def test_what_no_size_makes_fit_is_an_error(tmp_path: Path):
    wide = '<span style="display: inline-block; width: 900px">wide</span>'
    with pytest.raises(RuntimeError, match="Too wide"):
        make_edition(small_site(tmp_path, wide), "one", ABOUT)
    assert not list(tmp_path.glob("*edition*"))


def chapter_site(folder: Path) -> Path:
    """Write a site of a chapter with one page that has a folded proof, and no link to a PDF."""
    menu = """<html lang="en" data-content_root="../../"><head><title>T</title>{next}</head><body>
<div class="dropdown-download-buttons"><ul><li><a class="btn-download-source-button" title="x"
href="../../_sources/b/c/x.md"><i class="fas fa-file"></i><span class="btn__text-container">Source
</span></a></li></ul></div><article><section id="s"><h1>{title}</h1>{more}</section></article>
</body></html>"""
    proof = """<dl class="opening"><dd>1 minute<span class="seconds">, 9 seconds</span></dd></dl>
<details class="folded"><summary>Show</summary><div class="proof admonition"><p>Proof. So.</p></div>
</details><section id="t"><h2>A section</h2></section>
<p>executed in 3 seconds from commit abc;</p>"""
    (folder / "b" / "c").mkdir(parents=True)
    first = menu.format(next='<link rel="next" href="page.html">', title="Chapter", more="")
    (folder / "b" / "c" / "index.html").write_text(first, "utf-8")
    page = menu.format(next="", title="Page", more=proof)
    (folder / "b" / "c" / "page.html").write_text(page, "utf-8")
    return folder


def test_pages_stand_below_their_chapter_and_proofs_are_open(tmp_path: Path):
    page = BeautifulSoup(joined(chapter_site(tmp_path), "b/c/index", "", "", ""), "html.parser")
    headings = [(tag.name, tag.text) for tag in page.select("article :is(h1, h2, h3)")]
    assert headings == [("h1", "Chapter"), ("h2", "Page"), ("h3", "A section")]
    assert [tag.text for tag in page.select("nav .level-1 .heading")] == ["Chapter"]
    assert [tag.text for tag in page.select("nav .level-2 .heading")] == ["Page"]
    assert "Proof. So." in page.text
    assert not page.select("details, summary, .seconds")


def test_an_edition_printed_later_is_linked_once(tmp_path: Path):
    site = chapter_site(tmp_path)
    assert built_from(site, "b/c/page") == "abc"
    assert built_from(site, "b/c/index") is None
    assert link_edition(site) == 2
    [link] = parsed(site / "b" / "c" / "page.html").select(f"a[href='../../{PDF_NAME}']")
    assert link["class"] == ["btn-download-book-button"]
    assert link.get_text(strip=True) == PDF_LABEL and link.i["class"] == ["fas", "fa-file-pdf"]
    assert link_edition(site) == 0


@pytest.fixture(scope="module")
def edition() -> PdfReader:
    """Return the book's edition; without one this skips, except where CI says that there is one."""
    if not (SITE / PDF_NAME).exists() and not os.environ.get("CI"):
        pytest.skip("there is no PDF edition: bash .ci/build, with a browser installed")
    return PdfReader(SITE / PDF_NAME)


@pytest.fixture(scope="module")
def edition_texts(edition: PdfReader) -> list[str]:
    """Return the text of the book's pages."""
    return texts(edition)


def site_headings(level: str) -> list[str]:
    """Return the headings of a level on all pages of the site."""
    found = []
    for file in sorted((SITE / "book").rglob("*.html")):
        page = BeautifulSoup(file.read_text("utf-8"), "html.parser")
        for heading in page.select(f"article {level}"):
            for link in heading.select("a.headerlink"):
                link.decompose()
            found.append(heading.text.strip())
    return found


def test_book_is_whole(edition: PdfReader, edition_texts: list[str]):
    assert 100 < len(edition.pages) < 320
    assert (SITE / PDF_NAME).stat().st_size < 15e6
    outline = set(map(squeezed, titles(edition.outline)))
    chapters, sections = site_headings("h1"), site_headings("h2")
    assert len(chapters) >= 30
    assert len(sections) > 40
    assert [title for title in chapters if squeezed(title) not in outline] == []
    text = squeezed("".join(edition_texts))
    assert [title for title in sections if squeezed(title) not in text] == []


def test_book_is_typeset(edition: PdfReader, edition_texts: list[str]):
    text = "\n".join(edition_texts)
    assert "??" not in text
    assert RAW_TEX.findall(text) == []
    assert beyond(edition, RIGHT_EDGE) == []
    assert [n + 1 for n, page in enumerate(edition_texts) if len(page.split()) < 10] == []


def test_book_leads_where_it_says(edition: PdfReader, edition_texts: list[str]):
    assert wrong_numbers(edition_texts) == []
    html = joined(SITE, "book/index", "", "", "")
    assert doubled_ids(html) == []
    assert lost_links(html) == []
    assert broken_links(edition, html) == []

"""Print the built site as one PDF: title page, contents with page numbers, and every page.

Chromium does the typesetting, so the edition shows what the site shows. It prints at least twice:
the first print tells on which page each heading falls, and the one that is kept has in its contents
the numbers of its own pages.

On a site that is built already: ``python book/_ext/pdf_edition.py _build/html``.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from html import escape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

from browser import HOW_TO_GET_ONE, find_browser, open_browser
from joined_pages import joined
from playwright.sync_api import Page
from pypdf import PdfReader, PdfWriter
from sphinx.application import Sphinx
from sphinx.util import logging

PDF_NAME = "modern-recommendation-systems.pdf"
JOINED_NAME = "pdf-edition.html"  # exists only while it is printed
STYLE = Path(__file__).parent.parent / "_static" / "print.css"
PRINTABLE_WIDTH = 680  # CSS pixels between the margins that print.css gives the page
TEN_MINUTES = 600_000
MOST_PRINTS = 5  # two should do, but the browser does not lay out every page alike each time

FRONT = """
<section class="title-page"><p class="book-title">{title}</p><p class="book-author">{author}</p>
</section>
<section class="imprint">
<p>© {rights}</p>
<p>This edition was printed from the site of the book, at commit {commit} of {date}. Every page was
executed when this edition was made.</p>
<p>Code that the site keeps folded is not printed: the drawing of figures, longer experiments whose
result is shown, and the assertions beside claims. A tick in the margin marks the place of an
assertion that was executed. Solutions, which the site folds too, are printed below their
exercises.</p>
</section>
"""

# Resolves when every formula is typeset and every figure and font is there.
READY = """async () => {
  await window.MathJax?.startup?.promise;
  await Promise.all([...document.images].map(image => image.decode()));
  await document.fonts.ready;
}"""

# What is wider than the page is set smaller until it fits; returns what does not even then. Code
# longer than a quarter of a page may go on on the next one.
FIT = """() => {
  const boxes = 'div.math, pre, table, .cell_output, p, li';
  const width = box => Math.max(box.scrollWidth,
    ...[...box.querySelectorAll(':scope > mjx-container, :scope > table')].map(e => e.scrollWidth));
  const tooWide = [];
  for (const box of document.querySelectorAll(boxes)) {
    for (let size = 98; width(box) > box.clientWidth + 1 && box.clientWidth; size -= 2) {
      if (size < 60) { tooWide.push(box.textContent.trim().slice(0, 80)); break; }
      box.style.fontSize = size + '%';
    }
  }
  for (const code of document.querySelectorAll('div.highlight')) {
    if (code.offsetHeight < 240) continue;
    for (let box = code; box && !box.matches('.cell, article'); box = box.parentElement)
      box.classList.add('long');
  }
  return tooWide;
}"""

FILL_IN = """pages => {
  for (const link of document.querySelectorAll('.edition-contents a'))
    link.querySelector('.page').textContent = pages[link.getAttribute('href').slice(1)];
}"""

# Every print starts from the same state: without this, what was laid out before has an influence.
LAY_OUT_AGAIN = """() => {
  document.body.style.display = 'none';
  document.body.offsetHeight;
  document.body.style.display = '';
  document.body.offsetHeight;
}"""


@dataclass(frozen=True)
class Edition:
    """What the edition says about itself."""

    title: str
    author: str
    rights: str
    commit: str
    date: str  # of the commit, so that the same sources give the same edition


def edition_available() -> bool:
    """Tell whether there is a browser to print the edition with."""
    return find_browser() is not None


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git says about the folder, or None without git or outside a repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def describe(folder: Path, title: str, author: str, rights: str) -> Edition:
    """Return the edition that is made from the sources in the folder."""
    commit = git(folder, "rev-parse", "--short", "HEAD") or "unknown"
    changes = " and uncommitted changes" if git(folder, "status", "--porcelain") else ""
    date = git(folder, "log", "-1", "--format=%cs") or "unknown date"
    return Edition(title, author, rights, commit + changes, date)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the folder to this machine alone; from file:// the browser would load no fonts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def print_once(page: Page) -> PdfReader:
    """Print the page as it is."""
    page.evaluate(LAY_OUT_AGAIN)
    pdf = page.pdf(prefer_css_page_size=True, print_background=True, tagged=True, outline=True)
    return PdfReader(BytesIO(pdf))


def page_numbers(pdf: PdfReader) -> dict[str, int]:
    """Return the number of the page on which each target of a link stands."""
    return {
        name.removeprefix("/"): pdf.get_destination_page_number(destination) + 1
        for name, destination in pdf.named_destinations.items()
    }


def print_joined(address: str) -> PdfReader:
    """Print the joined page, its contents filled in."""
    with open_browser() as browser:
        page = browser.new_page(viewport={"width": PRINTABLE_WIDTH, "height": 1000})
        page.set_default_timeout(TEN_MINUTES)
        page.emulate_media(media="print")
        page.goto(address)
        page.evaluate(READY)
        if too_wide := page.evaluate(FIT):
            raise RuntimeError(f"Too wide for the printed page: {too_wide}")
        numbers: dict[str, int] = {}
        for _ in range(MOST_PRINTS):
            pdf = print_once(page)
            if numbers == (numbers := page_numbers(pdf)):
                return pdf
            page.evaluate(FILL_IN, numbers)
    raise RuntimeError(f"The headings are on other pages in each of {MOST_PRINTS} prints.")


def make_edition(site: Path, first: str, edition: Edition) -> Path:
    """Write the PDF edition of a built site into the site.

    Parameters
    ----------
    site
        The folder of the built site.
    first
        Name of its first page, such as ``book/index``.
    edition
        What the edition says about itself.
    """
    front = FRONT.format(**{key: escape(value) for key, value in vars(edition).items()})
    page = site / JOINED_NAME
    page.write_text(
        joined(site, first, escape(edition.title), front, STYLE.read_text("utf-8")), "utf-8"
    )
    try:
        with served(site) as address:
            pdf = PdfWriter(clone_from=print_joined(f"{address}/{JOINED_NAME}"))
    finally:
        page.unlink()
    pdf.add_metadata({"/Title": edition.title, "/Author": edition.author})
    if (day := edition.date.replace("-", "")).isdigit():
        pdf.add_metadata({"/CreationDate": f"D:{day}", "/ModDate": f"D:{day}"})
    pdf.page_mode = "/UseOutlines"
    pdf.write(site / PDF_NAME)
    return site / PDF_NAME


def print_book(app: Sphinx, error: Exception | None) -> None:
    """Print the book after Sphinx has built its site."""
    if error is not None or app.builder.format != "html":
        return
    if not edition_available():
        logging.getLogger(__name__).info(f"No PDF edition. {HOW_TO_GET_ONE}")
        return
    config = app.config
    edition = describe(Path(app.srcdir), config.project, config.author, config.copyright)
    make_edition(Path(app.outdir), config.root_doc, edition)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the printing with Sphinx, after every extension that still writes into the site."""
    app.add_css_file(STYLE.name, media="print")
    app.connect("build-finished", print_book, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    import yaml

    root = Path(__file__).parent.parent.parent
    settings = yaml.safe_load((root / "_config.yml").read_text("utf-8"))
    about = describe(root, settings["title"], settings["author"], settings["copyright"])
    print(make_edition(Path(sys.argv[1]), "book/index", about))

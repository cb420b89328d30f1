"""Print a long HTML page with Chromium and fill in the page numbers of its contents.

It is printed at least twice: the first print tells on which page each heading falls, and the one
that is kept has in its contents the numbers of its own pages.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

from playwright.sync_api import Page
from pypdf import PdfReader

from browser import open_browser

PRINTABLE_WIDTH = 680  # CSS pixels between the margins that print.css gives the page
TEN_MINUTES = 600_000
MOST_PRINTS = 8  # two should do, but the browser does not lay out every page alike each time

# Resolves when every formula is typeset and every figure and font is there.
READY = """async () => {
  await window.MathJax?.startup?.promise;
  await Promise.all([...document.images].map(image => image.decode()));
  await document.fonts.ready;
}"""

# What is wider than the page is set smaller until it fits; returns what does not even then. Code
# longer than a quarter of a page may go on on the next one.
FIT = """() => {
  const boxes = 'div.math, pre, table, .cell_output, p, li, :has(> table.results)';
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

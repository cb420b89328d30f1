"""Print the built site as one PDF: title page, contents with page numbers, and every page.

Chromium does the typesetting, so the edition shows what the site shows.

On a site that is built already, ``python book/_ext/pdf_edition.py _build/html`` prints it without
executing anything. It also puts the link to it into the pages, which have none if there was no
browser when they were built.
"""

import os
import re
import sys
from copy import deepcopy
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

import pikepdf
from bs4 import BeautifulSoup
from playwright.sync_api import Error
from pypdf import PdfWriter
from sphinx.application import Sphinx
from sphinx.util import logging

from browser import why_no_browser
from execution import REUSE
from joined_pages import joined
from lone_page import is_lone
from made_from import commit, day
from printing import print_joined, served
from surroundings import ROOT
from written import beside, write_text

PDF_NAME = "modern-recommendation-systems.pdf"
PDF_LABEL, PDF_TOOLTIP = "Book (.pdf)", "The whole book as one PDF"
FROM_COMMIT = re.compile(r"executed in \d+ seconds? from commit ([^;<]+);")
JOINED_NAME = "pdf-edition.html"  # exists only while it is printed
STYLE = ROOT / "book" / "_static" / "print.css"

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


@dataclass(frozen=True)
class Edition:
    """What the edition says about itself."""

    title: str
    author: str
    rights: str
    commit: str
    date: str  # of the commit, so that the same sources give the same edition


def describe(
    folder: Path, title: str, author: str, rights: str, made_from: str | None = None
) -> Edition:
    """Return the edition that is made from the sources in the folder, or from a commit of them."""
    known = made_from or commit(folder)
    return Edition(title, author, rights, known, day(folder, known))


def built_from(site: Path, first: str) -> str | None:
    """Return the commit from which the site says that it was built."""
    found = FROM_COMMIT.search((site / f"{first}.html").read_text("utf-8"))
    return found and found[1]


def link_edition(site: Path) -> int:
    """Put the link to the edition into every page that has none; return into how many."""
    changed = 0
    for path in sorted(site.rglob("*.html")):
        text = path.read_text("utf-8")
        if PDF_NAME in text or "_sources/" not in text:
            continue
        page = BeautifulSoup(text, "html.parser")
        menu = page.select_one(".dropdown-download-buttons ul")
        source = menu and menu.select_one("a[href*='_sources/']")
        if source is None:
            continue
        entry = deepcopy(source.find_parent("li"))
        link = entry.a
        link["href"] = f"{page.html['data-content_root'].removeprefix('./')}{PDF_NAME}"
        link["title"] = PDF_TOOLTIP
        link["class"] = [name.replace("-source-", "-book-") for name in link["class"]]
        entry.i["class"] = [name.replace("fa-file", "fa-file-pdf") for name in entry.i["class"]]
        link.select_one(".btn__text-container").string = PDF_LABEL
        source.find_parent("li").insert_after(entry)
        write_text(path, page.decode(formatter="html5"))
        changed += 1
    return changed


def unlink_edition(site: Path) -> int:
    """Take the edition and every link to it out of the site; return out of how many pages."""
    changed = 0
    for path in sorted(site.rglob("*.html")):
        if PDF_NAME not in (text := path.read_text("utf-8")):
            continue
        page = BeautifulSoup(text, "html.parser")
        for link in page.select(f"a[href$='{PDF_NAME}']"):
            link.find_parent("li").decompose()
        write_text(path, page.decode(formatter="html5"))
        changed += 1
    (site / PDF_NAME).unlink(missing_ok=True)
    return changed


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
    write_text(page, joined(site, first, escape(edition.title), front, STYLE.read_text("utf-8")))
    try:
        with served(site) as address:
            pdf = PdfWriter(clone_from=print_joined(f"{address}/{JOINED_NAME}"))
    finally:
        page.unlink()
    pdf.add_metadata({"/Title": edition.title, "/Author": edition.author})
    if (day := edition.date.replace("-", "")).isdigit():
        pdf.add_metadata({"/CreationDate": f"D:{day}", "/ModDate": f"D:{day}"})
    pdf.page_mode = "/UseOutlines"
    whole = BytesIO()
    pdf.write(whole)
    # a third of the size: its many small objects compressed
    with pikepdf.open(whole) as packed, beside(site / PDF_NAME) as place:
        packed.save(
            place,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
            deterministic_id=True,
        )
    return site / PDF_NAME


def is_printed(app: Sphinx) -> bool:
    """Tell whether the build prints the edition: it is that of the whole book, from its pages."""
    return app.builder.name == "html" and REUSE not in os.environ and not is_lone(app.srcdir)


def look_for_browser(app: Sphinx) -> None:
    """Learn, before a page is written, whether there will be an edition to link to."""
    app.why_not_printed = why_no_browser() if is_printed(app) else "It is that of the whole book."
    if REUSE in os.environ and (Path(app.outdir) / PDF_NAME).exists():
        app.why_not_printed = None  # a page is built alone: the edition is that of the last build


def print_book(app: Sphinx, error: Exception | None) -> None:
    """Print the book after Sphinx has built its site; where that fails, no page links to it."""
    if error is not None or not is_printed(app):
        return
    config, site = app.config, Path(app.outdir)
    if app.why_not_printed is None:
        edition = describe(ROOT, config.project, config.author, config.copyright)
        try:
            make_edition(site, config.root_doc, edition)
        except Error as failure:
            app.why_not_printed = f"The browser failed while it printed: {failure}"
    if app.why_not_printed is None:
        link_edition(site)  # from pages, too, that an earlier build wrote without one
    else:
        unlink_edition(site)
        logging.getLogger(__name__).info(f"No PDF edition. {app.why_not_printed}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the printing with Sphinx, after every extension that still writes into the site."""
    app.add_css_file(STYLE.name, media="print")
    app.connect("builder-inited", look_for_browser)
    app.connect("build-finished", print_book, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    import yaml

    site, first = Path(sys.argv[1]), "book/index"
    settings = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
    about = (settings[key] for key in ("title", "author", "copyright"))
    print(make_edition(site, first, describe(ROOT, *about, built_from(site, first))))
    print(f"linked from {link_edition(site)} pages that did not link to it")

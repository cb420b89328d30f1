"""Describe each page for search engines and for previews of links to it (Open Graph).

Previews need the public address of the site: the environment variable BOOK_URL gives it, and the
workflow that publishes the site sets it. Without it the pages name no address.
"""

import os
from pathlib import Path
from shutil import copyfile

from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.config import Config

from surroundings import ROOT

PICTURE = Path(".github") / "book.png"  # beside the README, which shows it as well
CARD = "_static/card.png"
ALTERNATIVE = "A page of the book: text, a figure with bands of spread, and the outline beside it"


def take_address(app: Sphinx, config: Config) -> None:
    """Take the public address from the environment, for canonical links and previews."""
    if address := os.environ.get("BOOK_URL"):
        config.html_baseurl = address.rstrip("/") + "/"


def describe(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Add what a preview shows; the description is that of the page's front matter."""
    described = page.head.find("meta", attrs={"name": "description"})
    if described is None:
        return  # the search page and the like
    base = app.config.html_baseurl
    facts = {
        "og:type": "book",
        "og:site_name": app.config.html_title,
        "og:title": (page.article or page).h1.get_text().removesuffix("#").strip(),
        "og:description": described["content"],
        "og:image": f"{base or page.html['data-content_root']}{CARD}",
        "og:image:alt": ALTERNATIVE,
    }
    if base:
        facts["og:url"] = base + app.builder.get_target_uri(pagename)
    for name, content in facts.items():
        page.head.append(page.new_tag("meta", attrs={"property": name, "content": content}))


def copy_card(app: Sphinx, error: Exception | None) -> None:
    """Put the picture of the previews into the site."""
    if error is None and app.builder.format == "html":
        copyfile(ROOT / PICTURE, Path(app.outdir) / CARD)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the address, the descriptions and the picture with Sphinx."""
    app.connect("config-inited", take_address)
    app.connect("page-finished", describe)
    app.connect("build-finished", copy_card)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

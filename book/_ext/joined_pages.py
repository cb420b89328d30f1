"""Join the pages of the built site into one page, for the PDF edition.

The pages follow one another as in the table of contents. Each becomes an article whose ids carry
the page's name, so that no id occurs twice and every link between pages becomes a link inside.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, NavigableString, Tag

# What a page shows for the screen only, and scripts: nothing in a book is clicked.
NOT_PRINTED = (
    "a.headerlink, button, script, .toctree-wrapper, p.verified, .opening .seconds, "
    "details.folded > summary"
)
POINT_TO_IDS = ("for", "headers", "aria-labelledby", "aria-describedby")


@dataclass(frozen=True)
class Entry:
    """One line of the contents."""

    level: int
    target: str
    title: str  # HTML, since a heading may hold a formula


def read(file: Path) -> BeautifulSoup:
    """Parse an HTML file."""
    return BeautifulSoup(file.read_text("utf-8"), "html.parser")


def reading_order(site: Path, first: str) -> Iterator[tuple[str, BeautifulSoup]]:
    """Yield names and pages from the first one on, following each page's link to the next."""
    name: str | None = first
    seen = set()
    while name and name not in seen:
        seen.add(name)
        page = read(site / f"{name}.html")
        yield name, page
        following = page.select_one("link[rel=next]")
        name = following and from_root(name, following["href"]).removesuffix(".html")


def from_root(name: str, url: str) -> str:
    """Return the path, from the site's root, of what a page of this name calls url."""
    path = urlsplit(url).path
    return normpath(join(dirname(name), path)) if path else f"{name}.html"


def is_local(url: str) -> bool:
    """Tell whether the address is one within the site."""
    parts = urlsplit(url)
    return not parts.scheme and not parts.netloc


def new_id(name: str, old: str = "") -> str:
    """Return what an id of a page is called in the joined page; without one, the page's start."""
    part = name.replace("/", "-")
    return f"{part}--{old}" if old else part


def new_address(name: str, url: str, names: list[str]) -> str | None:
    """Return what a link becomes; None if it leads to a part of the site that is not printed."""
    if not is_local(url):
        return url
    page = from_root(name, url).removesuffix(".html")
    return f"#{new_id(page, unquote(urlsplit(url).fragment))}" if page in names else None


def keep_punctuation(article: Tag) -> None:
    """Let no line begin with the comma or the full stop that follows a formula."""
    for formula in article.select("span.math"):
        text = formula.next_sibling
        if isinstance(text, NavigableString) and (mark := re.match(r"[^\w\s(\[–—]+", text)):
            text.replace_with(text[mark.end() :])
            formula.wrap(Tag(name="span", attrs={"class": "unbroken"})).append(mark[0])


def name_headings(article: Tag) -> None:
    """Give the id of each section to its heading, which may stand on the page after its start."""
    for section in article.select("section[id]"):
        heading = section.find(re.compile("^h[1-6]$"), recursive=False)
        if heading is not None:
            heading["id"] = section["id"]
            del section["id"]


def stands_below(name: str, names: list[str]) -> bool:
    """Tell whether a page is one of a chapter, whose first page stands before it."""
    first = f"{dirname(name)}/index"
    return dirname(dirname(name)) != "" and name != first and first in names


def lower_headings(article: Tag) -> None:
    """Make the title of a page a section of its chapter, and its sections that much smaller."""
    for level in range(5, 0, -1):
        for heading in article.select(f"h{level}"):
            heading.name = f"h{level + 1}"


def part(name: str, page: BeautifulSoup, names: list[str]) -> Tag:
    """Return the article of a page, made ready to stand beside the others."""
    article = page.select_one("article")
    if article is None:
        raise ValueError(f"{name}.html has no article")
    for element in article.select(NOT_PRINTED):
        element.decompose()
    for fold in article.select("details.folded"):
        fold.unwrap()
    seen = set()
    for element in article.select("[id]"):
        if element["id"] in seen:  # the first is the one that links reach
            del element["id"]
        else:
            seen.add(element["id"])
            element["id"] = new_id(name, element["id"])
    for attribute in POINT_TO_IDS:
        for element in article.select(f"[{attribute}]"):
            value = element[attribute]
            old = value.split() if isinstance(value, str) else value
            element[attribute] = " ".join(new_id(name, one) for one in old)
    for link in article.select("a[href]"):
        address = new_address(name, link["href"], names)
        if address is None:
            link.unwrap()
        else:
            link["href"] = address
    for element in article.select("[src]"):
        del element["loading"]  # all is printed at once
        if is_local(element["src"]):
            element["src"] = from_root(name, element["src"])
    name_headings(article)
    if stands_below(name, names):
        lower_headings(article)
    keep_punctuation(article)
    article["id"] = new_id(name)
    return article


def headings(article: Tag) -> Iterator[Entry]:
    """Yield the title and the sections of an article for the contents."""
    for heading in article.select("h1[id], h2[id]"):
        title = heading.decode_contents().strip()
        yield Entry(int(heading.name[1]), heading["id"], title)


def head(name: str, page: BeautifulSoup) -> str:
    """Return a page's style sheets and its MathJax, named from the site's root."""
    kept = []
    for element in page.select("head link[rel=stylesheet], head script"):
        address = element.get("href") or element.get("src") or ""
        if element.name == "script" and "mathjax" not in (address + element.text).lower():
            continue
        for attribute in ("href", "src"):
            if element.has_attr(attribute) and is_local(element[attribute]):
                element[attribute] = from_root(name, element[attribute])
        kept.append(str(element))
    return "\n".join(kept)


def contents(entries: list[Entry]) -> str:
    """Return the table of contents, the places of the page numbers being empty."""
    lines = "\n".join(
        f'<li class="level-{entry.level}"><a href="#{entry.target}">'
        f'<span class="heading">{entry.title}</span><span class="page"></span></a></li>'
        for entry in entries
    )
    return f'<nav class="edition-contents"><h1>Contents</h1><ul>{lines}</ul></nav>'


def joined(site: Path, first: str, title: str, front: str, style: str) -> str:
    """Return one HTML page made of all pages of a site.

    Parameters
    ----------
    site
        The folder of the built site; the page must be read from there.
    first
        Name of the first page, such as ``book/index``.
    title
        The document's title.
    front
        HTML of what stands before the contents.
    style
        Style sheet for print.
    """
    pages = dict(reading_order(site, first))
    shared = head(first, pages[first])
    articles = [part(name, page, list(pages)) for name, page in pages.items()]
    entries = [entry for article in articles for entry in headings(article)]
    body = "\n".join(map(str, articles)).replace("✅", "✓")  # few fonts have the first
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light">
<head><meta charset="utf-8"><title>{title}</title>
{shared}
<style>{style}</style></head>
<body class="edition"><div class="bd-content"><main class="bd-article-container">
{front}
{contents(entries)}
{body}
</main></div></body></html>
"""

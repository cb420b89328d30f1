"""Tell which links of a built site lead nowhere."""

from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup


@cache
def parsed(path: Path) -> BeautifulSoup:
    """Return the parsed page."""
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


@cache
def anchors(path: Path) -> frozenset[str]:
    """Return the names that a link to this page may carry after the #."""
    return frozenset(tag["id"] for tag in parsed(path).find_all(id=True))


def links(path: Path) -> list[str]:
    """Return the addresses that the page names: links, scripts, styles, pictures."""
    tags = parsed(path).select("a[href], link[href], script[src], img[src]")
    return [tag.get("href") or tag.get("src") for tag in tags]


def broken(path: Path, folders: bool = False) -> list[str]:
    """Return the page's links that lead to no file or no place of this site.

    With ``folders`` a folder stands for the page ``index.html`` in it, as a host shows it.
    """
    problems, places = [], []
    for link in links(path):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue  # elsewhere: nothing is loaded from there, and nobody can vouch for it
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if folders and target.is_dir():
            target /= "index.html"
        if not target.is_file():
            problems.append(f"{path.name}: {link} is no file")
        elif target.suffix == ".html" and parts.fragment:
            places.append((link, target, unquote(parts.fragment)))
    problems += [
        f"{path.name}: {link} is no place on that page"
        for link, target, place in places
        if place not in anchors(target)
    ]
    return problems

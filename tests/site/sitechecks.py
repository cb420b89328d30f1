"""What the built site must fulfil: executed notebooks and HTML pages against the sources."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode

from bookmodel import Book
from bookparse import Page

# A page is made for 75 seconds on two idle cores of the reference machine (`execution.pace` tells
# how much slower this one is). In a build two pages share the cores, which takes twice as long, and
# machines have their moods: half as much again.
MOST_SECONDS = 3 * 75
LEFTOVERS = re.compile(r"\?\?|\{(?:glue|numref|ref|eq|cite|prf|doc)[:\w]*\}|\bWARNING\b")


@dataclass(frozen=True)
class Site:
    """The sources and what was built from them, by the page's name without its ending.

    Names are paths from the folder book, such as 02-linucb/the-arena.
    """

    book: Book
    notebooks: dict[str, NotebookNode] = field(default_factory=dict)
    glued: dict[str, set[str]] = field(default_factory=dict)  # keys that the page's cells glue
    html: dict[str, BeautifulSoup] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # that the page's cells took
    pace: float = 1.0  # how many times as long as on the reference machine they take here


def load_site(root: Path, book: Book) -> Site:
    """Read _build; what is missing there is reported by the checks."""
    executed = root / "_build" / "jupyter_execute" / "book"
    html = root / "_build" / "html" / "book"
    record = root / "_build" / "execution.json"
    ran = json.loads(record.read_text("utf-8")) if record.exists() else {"pages": {}, "pace": 1.0}

    def by_name(folder: Path, ending: str) -> dict[str, Path]:
        return {
            path.relative_to(folder).as_posix().removesuffix(ending): path
            for path in folder.rglob(f"*{ending}")
        }

    return Site(
        book,
        notebooks={
            name: nbformat.read(path, as_version=4)
            for name, path in by_name(executed, ".ipynb").items()
        },
        glued={
            name: set(json.loads(path.read_text("utf-8")))
            for name, path in by_name(executed, ".glue.json").items()
        },
        html={
            name: BeautifulSoup(path.read_text("utf-8"), "html.parser")
            for name, path in by_name(html, ".html").items()
        },
        seconds={name.removeprefix("book/"): of["seconds"] for name, of in ran["pages"].items()},
        pace=ran["pace"],
    )


def _stem(page: Page) -> str:
    return page.name.removesuffix(".md")


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _outputs(site: Site) -> Iterator[tuple[str, NotebookNode, NotebookNode]]:
    for name, notebook in site.notebooks.items():
        for cell in _code(notebook):
            for output in cell.outputs:
                yield name, cell, output


def check_executed(site: Site) -> list[str]:
    """Every page with cells has its notebook, with exactly its cells, each of them executed."""
    problems = []
    for page in site.book.pages:
        if not page.cells:
            continue
        if _stem(page) not in site.notebooks:
            problems.append(f"{page.name}: no executed notebook")
            continue
        cells = _code(site.notebooks[_stem(page)])
        if [cell.source.strip() for cell in cells] != [cell.source.strip() for cell in page.cells]:
            problems.append(f"{page.name}: the executed notebook has other cells than the page")
        problems += [
            f"{page.name}: cell {n} was not executed"
            for n, cell in enumerate(cells)
            if cell.source.strip() and cell.execution_count is None
        ]
    return problems


def check_seconds(site: Site) -> list[str]:
    """The build has a record of every page with cells, and none took too long to wait for."""
    problems = []
    for page in site.book.pages:
        if not page.cells:
            continue
        took = site.seconds.get(_stem(page))
        if took is None:
            problems.append(f"{page.name}: no record of its execution")
        elif took > MOST_SECONDS * max(site.pace, 1.0):
            problems.append(f"{page.name}: executed in {took:.0f} seconds: divide it")
    return problems


def check_outputs(site: Site) -> list[str]:
    """No cell failed or wrote to stderr, and no picture is one that the comparison skips."""
    problems = []
    for name, _, output in _outputs(site):
        if output.output_type == "error":
            problems.append(f"{name}: a cell failed with {output.ename}")
        if output.get("name") == "stderr":
            problems.append(f"{name}: a cell wrote to stderr: {output.text[:80]!r}")
        if {"image/png", "image/jpeg"} & set(output.get("data", {})):
            problems.append(f"{name}: a picture that is not SVG is not compared")
    return problems


def check_claims_silent(site: Site) -> list[str]:
    """A claim asserts and says nothing."""
    return [
        f"{name}: a claim cell has output"
        for name, cell, _ in _outputs(site)
        if "claim" in cell.metadata.get("tags", [])
    ]


def check_figures_drawn(site: Site) -> list[str]:
    """Every figure cell made exactly one SVG, and the cell of a numbered table one table."""
    problems = []
    for name, notebook in site.notebooks.items():
        for n, cell in enumerate(_code(notebook)):
            if "figure" not in cell.metadata.get("mystnb", {}):
                continue
            is_table = str(cell.metadata["mystnb"]["figure"].get("name")).startswith("tab-")
            kind, what = ("text/html", "tables") if is_table else ("image/svg+xml", "SVG pictures")
            made = sum(kind in out.get("data", {}) for out in cell.outputs)
            if made != 1:
                problems.append(f"{name}: figure cell {n} made {made} {what}")
    return problems


def check_glue_used(site: Site) -> list[str]:
    """Every glued value is used in the prose of its page, and nothing else is."""
    problems = []
    for page in site.book.pages:
        used = {role.target for role in page.roles if role.name.startswith("glue")}
        used |= {block.argument for block in page.directives("glue:figure", "glue:math", "glue:md")}
        glued = site.glued.get(_stem(page), set())
        problems += [f"{page.name}: {key} is glued and never used" for key in sorted(glued - used)]
        problems += [f"{page.name}: {key} is used and never glued" for key in sorted(used - glued)]
    return problems


def _content(html: BeautifulSoup) -> Tag:
    return html.find("article") or html


def check_pages(site: Site) -> list[str]:
    """Every page of the sources was built, with one h1."""
    problems = []
    for page in site.book.pages:
        html = site.html.get(_stem(page))
        if html is None:
            problems.append(f"{page.name}: not built")
        elif len(_content(html).find_all("h1")) != 1:
            problems.append(f"{page.name}: {len(_content(html).find_all('h1'))} h1 headings")
    return problems


def check_alternative_text(site: Site) -> list[str]:
    """Every image in the content has an alternative text that is not its file's name."""
    return [
        f"{name}: {image.get('src')} has no alternative text"
        for name, html in site.html.items()
        for image in _content(html).find_all("img")
        if not (alt := (image.get("alt") or "").strip())
        or alt.endswith((".svg", ".png"))
        or alt == image.get("src")
    ]


def check_leftovers(site: Site) -> list[str]:
    """No unresolved reference, raw role or warning stands in a page."""
    problems = []
    for name, html in site.html.items():
        content = BeautifulSoup(str(_content(html)), "html.parser")  # a copy, to cut from
        for message in content.select(".system-message, .problematic"):
            problems.append(f"{name}: {message.get_text(' ', strip=True)[:80]!r}")
        for tag in content.select("pre, code.literal, .math, script"):
            tag.decompose()
        for match in LEFTOVERS.finditer(content.get_text(" ")):
            problems.append(f"{name}: {match.group()!r} is left in the page")
    return problems


def check_own_host(site: Site) -> list[str]:
    """No page loads a script, a style, a picture or a font from another host."""
    problems = []
    for name, html in site.html.items():
        for tag in html.select("script[src], img[src], iframe[src], link[href]"):
            address = tag.get("src") or tag.get("href") or ""
            if tag.name == "link" and "canonical" in (tag.get("rel") or []):
                continue  # names the page, loads nothing
            if re.match(r"(?:https?:)?//", address):
                problems.append(f"{name}: loads {address}")
    return problems


SITE_CHECKS: list[Callable[[Site], list[str]]] = [
    check_executed,
    check_seconds,
    check_outputs,
    check_claims_silent,
    check_figures_drawn,
    check_glue_used,
    check_pages,
    check_alternative_text,
    check_leftovers,
    check_own_host,
]

"""Turn a built page into plain Markdown between its code cells.

The page says what only the build knows: glued numbers, numbers of sections, results, figures and
equations, what references and citations name. From it any reader of notebooks gets the same text,
without an extension. Formulas are dollars and TeX again, boxes are paragraphs with a bold title.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, NavigableString, Tag
from bs4.element import PreformattedString

from playground import ELSEWHERE

SKIPPED = "a.headerlink, button, script, style, .toctree-wrapper, p.verified, .opening .seconds"
BOXES = ".proof, .exercise, .solution, .admonition"
TITLE = re.compile(r"^h([1-6])$")
SPECIAL = re.compile(r"([\\`*_\[\]<$])")
# Sphinx wraps every formula of several lines, also one that says itself how they stand.
NEEDLESS = re.compile(r"^\\begin\{split\}\s*(\\begin\{aligned\}.*)\\end\{split\}$", re.DOTALL)
BLOCKS = {
    "p",
    "div",
    "section",
    "dl",
    "ul",
    "ol",
    "table",
    "figure",
    "details",
    "blockquote",
    "pre",
}
BLOCKS |= {"h1", "h2", "h3", "h4", "h5", "h6", "hr", "aside", "main", "article"}
MARKS = {"em": "*", "i": "*", "strong": "**", "b": "**"}


@dataclass(frozen=True)
class CodeCell:
    """The place of a code cell, and the caption of the figure or table that it makes."""

    caption: str = ""


def escaped(text: str) -> str:
    """Return the text with what Markdown would take for a mark."""
    return SPECIAL.sub(r"\\\1", re.sub(r"\s+", " ", text))


def formula(tag: Tag) -> str:
    """Return the TeX of a formula, without what marks it in the page."""
    text = "".join(
        string for string in tag.find_all(string=True) if not string.find_parent(class_="eqno")
    )
    tex = re.sub(r"^\s*\\[(\[]|\\[)\]]\s*$", "", text).strip()
    return NEEDLESS.sub(r"\1", tex)


def code(text: str) -> str:
    """Return code within a line."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


class Writer:
    """Writes the content of one page.

    Parameters
    ----------
    address
        Turns the address of a link on the page into the one that the notebook shows.
    """

    def __init__(self, address: Callable[[str], str]) -> None:
        self.address = address

    def line(self, node: Tag | NavigableString) -> str:
        """Return what stands within a paragraph."""
        if isinstance(node, PreformattedString):
            return ""  # a comment
        if isinstance(node, NavigableString):
            return escaped(node)
        if node.name == "img":
            return f"![{escaped(node.get('alt', ''))}]({self.address(node['src'])})"
        if node.name == "br":
            return "<br>"
        if "math" in node.get("class", []):
            tex = re.sub(r"\s+", " ", formula(node))
            return f"$${tex}$$" if node.name == "div" else f"${tex}$"
        if node.name in ("code", "tt") or "literal" in node.get("class", []):
            return code(node.get_text())
        inner = "".join(map(self.line, node.children))
        if node.name == "a" and node.get("href"):
            before, text, after = re.match(r"(\s*)(.*?)(\s*)$", inner, re.DOTALL).groups()
            return f"{before}[{text}]({self.address(node['href'])}){after}" if text else inner
        if mark := MARKS.get(node.name):
            before, text, after = re.match(r"(\s*)(.*?)(\s*)$", inner, re.DOTALL).groups()
            return f"{before}{mark}{text}{mark}{after}" if text else inner
        return inner

    def paragraph(self, node: Tag) -> str:
        """Return a line of its own, which begins with no mark of a block."""
        text = self.line(node).strip()
        return re.sub(r"^(\d*)([.)]\s|[-+=#>])", lambda m: f"{m[1]}\\{m[2]}", text)

    def blocks(self, node: Tag) -> Iterator[str | CodeCell]:
        """Yield the blocks of what a node holds; loose text between blocks is a paragraph."""
        loose: list[Tag | NavigableString] = []

        def rest() -> Iterator[str]:
            text = "".join(map(self.line, loose)).strip()
            loose.clear()
            if text:
                yield text

        for child in node.children:
            if isinstance(child, Tag) and child.name in BLOCKS:
                yield from rest()
                yield from self.block(child)
            else:
                loose.append(child)
        yield from rest()

    def block(self, node: Tag) -> Iterator[str | CodeCell]:
        """Yield what one block becomes."""
        classes = set(node.get("class", []))
        if "cell" in classes:
            caption = node.select_one("figcaption, caption:has(.caption-number)")
            yield CodeCell("" if caption is None else self.caption(caption))
        elif "playground" in classes:
            yield f"*{ELSEWHERE}*"
        elif heading := TITLE.match(node.name):
            yield f"{'#' * int(heading[1])} {self.line(node).strip()}"
        elif node.name == "p":
            if text := self.paragraph(node):
                yield text
        elif node.name == "div" and "math" in classes:
            yield self.display(node)
        elif node.name == "pre" or any(name.startswith("highlight") for name in classes):
            yield self.listing(node)
        elif node.name in ("ul", "ol"):
            yield from self.list(node)
        elif node.name == "dl":
            yield from self.definitions(node)
        elif node.name == "table":
            yield from self.table(node)
        elif node.name == "figure":
            yield from self.figure(node)
        elif node.name == "blockquote":
            yield "\n".join(f"> {row}".rstrip() for row in self.joined(node).splitlines())
        elif node.name == "hr":
            yield "---"
        elif node.select_one(":scope > .admonition-title") and node.name != "details":
            yield from self.box(node)
        elif classes & {"proof"}:
            yield from self.proof(node)
        elif node.name == "details":
            for summary in node.find_all("summary", recursive=False):
                summary.extract()
            yield from self.blocks(node)
        else:
            yield from self.blocks(node)

    def joined(self, node: Tag) -> str:
        """Return the blocks of a node that holds no code cell as one text."""
        return "\n\n".join(block for block in self.blocks(node) if isinstance(block, str))

    def box(self, node: Tag) -> Iterator[str | CodeCell]:
        """Yield a result, an exercise, a solution or a note: its title in bold, then the rest."""
        title = node.select_one(":scope > .admonition-title").extract()
        text = re.sub(r"\s+", " ", "".join(map(self.line, title.children))).strip()
        yield f"**{text}.**"
        yield from self.blocks(node)

    def proof(self, node: Tag) -> Iterator[str | CodeCell]:
        """Yield a proof, its first word set apart."""
        for block in self.blocks(node):
            yield re.sub(r"^Proof\. ?", "*Proof.* ", block) if isinstance(block, str) else block

    def display(self, node: Tag) -> str:
        """Return a formula on lines of its own, with its number."""
        number, tex = node.select_one(".eqno"), formula(node)
        label = "" if number is None else re.sub(r"[()\s]", "", number.get_text())
        rows = ("begin{align", "begin{gather", "begin{multline", "begin{equation")
        if not label:
            return f"$$\n{tex}\n$$"
        if tex.lstrip("\\").startswith(rows):
            return f"$$\n{tex}\n$$\n\n({label})"
        return f"$$\n{tex}\n\\tag{{{label}}}\n$$"

    def listing(self, node: Tag) -> str:
        """Return code on lines of its own."""
        text = node.get_text().strip("\n")
        language = next(
            (
                name.removeprefix("highlight-")
                for name in node.get("class", [])
                if name.startswith("highlight-")
            ),
            "",
        )
        language = {"default": "", "ipython3": "python", "none": "", "text": ""}.get(
            language, language
        )
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
        return f"{fence}{language}\n{text}\n{fence}"

    def list(self, node: Tag) -> Iterator[str]:
        """Yield a list; what an item holds beside its first line is indented below it."""
        items = []
        for n, item in enumerate(node.find_all("li", recursive=False), int(node.get("start", 1))):
            mark = f"{n}." if node.name == "ol" else "-"
            rows = self.joined(item).splitlines() or [""]
            indent = " " * (len(mark) + 1)
            items.append(
                "\n".join([f"{mark} {rows[0]}", *(f"{indent}{r}".rstrip() for r in rows[1:])])
            )
        yield "\n".join(items)

    def definitions(self, node: Tag) -> Iterator[str]:
        """Yield each term in bold, before what it stands for."""
        for term in node.find_all("dt", recursive=False):
            meant = term.find_next_sibling("dd")
            text = "" if meant is None else self.joined(meant)
            end = "" if self.line(term).strip().endswith((":", "?", ".")) else ":"
            yield f"**{self.line(term).strip()}{end}** {text}"

    def table(self, node: Tag) -> Iterator[str]:
        """Yield the caption of a table and its rows."""
        if caption := node.find("caption"):
            yield self.caption(caption)
        rows = [
            [self.cell(cell) for cell in row.find_all(["th", "td"], recursive=False)]
            for row in node.find_all("tr")
        ]
        width = max(map(len, rows), default=0)
        if not node.select("thead tr"):
            rows.insert(0, [""] * width)
        lines = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in rows]
        yield "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])

    def cell(self, node: Tag) -> str:
        """Return a cell of a table on one line, in which nothing ends the cell."""
        text = re.sub(r"\s*\n\s*", " ", self.joined(node))
        parts = re.split(r"(\$[^$]+\$)", text)
        parts[1::2] = [
            re.sub(r"\\\|", r"\\Vert ", part).replace("|", r"\vert ") for part in parts[1::2]
        ]
        parts[::2] = [re.sub(r"(?<!\\)\|", r"\\|", part) for part in parts[::2]]
        return "".join(parts)

    def figure(self, node: Tag) -> Iterator[str]:
        """Yield a picture and its caption."""
        for image in node.select("img"):
            yield self.line(image)
        if caption := node.find("figcaption"):
            yield self.caption(caption)

    def caption(self, node: Tag) -> str:
        """Return a caption, its number in bold."""
        number = node.select_one(".caption-number")
        label = "" if number is None else f"**{escaped(number.extract().get_text()).strip()}.** "
        text = re.sub(r"\s+", " ", self.line(node)).strip()
        return f"{label}{text}"


def pieces(article: Tag, address: Callable[[str], str]) -> list[str | CodeCell]:
    """Return a page's text and the places of its code cells, in the order of the page.

    Parameters
    ----------
    article
        The content of a page; it stays as it is.
    address
        Turns the address of a link on the page into the one that the notebook shows.
    """
    copy = BeautifulSoup(str(article), "html.parser")
    for element in copy.select(SKIPPED):
        element.decompose()
    found: list[str | CodeCell] = []
    for block in Writer(address).blocks(copy):
        if isinstance(block, str) and found and isinstance(found[-1], str):
            found[-1] += f"\n\n{block}"
        else:
            found.append(block)
    return found


def led_from(page: str, base: str) -> Callable[[str], str]:
    """Return how links of a page are written elsewhere.

    Parameters
    ----------
    page
        The page's own address within the site, such as ``book/one.html``.
    base
        Where the site is: its public address, or the way there from the folder of the notebook.
    """

    def address(link: str) -> str:
        if urlsplit(link).scheme or link.startswith("//"):
            return link
        found = urljoin(f"/{page}", link).lstrip("/")
        return f"{base}{found}".replace(" ", "%20").replace(")", "%29").replace("(", "%28")

    return address

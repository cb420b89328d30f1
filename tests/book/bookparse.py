"""Read the book's MyST sources into pages, cells, directives, roles and prose.

The Markdown grammar is myst-parser's own, so that the checks see what the book's build sees. Only
the nesting of directives is followed here, because Sphinx normally does that while it builds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser

EXTENSIONS = {"amsmath", "colon_fence", "deflist", "dollarmath"}  # as in _config.yml
# Directives whose body is not prose.
VERBATIM = {"code-cell", "code", "code-block", "sourcecode", "literalinclude", "math", "raw"}
VERBATIM |= {"bibliography", "toctree", "eval-rst", "glue", "glue:any", "glue:math", "glue:md"}
GAP = "\ufffc"  # stands in prose where code, mathematics, a role or a link stood

_DIRECTIVE = re.compile(r"\{([\w:+.-]+)\}\s*(.*)")
_OPTION = re.compile(r":([\w-]+):\s*(.*)")


@dataclass(frozen=True)
class Directive:
    """One directive with the names of those around it."""

    name: str
    argument: str
    options: dict[str, Any]
    body: str
    line: int
    inside: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The label that others refer to, or an empty string."""
        return str(self.options.get("label") or self.options.get("name") or "")


@dataclass(frozen=True)
class Cell:
    """One code cell."""

    source: str
    options: dict[str, Any]
    line: int
    inside: tuple[str, ...] = ()

    @property
    def tags(self) -> set[str]:
        """The cell's tags."""
        return set(self.options.get("tags") or ())

    @property
    def numbered(self) -> dict[str, Any] | None:
        """The options of the figure or the table that the cell makes, or None."""
        return (self.options.get("mystnb") or {}).get("figure")

    @property
    def table(self) -> dict[str, Any] | None:
        """The options of the numbered table that the cell returns, or None."""
        is_table = str((self.numbered or {}).get("name")).startswith("tab-")
        return self.numbered if is_table else None

    @property
    def figure(self) -> dict[str, Any] | None:
        """The figure's options with the alternative text as `alt`, or None."""
        if self.numbered is None or self.table is not None:
            return None
        alt = (self.options["mystnb"].get("image") or {}).get("alt")
        return {**self.numbered, "alt": alt}


@dataclass(frozen=True)
class Role:
    """One role, such as {numref}`fig-shop`."""

    name: str
    target: str
    line: int


@dataclass(frozen=True)
class Prose:
    """One run of text, without its code, mathematics, roles and links."""

    text: str
    roles: tuple[Role, ...]
    line: int
    inside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Heading:
    """One heading of the page itself."""

    level: int
    text: str
    line: int


@dataclass
class Page:
    """One source page, its parts in reading order."""

    name: str
    text: str
    front_matter: dict[str, Any] = field(default_factory=dict)
    parts: list[Directive | Cell | Prose] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    labels: list[tuple[str, int]] = field(default_factory=list)  # with their lines
    images: list[int] = field(default_factory=list)  # lines of plain Markdown images
    html: list[int] = field(default_factory=list)  # lines of raw HTML

    def _of(self, kind: type) -> list[Any]:
        return [part for part in self.parts if isinstance(part, kind)]

    @property
    def cells(self) -> list[Cell]:
        """All code cells."""
        return self._of(Cell)

    @property
    def prose(self) -> list[Prose]:
        """All runs of text, captions and alternative texts among them."""
        return self._of(Prose)

    @property
    def roles(self) -> list[Role]:
        """All roles."""
        return [role for prose in self.prose for role in prose.roles]

    def directives(self, *names: str) -> list[Directive]:
        """Return the directives of these names."""
        return [part for part in self._of(Directive) if part.name in names]

    def at(self, line: int) -> str:
        """Return a place for a message."""
        return f"{self.name}:{line}"


_PARSER = create_md_parser(MdParserConfig(enable_extensions=EXTENSIONS), RendererHTML)


def parse_page(name: str, text: str) -> Page:
    """Parse one page; `name` is what messages call it."""
    page = Page(name, text)
    _walk(page, text, first_line=1, inside=())
    return page


def read_book(folder: Path) -> list[Page]:
    """Parse every page below the folder, in the order of their names."""
    return [
        parse_page(path.relative_to(folder).as_posix(), path.read_text("utf-8"))
        for path in sorted(folder.rglob("*.md"))
    ]


def _walk(page: Page, text: str, first_line: int, inside: tuple[str, ...]) -> None:
    tokens = _PARSER.parse(text)
    for n, token in enumerate(tokens):
        line = first_line + (token.map[0] if token.map else 0)
        if token.type == "front_matter":
            page.front_matter = yaml.safe_load(token.content) or {}
        elif token.type in ("fence", "colon_fence"):
            _directive(page, token, line, inside)
        elif token.type == "heading_open":
            page.headings.append(Heading(int(token.tag[1]), tokens[n + 1].content, line))
        elif token.type == "math_block_label":
            page.labels.append((token.info, line))
        elif token.type == "myst_target":
            page.labels.append((token.content, line))
        elif token.type == "inline":
            page.parts.append(_prose(page, token, line, inside))
        elif token.type == "html_block" and not token.content.lstrip().startswith("<!--"):
            page.html.append(line)


def _directive(page: Page, token: Token, line: int, inside: tuple[str, ...]) -> None:
    match = _DIRECTIVE.match(token.info.strip())
    if match is None:
        return  # an ordinary block of code
    name, argument = match.group(1), match.group(2).strip()
    options, body, skipped = split_options(token.content)
    if name == "code-cell":
        page.parts.append(Cell(body, options, line, inside))
        figure = page.cells[-1].figure or page.cells[-1].table or {}
        if "name" in figure:
            page.labels.append((figure["name"], line))
        for key in ("caption", "alt"):
            _walk(page, str(figure.get(key) or ""), line, (*inside, "figure"))
        return
    page.parts.append(Directive(name, argument, options, body, line, inside))
    if label := page.parts[-1].label:
        page.labels.append((label, line))
    if "alt" in options:
        _walk(page, str(options["alt"]), line, (*inside, name))
    if name.startswith(("prf:", "exercise", "admonition")) and argument:
        _walk(page, argument, line, (*inside, name))
    if name not in VERBATIM:
        _walk(page, body, line + 1 + skipped, (*inside, name))


def split_options(content: str) -> tuple[dict[str, Any], str, int]:
    """Split a directive's content into its options, its body and the number of lines skipped."""
    lines = content.splitlines()
    if lines and lines[0].strip() == "---":
        end = next((n for n in range(1, len(lines)) if lines[n].strip() == "---"), len(lines))
        options = yaml.safe_load("\n".join(lines[1:end])) or {}
        skipped = end + 1
    else:
        options, skipped = {}, 0
        for line in lines:
            match = _OPTION.fullmatch(line.strip())
            if match is None:
                break
            options[match.group(1)] = _value(match.group(2))
            skipped += 1
    while skipped < len(lines) and not lines[skipped].strip():
        skipped += 1
    return options, "\n".join(lines[skipped:]).rstrip(), skipped


def _value(text: str) -> Any:  # noqa: ANN401 - an option may be any YAML value
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _prose(page: Page, token: Token, line: int, inside: tuple[str, ...]) -> Prose:
    text, roles, depth = [], [], 0
    for child in token.children or ():
        if child.type == "link_open":
            depth += 1
        elif child.type == "link_close":
            depth -= 1
            text.append(GAP)
        elif child.type == "myst_role":
            name = child.meta["name"]
            roles.append(Role(name, _target(name, child.content), line))
            text.append(GAP)
        elif child.type == "image":
            page.images.append(line)
        elif child.type == "html_inline" and not child.content.startswith("<!--"):
            page.html.append(line)
        elif child.type == "text" and depth == 0:
            text.append(child.content)
        elif child.type in ("softbreak", "hardbreak"):
            text.append(" ")
        elif child.type not in ("text", "strong_open", "strong_close", "em_open", "em_close"):
            text.append(GAP)
    return Prose("".join(text), tuple(roles), line, inside)


def _target(name: str, content: str) -> str:
    """Return what a role refers to: {ref}`the text <label>` gives label."""
    match = re.fullmatch(r".*<([^<>]+)>", content, flags=re.DOTALL)
    target = match.group(1) if match else content
    return target.split(":")[0] if name.startswith("glue") else target.strip()


def cite_keys(page: Page) -> Iterator[tuple[str, int]]:
    """Yield every key that the page cites, with its line."""
    for role in page.roles:
        if role.name == "cite" or role.name.startswith("cite:"):
            for key in role.target.split(","):
                yield key.strip(), role.line

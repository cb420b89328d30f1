"""What a page asks, what comes out and what it costs; and a map of a chapter made of these.

The directive ``opening`` stands below a page's title and holds two paragraphs: the question, and
what comes out. A third line, the cost, is computed: minutes of reading from the page's words, and
the seconds that its cells took when the book was built. The directive ``chapter-map`` stands on a
chapter's first page and lists the chapter's pages with what each asks.
"""

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

LABELS = ("The question", "What comes out", "What it costs")
WORDS_A_MINUTE = 200
DISPLAYED, INLINE = 25, 2  # words whose reading takes as long as that of a formula
WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
NOT_READ = (nodes.literal_block, nodes.comment, nodes.raw, nodes.substitution_definition)
MINUTES = "reading_minutes"  # in env.metadata, which Sphinx itself merges and purges
HAS_MAP = "chapter_map"


class cost(nodes.Invisible, nodes.General, nodes.Element):
    """The place of a page's third line."""


class chapter_map(nodes.Invisible, nodes.General, nodes.Element):
    """The place of the list of a chapter's pages."""


class Opening(SphinxDirective):
    """``opening``: two paragraphs, the question and what comes out."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the list of three lines, the last one open."""
        parsed = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, parsed)
        if len(parsed) != 2 or not all(isinstance(part, nodes.paragraph) for part in parsed):
            message = "an opening has two paragraphs: the question, and what comes out"
            raise self.error(message)
        lines = nodes.definition_list(classes=["opening"])
        for label, part in zip(LABELS, [*parsed, cost()], strict=True):
            body = nodes.definition("", part)
            lines += nodes.definition_list_item("", nodes.term(text=label), body)
        return [lines]


class ChapterMap(SphinxDirective):
    """``chapter-map``: no argument and no content."""

    def run(self) -> list[nodes.Node]:
        """Return the place of the list, which is filled when every page has been read."""
        self.env.metadata[self.env.docname][HAS_MAP] = True
        return [chapter_map()]


def is_read(node: nodes.Node) -> bool:
    """Tell whether a reader goes through the node: code, outputs and solutions are left out."""
    classes = node.get("classes", []) if isinstance(node, nodes.Element) else []
    return not isinstance(node, NOT_READ) and not {"cell", "solution"} & set(classes)


def n_words(node: nodes.Node) -> int:
    """Return how many words the reading of a node takes as long as."""
    if isinstance(node, nodes.math_block):
        return DISPLAYED
    if isinstance(node, nodes.math):
        return INLINE
    if isinstance(node, nodes.Text):
        return len(WORD.findall(node))
    return sum(n_words(child) for child in node.children if is_read(child))


def minutes(words: int) -> int:
    """Return the minutes of reading, rounded, at least one."""
    return max(1, round(words / WORDS_A_MINUTE))


def note_minutes(app: Sphinx, doctree: nodes.document) -> None:
    """Keep how long the reading of a page takes."""
    app.env.metadata[app.env.docname][MINUTES] = minutes(n_words(doctree))


def counted(number: float, unit: str) -> str:
    """Return the number with its unit, in the plural unless it is one."""
    return f"{number:.0f} {unit}{'' if round(number) == 1 else 's'}"


def runtime(env: BuildEnvironment, docname: str) -> float | None:
    """Return the seconds that a page's cells took, or None where it has none."""
    return getattr(env, "nb_metadata", {}).get(docname, {}).get("exec_data", {}).get("runtime")


def cost_line(env: BuildEnvironment, docname: str) -> nodes.paragraph:
    """Return the line that tells what a page costs."""
    line = nodes.paragraph("", f"About {counted(env.metadata[docname][MINUTES], 'minute')} to read")
    if (seconds := runtime(env, docname)) is not None:
        run = f", and {counted(max(1, seconds), 'second')} of computing when the book was built"
        line += nodes.inline("", run, classes=["seconds"])
    line += nodes.Text(".")
    return line


def pages_below(env: BuildEnvironment, docname: str) -> Iterator[str]:
    """Yield the pages of a chapter in the order of the contents."""
    for child in env.toctree_includes.get(docname, []):
        yield child
        yield from pages_below(env, child)


def question(env: BuildEnvironment, docname: str, into: str) -> nodes.paragraph | None:
    """Return a copy of what a page asks, its references to be resolved from another page."""
    for lines in env.get_doctree(docname).findall(nodes.definition_list):
        if "opening" in lines["classes"]:
            asked = next(lines.findall(nodes.paragraph)).deepcopy()
            for reference in asked.findall(addnodes.pending_xref):
                reference["refdoc"] = into
            return asked
    return None


def map_entry(env: BuildEnvironment, docname: str, into: str) -> nodes.list_item:
    """Return one page's place in the map: number and title as a link, minutes, question."""
    title = env.titles[docname]
    number = ".".join(map(str, title.get("secnumber") or ()))
    link = addnodes.pending_xref(
        "", refdomain="std", reftype="doc", reftarget=f"/{docname}", refdoc=into, refexplicit=True
    )
    link += nodes.inline(
        "", f"{number} " if number else "", *(c.deepcopy() for c in title.children)
    )
    time = counted(env.metadata[docname][MINUTES], "minute")
    head = nodes.paragraph("", "", link, nodes.Text(" "), nodes.inline("", time, classes=["time"]))
    asked = question(env, docname, into)
    return nodes.list_item("", *([head] if asked is None else [head, asked]))


class FillIn(SphinxPostTransform):
    """Write what is known only when every page has been read, before references are resolved."""

    default_priority = 5

    def run(self, **kwargs: object) -> None:
        """Fill in the cost of the page and the map of the chapter."""
        for place in list(self.document.findall(cost)):
            place.replace_self(cost_line(self.env, self.env.docname))
        for place in list(self.document.findall(chapter_map)):
            pages = list(pages_below(self.env, self.env.docname))
            entries = [map_entry(self.env, page, self.env.docname) for page in pages]
            total = sum(self.env.metadata[page][MINUTES] for page in pages)
            said = f"{counted(len(pages), 'page')}, about {counted(total, 'minute')} to read."
            place.replace_self(
                [
                    nodes.bullet_list("", *entries, classes=["chapter-map"]),
                    nodes.paragraph("", said, classes=["chapter-sum"]),
                ]
            )


def write_maps_again(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Return the pages with a map: any page that was read may have changed it."""
    return [name for name in env.found_docs if env.metadata[name].get(HAS_MAP)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the two directives and what completes them with Sphinx."""
    app.add_directive("opening", Opening)
    app.add_directive("chapter-map", ChapterMap)
    app.add_node(cost)
    app.add_node(chapter_map)
    app.add_post_transform(FillIn)
    app.connect("doctree-read", note_minutes)
    app.connect("env-get-updated", write_maps_again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

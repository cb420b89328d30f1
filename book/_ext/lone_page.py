"""Let ``jupyter-book build`` of one page's file work: the page's folder is then the whole book.

Paths of the configuration begin at the top of the repository. What the page names on other pages
is not there, nor is the bibliography: its name stands in the text, without a link.
"""

from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

from surroundings import ROOT


def is_lone(srcdir: str) -> bool:
    """Tell whether the sources are those of a page by itself, not of the book."""
    return Path(srcdir).resolve() != ROOT


def begin_at_the_top(app: Sphinx, config: Config) -> None:
    """Make the paths of the configuration whole."""
    if is_lone(app.srcdir):
        for name in ("html_static_path", "bibtex_bibfiles"):
            config[name] = [str(ROOT / path) for path in config[name]]
        config.html_favicon = str(ROOT / config.html_favicon)


class NameTheAbsent(SphinxPostTransform):
    """Write the name of a work or a result that is not on the page, before it is looked for."""

    default_priority = 4

    def run(self, **kwargs: object) -> None:
        """Replace the references."""
        if not is_lone(self.app.srcdir):
            return
        here = getattr(self.env, "proof_list", {})
        for reference in list(self.document.findall(pending_xref)):
            domain, target = reference.get("refdomain"), reference["reftarget"]
            if domain == "cite" or (domain == "prf" and target not in here):
                reference.replace_self(nodes.inline("", target))


def name_the_absent(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, shown: nodes.Node
) -> nodes.Node | None:
    """Return the text of a reference to another page."""
    return shown if is_lone(app.srcdir) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the paths and the references with Sphinx."""
    app.connect("config-inited", begin_at_the_top, priority=400)  # before they are looked for
    app.connect("missing-reference", name_the_absent)
    app.add_post_transform(NameTheAbsent)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Put MathJax 3 into the site, so that formulas need no other host.

The package sphinx-mathjax-offline carries the whole of MathJax (some 25 MB). Used as an extension
it would copy all of that into the site; a page needs one script, its TeX extensions and its fonts.
"""

from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile, copytree, ignore_patterns

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

SCRIPT = "tex-chtml.js"
FOLDERS = ("input/tex/extensions", "output/chtml/fonts/woff-v2")


def mathjax_folder() -> Path:
    """Return the folder of the installed package that holds MathJax."""
    spec = find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError("sphinx-mathjax-offline is not installed: see requirements.txt")
    return Path(spec.origin).parent / "static" / "mathjax"


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy what a page of formulas loads into the built site."""
    if error is not None or app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    copyfile(source / SCRIPT, target / SCRIPT)
    for folder in FOLDERS:
        copytree(
            source / folder,
            target / folder,
            dirs_exist_ok=True,
            ignore=ignore_patterns("all-packages.js"),
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the copying step with Sphinx."""
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

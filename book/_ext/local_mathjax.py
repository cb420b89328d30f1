"""Put MathJax 3 into the site, so that formulas need no other host.

The package sphinx-mathjax-offline carries the whole of MathJax (some 25 MB). Used as an extension
it would copy all of that into the site; a page needs the components named below, the TeX
extensions and the fonts. Browsers refuse fonts to a page that was opened as a file, so the fonts
come a second time as data in a script, which only such pages load (`book/_static/formulas.js`).
"""

import json
from base64 import b64encode
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile, copytree, ignore_patterns

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from written import write_text

# The start, and what it loads by the configuration `mathjax3_config` in _config.yml.
SCRIPTS = ("startup.js", "core.js", "input/tex.js", "output/chtml.js", "output/chtml/fonts/tex.js")
ASSISTIVE = "a11y/assistive-mml.js"  # formulas as MathML for screen readers
FONTS = "output/chtml/fonts/woff-v2"
FOLDERS = ("input/tex/extensions", FONTS)


def mathjax_folder() -> Path:
    """Return the folder of the installed package that holds MathJax."""
    spec = find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError("sphinx-mathjax-offline is not installed: see requirements.txt")
    return Path(spec.origin).parent / "static" / "mathjax"


def fonts_as_data(folder: Path) -> str:
    """Return a script that sets ``bookFonts`` to the fonts of the folder, as data by file name."""
    data = {
        path.name: "data:font/woff;base64," + b64encode(path.read_bytes()).decode()
        for path in sorted(folder.glob("*.woff"))
    }
    return f"window.bookFonts = {json.dumps(data, indent=0)};\n"


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy what a page of formulas loads into the built site."""
    if error is not None or app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir) / "_static" / "mathjax"
    for script in (*SCRIPTS, ASSISTIVE):
        (target / script).parent.mkdir(parents=True, exist_ok=True)
        copyfile(source / script, target / script)
    for folder in FOLDERS:
        copytree(
            source / folder,
            target / folder,
            dirs_exist_ok=True,
            ignore=ignore_patterns("all-packages.js"),
        )
    write_text(target / "fonts.js", fonts_as_data(source / FONTS))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the copying step with Sphinx."""
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

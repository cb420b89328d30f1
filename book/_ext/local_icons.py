"""Give the site the icons that its pages show, as a font inside a style sheet.

The theme loads the whole of Font Awesome: a script of 1.5 MB and three fonts, which browsers refuse
to a page that was opened as a file. This cuts its font down to the icons that the built pages and
the theme's style sheets name. The pages are told to use the sheet by `finished_page`.
"""

import logging
import re
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from shutil import rmtree

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

from written import write_text

SHEET = "icons.css"  # in _static
ALWAYS = {"fa-file-pdf"}  # pages may come to show it after they were built: pdf_edition
NAME = re.compile(r"\bfa-[a-z0-9-]+")
RULE = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"\\(f[0-9a-f]{3})"\}')
LITERAL = re.compile("[\uf000-\uf8ff]")  # glyphs that the theme's sheets name by themselves
ESCAPED = re.compile(r"\\(f[0-9a-f]{3})\b")

BASE = """\
@font-face {{
  font-family: "{family}";
  font-weight: 900;
  src: url("data:font/woff;base64,{font}") format("woff");
}}
"""
ICON = """\
.fa-solid, .fas {
  display: inline-block;
  font-family: "Font Awesome 6 Free";
  font-style: normal;
  font-weight: 900;
  line-height: 1;
}
.fa-lg { font-size: 1.25em; vertical-align: -0.075em; }
"""


def code_points(css: str) -> dict[str, str]:
    """Return the hexadecimal code point of every icon that Font Awesome's sheet names."""
    return {name: point for names, point in RULE.findall(css) for name in NAME.findall(names)}


def subset(font: Path, points: set[str]) -> bytes:
    """Return the font, cut down to the given code points, as WOFF."""
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    small, options = TTFont(font, recalcTimestamp=False), Options()
    cutter = Subsetter(options)
    cutter.populate(unicodes=[int(point, 16) for point in points])
    cutter.subset(small)
    small.flavor, stream = "woff", BytesIO()
    small.save(stream)
    return stream.getvalue()


def make_icons(app: Sphinx, error: Exception | None) -> None:
    """Write the sheet of icons, and take Font Awesome itself out of the site."""
    if error is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    awesome = next((static / "vendor" / "fontawesome").glob("*/"), None)  # named by its version
    if awesome is None:
        return  # no page was written, and the sheet is that of the build before
    points = code_points((awesome / "css" / "all.min.css").read_text("utf-8"))
    readers = [*Path(app.outdir).rglob("*.html"), *static.glob("scripts/*.js")]
    named = ALWAYS | {name for path in readers for name in NAME.findall(path.read_text("utf-8"))}
    icons = {name: points[name] for name in sorted(named & set(points))}
    sheets = "".join(path.read_text("utf-8") for path in static.glob("styles/*.css"))
    glyphs = {*icons.values(), *ESCAPED.findall(sheets)}
    glyphs |= {f"{ord(glyph):x}" for glyph in LITERAL.findall(sheets)}
    font = b64encode(subset(awesome / "webfonts" / "fa-solid-900.ttf", glyphs)).decode()
    families = [BASE.format(family=f"Font Awesome {n} Free", font=font) for n in (5, 6)]
    rules = [f'.{name}::before {{ content: "\\{point}"; }}\n' for name, point in icons.items()]
    write_text(static / SHEET, "".join([*families, ICON, *rules]))
    rmtree(static / "vendor" / "fontawesome")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the making of the icons with Sphinx."""
    app.connect("build-finished", make_icons, priority=800)  # when every page and file is there
    return {"parallel_read_safe": True, "parallel_write_safe": True}

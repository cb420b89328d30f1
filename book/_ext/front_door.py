"""Make the site's root lead to the first page, with a link for browsers that do not follow."""

from pathlib import Path

from sphinx.application import Sphinx

from written import write_text

PAGE = """\
<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'">
<meta http-equiv="refresh" content="0; url={first}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body><main><h1>{title}</h1><p><a href="{first}">To the book</a></p></main></body>
</html>
"""


def write_root(app: Sphinx, error: Exception | None) -> None:
    """Write the root page, over the bare redirect that Jupyter Book writes."""
    root = Path(app.outdir) / "index.html"
    first = Path(app.builder.get_outfilename(app.config.root_doc))
    if error is not None or app.builder.format != "html" or first == root:
        return
    page = PAGE.format(
        language=app.config.language,
        first=first.relative_to(root.parent).as_posix(),
        title=app.config.html_title or app.config.project,
    )
    write_text(root, page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the root page with Sphinx."""
    app.connect("build-finished", write_root, priority=700)  # after Jupyter Book's own
    return {"parallel_read_safe": True, "parallel_write_safe": True}

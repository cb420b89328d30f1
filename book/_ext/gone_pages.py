"""Leave nothing of a page that the book has no longer: an older build may have made its files."""

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from take_away import FOLDER, executed_folder

PAGES = "book"  # the folder of all pages


def remove_gone(app: Sphinx, env: BuildEnvironment) -> None:
    """Remove executed notebooks, and pages of the site, of which the book has no source."""
    known = {executed_folder(app) / name for name in env.found_docs}
    for notebook in (executed_folder(app) / PAGES).rglob("*.ipynb"):
        if notebook.with_suffix("") not in known:
            notebook.unlink()
            notebook.with_suffix(".glue.json").unlink(missing_ok=True)
    if app.builder.name not in ("html", "dirhtml"):
        return
    site = Path(app.outdir)
    known = {Path(app.builder.get_outfilename(name)) for name in env.found_docs}
    known |= {site / FOLDER / f"{name}.ipynb" for name in env.found_docs}
    for folder, ending in ((site / PAGES, "html"), (site / FOLDER / PAGES, "ipynb")):
        for file in folder.rglob(f"*.{ending}"):
            if file not in known:
                file.unlink()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the removal with Sphinx, when it is known which pages there are."""
    app.connect("env-updated", remove_gone)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

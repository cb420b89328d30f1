"""Build one page alone, its references resolved against the last build of the whole book.

Called by `.ci/page`. What is built stands in ``_build/page``, which begins as a copy of the last
build; the build itself stays as it was.
"""

import os
import shutil
import sys
from pathlib import Path
from time import perf_counter

from jupyter_book.sphinx import build_sphinx
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from written import write_text

ROOT = Path(__file__).parents[2]
BUILD, WORK = ROOT / "_build", ROOT / "_build" / "page"
COPIED = (".doctrees", "html", "jupyter_execute")
PAGES = "BOOK_PAGES"  # the pages asked for, for `read_only_these`
HOW_TO_BUILD = (
    "There is no build of the whole book yet, which tells what references mean. "
    "Make one first: bash .ci/build"
)


def begin() -> None:
    """Copy the last build, if there is one newer than the copy."""
    pickled = BUILD / ".doctrees" / "environment.pickle"
    if not pickled.exists() or not (BUILD / "html" / "book").is_dir():
        sys.exit(HOW_TO_BUILD)
    made, stamp = str(pickled.stat().st_mtime_ns), WORK / "made-from"
    if stamp.exists() and stamp.read_text("utf-8") == made:
        return
    shutil.rmtree(WORK, ignore_errors=True)
    for name in COPIED:
        shutil.copytree(BUILD / name, WORK / name)
    write_text(stamp, made)


def read_only_these(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Leave other pages as they are, however old, where single pages are asked for."""
    if wanted := os.environ.get(PAGES):
        changed.intersection_update(wanted.split(os.pathsep))
    return []


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the choice of pages with Sphinx, before others add theirs."""
    app.connect("env-get-outdated", read_only_these, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def names(arguments: list[str]) -> list[Path]:
    """Return the pages that were named, or say what is wrong with a name."""
    paths = [Path(argument).resolve() for argument in arguments]
    for path in paths:
        if path.suffix != ".md" or not path.is_file() or ROOT / "book" not in path.parents:
            sys.exit(f"{path} is no page of the book: name a .md file below book/")
    return paths


def main(arguments: list[str]) -> int:
    """Build the pages, or with ``--all`` every page that has changed, and say where they are."""
    start = perf_counter()
    every = arguments == ["--all"]
    pages = [] if every else names(arguments)
    if not pages and not every:
        sys.exit("Name a page, such as book/02-linucb/the-arena.md, or --all for all that changed.")
    begin()
    docnames = [path.relative_to(ROOT).with_suffix("").as_posix() for path in pages]
    os.environ["BOOK_REUSES_EXECUTED"] = str(BUILD / "executed")
    os.environ[PAGES] = os.pathsep.join(docnames)
    os.chdir(ROOT)
    status = build_sphinx(
        str(ROOT),
        str(WORK / "html"),
        noconfig=True,
        path_config=str(ROOT / "_config.yml"),
        confoverrides={"latex_individualpages": False, "nitpicky": True},  # as `-n` does
        doctreedir=str(WORK / ".doctrees"),
        filenames=[str(path) for path in pages],
        warningiserror=True,
        keep_going=True,
        quiet=True,
    )
    if not isinstance(status, int):
        return 1  # Sphinx has said why
    for name in docnames or ["index"]:
        print(WORK / "html" / f"{name}.html")
    print(f"{perf_counter() - start:.1f} seconds")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

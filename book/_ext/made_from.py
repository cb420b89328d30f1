"""Tell which sources the book is made from."""

import os
import subprocess
from pathlib import Path

CODE = ("book", "recsys")  # what a page is made from: here new files count as changes


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git says about the folder, or None without git or where the answer is an error.

    What the environment says about repositories (``GIT_DIR``, in a hook) is not about this folder.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, env=own
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def is_repository(folder: Path) -> bool:
    """Tell whether the folder is the top of a repository that knows its pages."""
    top = git(folder, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != folder.resolve():
        return False  # a copy inside another repository, whose commits say nothing about it
    return git(folder, "ls-files", "--error-unmatch", "_config.yml") is not None


def commit(folder: Path) -> str:
    """Return the commit of the sources, marked where they differ from it."""
    known = git(folder, "rev-parse", "--short=10", "HEAD") if is_repository(folder) else None
    if known is None:
        return "unknown"
    changed = git(folder, "status", "--porcelain", "--untracked-files=no")
    changed = changed or git(folder, "status", "--porcelain", "--untracked-files=all", "--", *CODE)
    return f"{known} with uncommitted changes" if changed else known


def day(folder: Path, known: str) -> str:
    """Return the day of a commit that `commit` told, such as 2020-02-03."""
    if known == "unknown":
        return "unknown date"
    return git(folder, "log", "-1", "--format=%cs", known.split()[0]) or "unknown date"

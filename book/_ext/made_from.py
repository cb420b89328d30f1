"""Tell which sources the book is made from."""

import subprocess
from pathlib import Path


def git(folder: Path, *arguments: str) -> str | None:
    """Return what git says about the folder, or None without git or outside a repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def commit(folder: Path) -> str:
    """Return the commit of the sources, marked where they differ from it."""
    known = git(folder, "rev-parse", "--short=10", "HEAD")
    if known is None:
        return "unknown"
    changed = git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{known} with uncommitted changes" if changed else known

"""A checkout is the same wherever git makes it: above all its line ends, at which bash stops."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOME = (".ci/build", "pyproject.toml", ".github/book.png")
pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="this is no git checkout"
)


def git(*arguments: str, folder: Path = ROOT) -> str:
    """Return what git prints."""
    # Neither the user's hooks, nor whose the folder is, nor the commit in whose hook this may run.
    settings = ["-c", f"core.hooksPath={os.devnull}", "-c", "safe.directory=*"]
    command = ["git", "-C", str(folder), *settings, *arguments]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(command, env=env, capture_output=True, check=True)
    return done.stdout.decode("utf-8")


def tracked(folder: Path = ROOT) -> list[str]:
    """Return the paths of all tracked files."""
    return [name for name in git("ls-files", "-z", folder=folder).split("\0") if name]


def carriage_returns(folder: Path) -> list[str]:
    """Return the tracked files of a checkout that are text and hold a carriage return."""
    read = {name: (folder / name).read_bytes() for name in tracked(folder)}
    return [name for name, data in read.items() if b"\0" not in data and b"\r" in data]


def test_every_tracked_file_is_binary_or_has_the_line_ends_of_the_attributes():
    lines = git("ls-files", "--eol", "-z").split("\0")
    wrong = [
        line
        for line in filter(None, lines)
        if line.split()[0] not in ("i/lf", "i/none", "i/-text")
        or ("i/-text" not in line and "eol=lf" not in line)
    ]
    assert wrong == []


def cloned(folder: Path, setting: str, attributes: str) -> Path:
    """Return a clone of a small repository with some of this one's files, made by that setting."""
    source, clone = folder / "source", folder / "clone"
    for name in SOME:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    (source / ".gitattributes").write_text(attributes, "utf-8", newline="\n")
    git("init", "-q", "--template=", folder=source)
    git("add", ".", folder=source)
    person = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
    git(*person, "commit", "-q", "-m", "all", folder=source)
    git("clone", "-q", "--template=", "-c", setting, str(source), str(clone), folder=folder)
    assert set(tracked(clone)) == {*SOME, ".gitattributes"}
    return clone


@pytest.mark.parametrize("setting", ["core.autocrlf=true", "core.eol=crlf"])
def test_a_checkout_that_is_told_to_use_crlf_has_none(setting: str, tmp_path: Path):
    clone = cloned(tmp_path, setting, (ROOT / ".gitattributes").read_text("utf-8"))
    for name in SOME:
        assert (clone / name).read_bytes() == (ROOT / name).read_bytes()
    assert carriage_returns(clone) == []


@pytest.mark.parametrize(
    ("setting", "attributes"), [("core.autocrlf=true", ""), ("core.eol=crlf", "* text=auto\n")]
)
def test_a_checkout_with_crlf_is_found(setting: str, attributes: str, tmp_path: Path):
    found = carriage_returns(cloned(tmp_path, setting, attributes))
    assert set(found) >= {".ci/build", "pyproject.toml"}
    assert ".github/book.png" not in found


def test_this_checkout_holds_no_carriage_return():
    assert carriage_returns(ROOT) == []

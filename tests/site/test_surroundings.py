"""What a page is executed with, and from: kernels, commits, files written whole, browsers."""

import subprocess
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from sphinx.errors import ExtensionError

import browser
import surroundings
from execution import ForeignPackageError, execute, hold
from made_from import commit, day
from pdf_edition import PDF_NAME, link_edition, unlink_edition
from written import beside, write_text

ROOT = Path(__file__).parents[2]


# ------------------------------------------------------------------ the kernel


def test_a_kernel_gets_nothing_of_the_user_s_own(tmp_path: Path):
    own = {
        "PYTHONPATH": "elsewhere",
        "PYTHONSTARTUP": "start.py",
        "PYTHONOPTIMIZE": "1",
        "PYTHONHASHSEED": "7",
        "PYTHONWARNINGS": "error",
        "MATPLOTLIBRC": "rc",
        "MPLBACKEND": "agg",
        "IPYTHONDIR": "profile",
    }
    kept = {"HOME": "/home/me", "PYTHONDONTWRITEBYTECODE": "1"}
    assert surroundings.surroundings(tmp_path, own | kept) == kept | {
        "PYTHONPATH": str(ROOT),
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": str(tmp_path / ".ipython"),
        "MPLCONFIGDIR": str(tmp_path / ".matplotlib"),
    }


def test_the_files_of_another_package_are_told_apart(tmp_path: Path):
    def answer(*files: Path) -> list[str]:
        cell = surroundings.question()
        cell.outputs = [new_output("stream", text="\n".join(map(str, files)))]
        return surroundings.foreign(cell, tmp_path)

    own, other = tmp_path / "recsys" / "lab" / "run.py", tmp_path / "recsys2" / "lab.py"
    assert answer() == answer(own) == []
    assert answer(own, other) == [str(other)]


def test_a_page_executes_this_checkout_s_package_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "recsys.py").write_text("", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    own = new_notebook(cells=[new_code_cell("import recsys.checks")])
    done = execute(own, tmp_path, 60, tmp_path)
    assert done.error is None
    assert len(done.notebook.cells) == 1
    first = new_code_cell("import sys\nsys.path.insert(0, '.')\nimport recsys")
    refused = execute(new_notebook(cells=[first]), tmp_path, 60, tmp_path)
    assert isinstance(refused.error, ForeignPackageError)
    assert str(tmp_path / "recsys.py") in str(refused.error)
    assert str(ROOT / "recsys") in str(refused.error)


def test_two_builds_do_not_share_a_folder(tmp_path: Path):
    first = hold(tmp_path / "_build")
    with pytest.raises(ExtensionError, match="Another build is at work in"):
        hold(tmp_path / "_build")
    first.close()
    hold(tmp_path / "_build").close()


# ------------------------------------------------------------------ the commit


def git(folder: Path, *arguments: str) -> str:
    """Run git as nobody in particular."""
    who = ("-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def tree(folder: Path) -> Path:
    """Write what the commit of a book is asked for."""
    (folder / "book").mkdir(parents=True)
    (folder / "_config.yml").write_text("title: x", "utf-8")
    (folder / "book" / "index.md").write_text("# x", "utf-8")
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit."""
    folder = tree(tmp_path / "repository")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=x")
    return folder


def test_the_commit_is_that_of_the_sources(repository: Path, tmp_path: Path):
    head = git(repository, "rev-parse", "--short=10", "HEAD")
    assert commit(repository) == head
    assert day(repository, head) == git(repository, "log", "-1", "--format=%cs")
    (tmp_path / "link").symlink_to(repository)
    git(repository, "worktree", "add", "--quiet", "../tree")
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), "shallow")
    for same in ("link", "tree", "shallow"):
        assert commit(tmp_path / same) == head


def test_a_copy_within_another_repository_has_no_commit(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    copy = tree(repository / "unpacked")
    assert commit(copy) == "unknown"
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message=the copy too")
    assert commit(copy) == "unknown"
    assert day(copy, "unknown") == "unknown date"
    alone = tree(tmp_path / "alone")
    assert commit(alone) == "unknown"
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))  # as in a hook
    monkeypatch.setenv("GIT_WORK_TREE", str(alone))
    assert commit(alone) == "unknown"


def test_a_repository_that_does_not_hold_the_book_has_no_commit_for_it(tmp_path: Path):
    folder = tree(tmp_path / "other")
    (folder / "README").write_text("x", "utf-8")
    git(folder, "init", "--quiet")
    git(folder, "add", "README")
    git(folder, "commit", "--quiet", "--message=x")
    assert commit(folder) == "unknown"


@pytest.mark.parametrize("name", ["_config.yml", "book/index.md", "book/new.md", "recsys/new.py"])
def test_changes_are_told(repository: Path, name: str):
    (repository / name).parent.mkdir(exist_ok=True)
    (repository / name).write_text("changed", "utf-8")
    assert commit(repository).endswith(" with uncommitted changes")


def test_notes_beside_the_book_are_no_change(repository: Path):
    (repository / "notes.txt").write_text("x", "utf-8")
    assert "changes" not in commit(repository)


# ------------------------------------------------------------------ files


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path):
    file = tmp_path / "folder" / "file.txt"
    write_text(file, "old")
    with pytest.raises(KeyboardInterrupt), beside(file) as place:
        place.write_text("ha", "utf-8")
        raise KeyboardInterrupt
    with pytest.raises(UnicodeEncodeError):
        write_text(file, "half\ud800")
    assert file.read_text("utf-8") == "old"
    assert list(file.parent.iterdir()) == [file]
    (tmp_path / "like").write_text("", "utf-8")
    assert file.stat().st_mode == (tmp_path / "like").stat().st_mode


# ------------------------------------------------------------------ a browser that does not start


def script(folder: Path, line: str) -> str:
    """Write a program by the name of a browser."""
    file = folder / "chromium"
    file.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize("line", ["exit 1", "exec sleep 600"])
def test_a_browser_that_does_not_start_is_none(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(browser, "STARTS_WITHIN", 3)
    monkeypatch.setenv("CHROMIUM", script(tmp_path, line))
    assert browser.why_no_browser().startswith(f"{tmp_path / 'chromium'} is there and does not")
    monkeypatch.setenv("CHROMIUM", "no-such-program")
    assert browser.why_no_browser() == browser.HOW_TO_GET_ONE


def test_a_site_without_the_edition_does_not_link_to_it(tmp_path: Path):
    page = tmp_path / "page.html"
    page.write_text(
        "<html data-content_root='./'><body><div class='dropdown-download-buttons'><ul><li>"
        "<a class='btn-download-source-button' href='_sources/page.md'><i class='fas fa-file'></i>"
        "<span class='btn__text-container'>Source</span></a></li></ul></div></body></html>",
        "utf-8",
    )
    assert link_edition(tmp_path) == 1
    (tmp_path / PDF_NAME).write_text("of an earlier build", "utf-8")
    assert PDF_NAME in page.read_text("utf-8")
    assert unlink_edition(tmp_path) == 1
    assert PDF_NAME not in page.read_text("utf-8") and "_sources" in page.read_text("utf-8")
    assert not (tmp_path / PDF_NAME).exists()
    assert unlink_edition(tmp_path) == 0

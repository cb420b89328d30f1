"""A pytest plugin beside nbval: compare the glued numbers as well, and count what was compared.

myst-nb takes glued values out of the saved notebook, so a cell that glues must be ignored by nbval,
and its numbers - those in the prose - would be the only ones that nobody compares. The build keeps
them in <page>.glue.json; after a glue cell has run again, its values must equal those. Cells with
the tag `timing` are exempt: their numbers are measured.

What was compared is written to second-run.json in the folder of the build, by page, for the line on
each page that says how it was verified. The kernels get what those of the build get.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from nbformat import NotebookNode, from_dict
from nbval.plugin import IPyNbCell

from surroundings import surroundings
from written import write_text

EXECUTED = "jupyter_execute"
HANDED = "compared"  # what a process of xdist hands to the one that asked for it
KINDS = ("compared", "glue", "timing", "numbers")
COUNTS: defaultdict[Path, Counter[str]] = defaultdict(Counter)  # by the notebook's path


def pytest_configure(config: pytest.Config) -> None:
    """Give the kernels the surroundings of the build's, whatever those of the command are."""
    kept = surroundings(config.rootpath / "_build")
    os.environ.clear()
    os.environ.update(kept)


@cache
def published(notebook: Path) -> dict[str, object]:
    """Return what the page's cells glued when the book was built: the data by its key."""
    path = notebook.with_suffix(".glue.json")
    if not path.exists():
        return {}
    return {key: out["data"] for key, out in json.loads(path.read_text("utf-8")).items()}


def glued(outputs: list[NotebookNode]) -> Iterator[tuple[str, object]]:
    """Yield key and data of every output that glue made."""
    for output in outputs:
        record = output.get("metadata", {}).get("scrapbook")
        if record is not None:
            prefix = record.get("mime_prefix", "")
            data = {mime.removeprefix(prefix): value for mime, value in output["data"].items()}
            yield record["name"], data


def differences(outputs: list[NotebookNode], expected: dict[str, object]) -> list[str]:
    """Return the glued values that are not the published ones."""
    return [
        f"{key}: published {expected.get(key)!r}, now {data!r}"
        for key, data in glued(outputs)
        if expected.get(key) != data
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Compare what a cell glued after nbval has run it."""
    result = yield
    if isinstance(item, IPyNbCell):
        outputs = [from_dict(output) for output in item.test_outputs]
        tags = item.cell.metadata.get("tags", [])
        numbers = list(glued(outputs))
        counts = COUNTS[Path(item.path)]
        if "nbval-ignore-output" not in tags:
            counts["compared"] += 1
        elif "timing" in tags:
            counts["timing"] += 1
        else:
            counts["glue"] += 1
            counts["numbers"] += len(numbers)
            if different := differences(outputs, published(Path(item.path))):
                pytest.fail("glued values differ:\n" + "\n".join(different), pytrace=False)
    return result


def folder_of_build(notebook: Path) -> Path:
    """Return the folder of the build that an executed notebook is of."""
    return Path(*notebook.parts[: notebook.parts.index(EXECUTED)])


def by_page(counts: dict[Path, Counter[str]]) -> dict[str, dict[str, int]]:
    """Return the counts by the name that the page has in the site."""
    pages = {}
    for path, found in counts.items():
        below = path.parts[path.parts.index(EXECUTED) + 1 :]
        pages[Path(*below).with_suffix("").as_posix()] = {kind: found[kind] for kind in KINDS}
    return pages


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep what was compared, if all of it was equal, beside what was of other pages.

    A process that compares some of the notebooks for another one hands it its counts.
    """
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[HANDED] = {str(path): dict(n) for path, n in COUNTS.items()}
        return
    for build in {folder_of_build(path) for path in COUNTS}:
        now = by_page({path: n for path, n in COUNTS.items() if folder_of_build(path) == build})
        record = build / "second-run.json"
        known = json.loads(record.read_text("utf-8")) if record.exists() else {}
        kept = {page: counts for page, counts in known.items() if page not in now}
        write_text(record, json.dumps(kept | (now if exitstatus == 0 else {}), indent=1))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: object, error: object) -> None:
    """Take the counts of a process that has compared some of the notebooks."""
    for path, counts in getattr(node, "workeroutput", {}).get(HANDED, {}).items():
        COUNTS[Path(path)].update(counts)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was compared."""
    counts = sum(COUNTS.values(), Counter())
    ignored = counts["glue"] + counts["timing"]
    terminalreporter.write_line(
        f"cells executed again: {counts['compared'] + ignored}; "
        f"outputs compared: {counts['compared']} cells and {counts['numbers']} glued numbers; "
        f"outputs ignored by nbval: {ignored} cells "
        f"({counts['glue']} that glue, {counts['timing']} that measure time)"
    )

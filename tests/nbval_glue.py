"""A pytest plugin beside nbval: compare the glued numbers as well, and count what was compared.

myst-nb takes glued values out of the saved notebook, so a cell that glues must be ignored by nbval,
and its numbers - those in the prose - would be the only ones that nobody compares. The build keeps
them in <page>.glue.json; after a glue cell has run again, its values must equal those. Cells with
the tag `timing` are exempt: their numbers are measured.
"""

import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from nbformat import NotebookNode, from_dict
from nbval.plugin import IPyNbCell

COUNTS: Counter[str] = Counter()


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
        if "nbval-ignore-output" not in tags:
            COUNTS["compared"] += 1
        elif "timing" in tags:
            COUNTS["timing"] += 1
        else:
            COUNTS["glue"] += 1
            COUNTS["numbers"] += len(numbers)
            if different := differences(outputs, published(Path(item.path))):
                pytest.fail("glued values differ:\n" + "\n".join(different), pytrace=False)
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much was compared."""
    ignored = COUNTS["glue"] + COUNTS["timing"]
    terminalreporter.write_line(
        f"cells executed again: {COUNTS['compared'] + ignored}; "
        f"outputs compared: {COUNTS['compared']} cells and {COUNTS['numbers']} glued numbers; "
        f"outputs ignored by nbval: {ignored} cells "
        f"({COUNTS['glue']} that glue, {COUNTS['timing']} that measure time)"
    )

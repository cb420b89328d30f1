"""Write a file whole or not at all: beside its place, under another name, and then renamed.

Whoever reads the file meets the old one or the new one, also after a build that was interrupted.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """Give a place in the file's folder to write to; rename it to the file if nothing failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as made:
        place = Path(made.name)
    try:
        yield place
        place.chmod(0o666 & ~_umask())  # a temporary file is its owner's alone
        os.replace(place, path)
    finally:
        place.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write a text file, in UTF-8."""
    with beside(path) as place:
        place.write_text(text, "utf-8")

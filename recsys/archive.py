"""State on disk: settings as text, arrays as arrays, and nothing that could run.

What is written is complete before it takes its name, so a save that fails leaves an older file of
that name as it was.
"""

from __future__ import annotations

import json
import numbers
import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def save(
    path: str | Path,
    settings: Mapping[str, Any],
    groups: Mapping[str, Sequence[np.ndarray | torch.Tensor]],
) -> None:
    """Write settings and lists of arrays or tensors to an ``.npz`` file of exactly this name.

    Settings are what JSON knows: texts, numbers, truth values, ``None``, lists and mappings.
    NumPy's numbers become Python's, and a ``torch.device`` its name.

    Raises
    ------
    ValueError
        If a setting or an array has no form without pickling. Nothing is written then.
    """
    try:
        text = json.dumps(settings, default=_plain, allow_nan=True)
    except TypeError as error:
        raise ValueError(f"settings: {error}, expected what has a form in JSON") from error
    arrays = {
        f"{name}.{n}": _array(f"{name}.{n}", values)
        for name, group in groups.items()
        for n, values in enumerate(group)
    }
    with beside(path) as place, place.open("wb") as file:  # savez adds a suffix to a bare path
        np.savez(file, settings=np.array(text), **arrays)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def beside(path: str | Path) -> Iterator[Path]:
    """Give a place in a file's folder to write to, which becomes the file if nothing fails."""
    path = Path(path).resolve()  # a link stays one: what it leads to is replaced
    place = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield place
        os.replace(place, path)
    finally:
        place.unlink(missing_ok=True)


def load(path: str | Path) -> tuple[dict[str, Any], dict[str, list[np.ndarray]]]:
    """Read what ``save`` wrote. Nothing is unpickled, so no code can run.

    Raises
    ------
    ValueError
        If the file is something else, or has been cut off.
    """
    groups: dict[str, list[np.ndarray]] = {}
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as archive:
            settings = json.loads(str(archive["settings"]))
            for name in archive.files:  # in the order in which they were written
                if name != "settings":
                    group, _, _ = name.rpartition(".")
                    groups.setdefault(group, []).append(archive[name])
    except (zipfile.BadZipFile, KeyError, EOFError, TypeError, AttributeError) as error:
        raise ValueError(f"path: got {str(path)!r}, expected a file that save wrote") from error
    return settings, groups


def kind_of(path: str | Path, settings: Mapping[str, Any], expected: str) -> None:
    """Refuse settings that were written for another class than the expected one."""
    if settings.get("kind") != expected:
        found = settings.get("kind", "file of another kind")
        raise ValueError(f"path: got a {found} in {str(path)!r}, expected a {expected}")


def _plain(value: object) -> object:
    """Return the form of a setting that JSON knows."""
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if type(value).__module__ == "torch" and type(value).__name__ in ("device", "dtype"):
        return str(value)
    raise TypeError(f"got {value!r} of type {type(value).__name__}")


def _array(name: str, values: np.ndarray | torch.Tensor) -> np.ndarray:
    """Return an array or a tensor as an array of numbers, wherever it is."""
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if array.dtype.hasobject:
        raise ValueError(f"{name}: got dtype {array.dtype}, expected an array of numbers")
    return array


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """Return the state of NumPy's default generator as something that has a form in JSON."""
    state = rng.bit_generator.state
    if state["bit_generator"] != "PCG64":
        raise ValueError(f"rng: got {state['bit_generator']}, expected NumPy's default, PCG64")
    return state


def generator(state: Mapping[str, Any]) -> np.random.Generator:
    """Return NumPy's default generator in a state that ``generator_state`` returned."""
    rng = np.random.default_rng(0)
    rng.bit_generator.state = state
    return rng

"""State on disk: settings as text, arrays as arrays, and nothing that could run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


def save(
    path: str | Path, settings: Mapping[str, Any], groups: Mapping[str, Sequence[torch.Tensor]]
) -> None:
    """Write settings, which must have a form in JSON, and lists of tensors to an ``.npz`` file."""
    arrays = {
        f"{name}.{n}": tensor.detach().cpu().numpy()
        for name, tensors in groups.items()
        for n, tensor in enumerate(tensors)
    }
    with Path(path).open("wb") as file:  # savez would append a suffix to a bare path
        np.savez(file, settings=np.array(json.dumps(settings)), **arrays)


def load(path: str | Path) -> tuple[dict[str, Any], dict[str, list[torch.Tensor]]]:
    """Read what ``save`` wrote. Nothing is unpickled, so no code can run."""
    import torch  # here: who keeps no tensors needs none of it

    groups: dict[str, list[torch.Tensor]] = {}
    with np.load(path, allow_pickle=False) as archive:
        settings = json.loads(str(archive["settings"]))
        for name in archive.files:  # in the order in which they were written
            if name != "settings":
                group, _, _ = name.rpartition(".")
                groups.setdefault(group, []).append(torch.from_numpy(archive[name]))
    return settings, groups


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

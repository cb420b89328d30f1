import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from recsys import archive
from strategies import refuses, snapshot


def test_what_was_written_is_read(tmp_path: Path):
    groups = {
        "a": [torch.arange(n * 2.0).reshape(n, 2) for n in range(12)],  # more than nine: order
        "b": [torch.tensor([True, False]), torch.empty(0, 3)],
        "none": [],
    }
    settings = {"number": 1e-300, "name": "x", "hidden": [3, 4], "nothing": None}
    archive.save(tmp_path / "state", settings, groups)
    found, tensors = archive.load(tmp_path / "state")  # no suffix is added
    assert found == settings
    assert snapshot(tensors) == snapshot({k: v for k, v in groups.items() if v})


def test_nothing_is_unpickled(tmp_path: Path):
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "bad.npz", settings=np.array(Trap(), dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        archive.load(tmp_path / "bad.npz")
    (tmp_path / "worse.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="allow_pickle"):
        archive.load(tmp_path / "worse.npz")
    assert not (tmp_path / "sprung").exists()


def test_a_generator_goes_on_where_it_was():
    rng = np.random.default_rng(3)
    rng.random(5)
    again = archive.generator(archive.generator_state(rng))
    assert np.array_equal(rng.random(9), again.random(9))
    with refuses("rng"):
        archive.generator_state(np.random.Generator(np.random.MT19937(0)))

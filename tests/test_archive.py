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
    found, arrays = archive.load(tmp_path / "state")  # no suffix is added
    assert found == settings
    assert snapshot(arrays) == snapshot(
        {k: [tensor.numpy() for tensor in v] for k, v in groups.items() if v}
    )


def test_numbers_and_devices_of_other_libraries_are_settings(tmp_path: Path):
    settings = {"a": np.int64(3), "b": np.float32(0.5), "c": torch.device("cpu"), "d": np.True_}
    archive.save(tmp_path / "state", {**settings, "e": np.arange(2)}, {"f": [np.ones(2)]})
    found, arrays = archive.load(tmp_path / "state")
    assert found == {"a": 3, "b": 0.5, "c": "cpu", "d": True, "e": [0, 1]}
    assert np.array_equal(arrays["f"][0], np.ones(2))


def full_disk(file: object, **arrays: np.ndarray) -> None:
    file.write(b"PK")
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("fault", ["setting", "array", "disk", "interrupt"])
def test_a_save_that_fails_leaves_the_older_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
):
    archive.save(tmp_path / "state", {"n": 1}, {"a": [np.arange(3)]})
    before = (tmp_path / "state").read_bytes()
    settings = {"n": object()} if fault == "setting" else {"n": 2}
    array = np.array([object()]) if fault == "array" else np.arange(4)
    raised: type[BaseException] = ValueError
    if fault == "disk":
        monkeypatch.setattr(np, "savez", full_disk)
        raised = OSError
    elif fault == "interrupt":
        monkeypatch.setattr(np, "savez", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        raised = KeyboardInterrupt
    with pytest.raises(raised):
        archive.save(tmp_path / "state", settings, {"a": [array]})
    assert (tmp_path / "state").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_a_link_stays_a_link(tmp_path: Path):
    archive.save(tmp_path / "target", {"n": 1}, {})
    try:
        (tmp_path / "link").symlink_to(tmp_path / "target")
    except OSError:
        pytest.skip("this system makes no links")
    archive.save(tmp_path / "link", {"n": 2}, {})
    assert (tmp_path / "link").is_symlink() and archive.load(tmp_path / "target")[0] == {"n": 2}


def test_a_file_that_is_something_else_is_refused_by_name(tmp_path: Path):
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    archive.save(tmp_path / "whole", {"n": 1}, {"a": [np.arange(300)]})
    (tmp_path / "half").write_bytes((tmp_path / "whole").read_bytes()[:700])
    np.save(tmp_path / "array.npy", np.ones(2))
    for name in ("other.npz", "half", "array.npy"):
        with refuses("path"):
            archive.load(tmp_path / name)


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

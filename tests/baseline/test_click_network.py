import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys import archive
from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.course import train
from recsys.baseline.greedy import ModelPolicy, fit
from recsys.baseline.training import Training
from recsys.shop.features import Identifiers, JointFeatures, ObservedFeatures
from strategies import SMALL, example_rows, few, modest, refuses, small_shop, snapshot


def forward_by_hand(model: ClickNetwork, rows: np.ndarray) -> np.ndarray:
    """Return click probabilities of a network with two hidden layers, in NumPy and row by row."""
    p = {name: value.numpy().astype(float) for name, value in model.state_dict().items()}
    n_ids = len(model.settings["vocabularies"])
    out = []
    for row in rows:
        vectors = [p[f"embeddings.{i}.weight"][int(row[i])] for i in range(n_ids)]
        x = np.concatenate([*vectors, row[n_ids:]])
        for layer in (0, 2):
            x = np.maximum(p[f"mlp.{layer}.weight"] @ x + p[f"mlp.{layer}.bias"], 0.0)
        z = (p["mlp.4.weight"] @ x + p["mlp.4.bias"]).item()
        out.append(1 / (1 + math.exp(-z)))
    return np.array(out)


# ---------------------------------------------------------------------- prediction


@few
@given(
    lead=st.lists(st.integers(0, 3), max_size=3).map(tuple),
    seed=st.integers(0, 50),
    chunk=st.integers(1, 7),
    kind=st.sampled_from([(7, 4), (7,), ()]),
)
def test_predictions_equal_a_forward_pass_by_hand_for_any_leading_axes(
    lead: tuple[int, ...], seed: int, chunk: int, kind: tuple[int, ...]
):
    model = ClickNetwork(kind, 2, embedding_dim=3, hidden=(5, 4), embedding_scale=1.0, seed=seed)
    n = int(np.prod(lead))
    rows = example_rows(n, seed)[0][:, 2 - len(kind) :]
    if len(kind) == 1:
        rows[:, 0] = np.arange(n) % 7
    predicted = model.predict(rows.reshape(*lead, rows.shape[1]), chunk=chunk)
    assert predicted.shape == lead
    assert np.allclose(predicted.ravel(), forward_by_hand(model, rows), atol=2e-6)


def test_a_network_has_the_parameters_of_its_settings_and_no_more():
    model = ClickNetwork(**SMALL)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes == {
        "embeddings.0.weight": (7, 3),
        "embeddings.1.weight": (4, 3),
        "mlp.0.weight": (5, 8),
        "mlp.0.bias": (5,),
        "mlp.2.weight": (4, 5),
        "mlp.2.bias": (4,),
        "mlp.4.weight": (1, 4),
        "mlp.4.bias": (1,),
    }
    assert model.row_length == 4


def test_embeddings_start_with_the_stated_scale():
    for scale in (0.1, 0.5):
        model = ClickNetwork((4_000,), embedding_dim=8, embedding_scale=scale)
        drawn = model.embeddings[0].weight.detach().numpy()
        assert drawn.std() == pytest.approx(scale, rel=0.03)
        assert abs(drawn.mean()) < 4.5 * scale / math.sqrt(drawn.size)


def test_the_gradient_of_a_lookup_touches_only_the_rows_looked_up():
    model = ClickNetwork(**{**SMALL, "hidden": (32,)}, embedding_scale=1.0)
    identifiers, features = model.split([[2, 3, 0.5, -1.0], [5, 3, 1.0, 0.0]])
    model(identifiers, features).sum().backward()
    touched = model.embeddings[0].weight.grad.abs().sum(dim=1) > 0
    assert touched.tolist() == [False, False, True, False, False, True, False]
    assert (model.embeddings[1].weight.grad.abs().sum(dim=1) > 0).tolist() == [False] * 3 + [True]


# ---------------------------------------------------------------------- save and load


@few
@given(
    vocabularies=st.lists(st.integers(1, 9), max_size=3).map(tuple),
    n_features=st.integers(1, 4),
    hidden=st.lists(st.integers(1, 6), max_size=3).map(tuple),
    seed=st.integers(0, 1_000),
)
def test_a_network_comes_back_from_its_file_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    vocabularies: tuple[int, ...],
    n_features: int,
    hidden: tuple[int, ...],
    seed: int,
):
    path = tmp_path_factory.mktemp("model") / "network.npz"
    model = ClickNetwork(vocabularies, n_features, hidden=hidden, embedding_scale=0.3, seed=seed)
    with torch.no_grad():
        for value in model.parameters():
            value += 0.37  # away from what the seed alone would give
    model.save(path)
    assert snapshot(ClickNetwork.load(path)) == snapshot(model)


def test_a_network_in_double_precision_comes_back_exactly(tmp_path: Path):
    model = ClickNetwork(**SMALL).double()
    with torch.no_grad():
        for value in model.parameters():
            value += 1e-12  # less than single precision holds
    model.save(tmp_path / "network")
    assert snapshot(ClickNetwork.load(tmp_path / "network")) == snapshot(model)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_parameters_are_read_as_arrays_and_as_tensors(
    tmp_path: Path, kind: object, monkeypatch: pytest.MonkeyPatch
):
    model = ClickNetwork(**SMALL)
    model.save(tmp_path / "network")
    settings, groups = archive.load(tmp_path / "network")
    arrays = {name: [kind(array) for array in group] for name, group in groups.items()}
    monkeypatch.setattr(archive, "load", lambda path: (settings, arrays))
    assert snapshot(ClickNetwork.load("anywhere")) == snapshot(model)


def test_the_file_holds_plain_arrays_only(tmp_path: Path):
    path = tmp_path / "network.npz"
    ClickNetwork(**SMALL).save(str(path))
    with np.load(path, allow_pickle=False) as file:
        assert {file[name].dtype.kind for name in file.files} <= {"f", "U"}
        n = len(ClickNetwork(**SMALL).state_dict())
        assert set(file.files) == {"settings", *(f"parameters.{i}" for i in range(n))}


def test_a_file_that_names_its_arrays_by_the_layers_is_read_as_well(tmp_path: Path):
    model = ClickNetwork(**{**SMALL, "seed": 5})
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    settings = np.array(json.dumps(model.settings))
    np.savez(tmp_path / "network.npz", settings=settings, **arrays)
    assert snapshot(ClickNetwork.load(tmp_path / "network.npz")) == snapshot(model)


def test_a_file_with_another_number_of_arrays_is_refused(tmp_path: Path):
    model = ClickNetwork(**SMALL)
    for parameters in (list(model.parameters())[:-1], [*model.parameters(), torch.zeros(1)]):
        archive.save(tmp_path / "network", model.settings, {"parameters": parameters})
        with pytest.raises(ValueError, match="zip"):
            ClickNetwork.load(tmp_path / "network")


def test_a_path_without_a_suffix_is_read_where_it_was_written(tmp_path: Path):
    model = ClickNetwork(**SMALL)
    model.save(tmp_path / "network")
    assert snapshot(ClickNetwork.load(tmp_path / "network")) == snapshot(model)


class Bomb:
    """An object whose unpickling leaves a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("where", ["settings", "parameters.0", "bare pickle"])
def test_a_file_with_a_pickled_object_is_refused_and_no_code_runs(tmp_path: Path, where: str):
    path, trace = tmp_path / "network.npz", tmp_path / "exploded"
    ClickNetwork(**SMALL).save(path)
    if where == "bare pickle":
        path.write_bytes(pickle.dumps(Bomb(trace)))
    else:
        with np.load(path) as file:
            arrays = dict(file)
        arrays[where] = np.array([Bomb(trace)], dtype=object)
        np.savez(path, **arrays)
    with pytest.raises(ValueError, match="pickle"):
        ClickNetwork.load(path)
    assert not trace.exists()


# ---------------------------------------------------------------------- randomness


def test_building_training_and_predicting_leave_the_global_generators_alone():
    torch.manual_seed(123)
    before = torch.random.get_rng_state().clone(), snapshot(np.random.get_state())  # noqa: NPY002
    model = ClickNetwork(**SMALL, seed=5)
    rows, clicks = example_rows(200)
    train(model, rows, clicks, Training(epochs=2, batch_size=50))
    ModelPolicy(model, 200).select(rows)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert snapshot(np.random.get_state()) == before[1]  # noqa: NPY002


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_training_and_prediction_run_on_a_gpu():
    rows, clicks = example_rows(300)
    model = ClickNetwork(**SMALL).to("cuda")
    train(model, rows, clicks, Training(epochs=2))
    assert model.mlp[0].weight.device.type == "cuda"
    assert np.allclose(model.predict(rows), forward_by_hand(model.cpu(), rows), atol=1e-4)


def test_rows_are_put_where_the_parameters_are():
    model = ClickNetwork(**SMALL).to("meta")  # a device without memory, present everywhere
    identifiers, features = model.split(example_rows(3)[0])
    assert identifiers.device.type == features.device.type == "meta"
    assert identifiers.dtype == torch.int64
    assert features.dtype == torch.float32


# ---------------------------------------------------------------------- the policy


def test_the_policy_shows_the_arm_with_the_highest_prediction_and_learns_nothing():
    model = ClickNetwork(**SMALL, embedding_scale=1.0)
    before = snapshot(model)
    rows = example_rows(12, seed=3)[0].reshape(3, 4, 4)
    policy = ModelPolicy(model, 4)
    by_hand = forward_by_hand(model, rows.reshape(12, 4)).reshape(3, 4)
    assert policy.select(rows).tolist() == by_hand.argmax(axis=1).tolist()
    second = policy.select(rows, by_hand < by_hand.max(axis=1, keepdims=True))
    assert second.tolist() == np.argsort(by_hand, axis=1)[:, -2].tolist()
    policy.update(1, rows[0, 1], 1.0)
    assert snapshot(model) == before
    assert not policy.learns


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("vocabularies", (7, 0)),
        ("vocabularies", (7, -1)),
        ("vocabularies", (7, 4.0)),
        ("vocabularies", (True,)),
        ("vocabularies", 5),
        ("n_features", -1),
        ("n_features", 2.0),
        ("n_features", None),
        ("embedding_dim", 0),
        ("embedding_dim", "8"),
        ("hidden", (0,)),
        ("hidden", (4, 1.5)),
        ("hidden", 64),
        ("embedding_scale", -0.1),
        ("embedding_scale", np.nan),
        ("embedding_scale", np.inf),
        ("seed", -1),
        ("seed", 1.0),
        ("seed", True),
    ],
)
def test_a_network_of_impossible_size_is_refused(argument: str, value: object):
    state = torch.random.get_rng_state().clone()
    with refuses(argument):
        ClickNetwork(**{**SMALL, argument: value})
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_network_without_input_is_refused():
    with refuses("n_features"):
        ClickNetwork()


def broken(rows: np.ndarray, place: tuple[int, int], value: float) -> np.ndarray:
    rows = rows.copy()
    rows[place] = value
    return rows


FAULTS = [(0, -1.0), (0, 7.0), (1, 4.0), (1, -3.0), (0, 0.5), (1, 1e300), (0, np.nan)]
FAULTS += [(2, np.nan), (3, np.inf), (3, -np.inf)]


@modest
@given(
    row=st.integers(0, 9),
    fault=st.sampled_from(FAULTS),
)
def test_one_bad_value_in_the_rows_is_refused_and_the_model_unchanged(
    row: int, fault: tuple[int, float]
):
    model = ClickNetwork(**SMALL)
    rows, clicks = example_rows(10)
    bad = broken(rows, (row, fault[0]), fault[1])
    with refuses("contexts", model):
        train(model, bad, clicks)
    with refuses("contexts", model):
        model.predict(bad)
    with refuses("contexts", model):
        model.split(bad)
    with refuses("contexts", model):
        ModelPolicy(model, 10).select(bad)


def test_rows_and_clicks_of_a_wrong_shape_are_refused_and_the_model_unchanged():
    model = ClickNetwork(**SMALL)
    rows, clicks = example_rows(10)
    for bad in (rows[:, :3], rows[0], rows[None], np.zeros((10, 5)), "rows", None, 3.0):
        with refuses("contexts", model):
            train(model, bad, clicks)
    for bad in (rows[:, :3], 3.0, "rows", None, np.zeros((2, 5))):
        with refuses("contexts", model):
            model.predict(bad)
    for bad in (rows[:9], np.zeros((0, 4)), np.concatenate([rows, rows])):
        with refuses("contexts", model):
            train(model, bad, clicks)
    with refuses("chunk", model):
        model.predict(rows, chunk=0)
    with refuses("chunk", model):
        model.predict(rows, chunk=-1)


# ---------------------------------------------------------------------- from a log to a network


@pytest.mark.parametrize("kind", [Identifiers, ObservedFeatures, JointFeatures])
def test_a_network_fitted_to_a_log_is_one_trained_on_its_rows(kind: type):
    shop = small_shop(3)
    log = shop.log(600)
    training = Training(epochs=2, batch_size=200, seed=4)
    model, history = fit(kind(shop), log, training, hidden=(6,), embedding_dim=2)
    columns = {Identifiers: ((60, 12), 0), ObservedFeatures: ((12,), 9), JointFeatures: ((), 15)}
    twin = ClickNetwork(*columns[kind], hidden=(6,), embedding_dim=2, seed=4)
    one_by_one = (log[i : i + 1] for i in range(600))
    rows = [kind(shop).rows(one.users, one.products, one.rounds)[0] for one in one_by_one]
    by_hand = train(twin, np.array(rows), log.clicks, training)
    assert snapshot(dict(model.state_dict())) == snapshot(dict(twin.state_dict()))
    assert history == by_hand


def test_the_seed_of_the_training_draws_the_initial_parameters_too():
    shop = small_shop(3)
    log = shop.log(300)

    def fitted(seed: int) -> object:
        network, _ = fit(JointFeatures(shop), log, Training(epochs=1, seed=seed), hidden=(4,))
        return snapshot(dict(network.state_dict()))

    assert fitted(0) == fitted(0)
    assert fitted(0) != fitted(1)


def test_settings_of_a_fitted_network_are_checked():
    shop = small_shop(3)
    log = shop.log(300)
    with refuses("embedding_dim", shop):
        fit(Identifiers(shop), log, embedding_dim=0)


def test_rows_that_may_only_be_read_are_taken_without_a_word():
    rows, clicks = example_rows(60)
    rows.flags.writeable = clicks.flags.writeable = False  # as joblib hands arrays to its workers
    for model in (ClickNetwork(**SMALL), ClickNetwork(**SMALL).double()):
        train(model, rows, clicks, Training(epochs=1))
        assert model.predict(rows).shape == (60,)

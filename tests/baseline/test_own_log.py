"""A log of somebody's own: arrays, not a shop."""

import copy
import pickle
import threading
from collections.abc import Callable

import numpy as np
import pytest
import torch

from recsys.baseline import (
    ClickNetwork,
    LogisticPolicy,
    ModelPolicy,
    Training,
    fit,
    fit_together,
    train,
    train_together,
)
from recsys.shop import Identifiers, JointFeatures, ObservedFeatures
from strategies import SMALL, example_rows, refuses, small_shop, snapshot

SIZES = SMALL["vocabularies"]
SHORT = Training(epochs=2, batch_size=50)


def parameters(model: ClickNetwork) -> object:
    return snapshot(dict(model.state_dict()))


# ---------------------------------------------------------------------- fit


@pytest.mark.parametrize("kind", [Identifiers, ObservedFeatures, JointFeatures])
def test_arrays_give_the_network_of_the_featurizer_bit_for_bit(kind: type):
    shop = small_shop(3)
    log, seen = shop.log(300), kind(shop)
    rows = seen.rows(log.users, log.products, log.rounds)
    model, history = fit(seen, log, SHORT, hidden=(6,))
    twin, same = fit(rows, log.clicks, SHORT, vocabularies=seen.vocabularies, hidden=(6,))
    assert parameters(model) == parameters(twin)
    assert history == same
    if not seen.vocabularies:
        assert parameters(fit(rows, log.clicks, SHORT, hidden=(6,))[0]) == parameters(model)
    pairs = fit_together(
        [rows, rows],
        [log.clicks, log.clicks],
        [SHORT, SHORT],
        vocabularies=seen.vocabularies,
        hidden=(6,),
    )
    for found, _ in pairs:
        for value, expected in zip(found.parameters(), model.parameters(), strict=True):
            assert torch.allclose(value, expected, atol=1e-5)


def clicks_as(kind: object) -> Callable[[], tuple]:
    def log() -> tuple:
        rows, clicks = example_rows(60)
        return rows.astype(np.float32), clicks.astype(kind)

    return log


@pytest.mark.parametrize("kind", [bool, np.int8, np.int64, np.uint8, np.float32, object])
def test_clicks_and_rows_of_other_types_are_the_same_log(kind: object):
    rows, clicks = clicks_as(kind)()
    model, _ = fit(rows, clicks, SHORT, vocabularies=SIZES)
    lists, _ = fit(rows.tolist(), clicks.tolist(), SHORT, vocabularies=list(SIZES))
    expected, _ = fit(rows.astype(float), example_rows(60)[1], SHORT, vocabularies=SIZES)
    assert parameters(model) == parameters(lists) == parameters(expected)
    ids = rows[:, :2].astype(np.int32)  # a log of ids alone may hold integers
    assert fit(ids, clicks, SHORT, vocabularies=SIZES)[0].row_length == 2
    one, other = (LogisticPolicy(x, clicks, vocabularies=SIZES) for x in (ids, ids.astype(float)))
    assert np.array_equal(one.predict(ids), other.predict(ids))


@pytest.mark.parametrize("make", [fit, LogisticPolicy])
def test_a_log_that_does_not_fit_is_refused(make: Callable):
    rows, clicks = example_rows(40)
    shop = small_shop(1)
    log, seen = shop.log(40), ObservedFeatures(shop)

    def call(rows: object = rows, clicks: object = clicks, sizes: object = SIZES) -> None:
        make(rows, clicks, vocabularies=sizes)

    from_one = rows + np.array([1, 1, 0, 0])  # ids that start at 1
    for bad in (
        from_one,
        rows - np.array([1, 0, 0, 0]),
        rows + 0.5,
        rows[:, :1],
        rows[0],
        rows[:0],
    ):
        with refuses("rows"):
            call(bad)
    for bad in (np.where(rows == rows[7], np.nan, rows), None, "rows", 3.0, [[0, 0], [1]]):
        with refuses("rows"):
            call(bad)
    for bad in (clicks[:39], clicks[:, None], clicks + 0.5, clicks * np.nan, None, "clicks", 1):
        with refuses("clicks"):
            call(clicks=bad)
    for bad in (7, (7, 0), (7, 4.0), (7, True), "74", (-7, 4)):
        with refuses("vocabularies"):
            call(sizes=bad)
    with refuses("rows"):
        call(sizes=(7, 4, 2, 2, 9))
    with refuses("clicks"):
        call(rows=seen)
    with refuses("clicks"):
        call(clicks=log)
    with refuses("vocabularies"):
        call(seen, log)


class Beyond(ObservedFeatures):
    """A featurizer of somebody's own, whose last id is beyond its vocabulary."""

    def _rows(self, users: np.ndarray, products: np.ndarray, rounds: np.ndarray) -> np.ndarray:
        return super()._rows(users, products + 1, rounds)


@pytest.mark.parametrize("make", [fit, LogisticPolicy])
def test_a_featurizer_whose_ids_are_beyond_its_vocabulary_is_refused(make: Callable):
    shop = small_shop(1)
    log = shop.log(400)
    assert log.products.max() == 11
    with refuses("rows"):
        make(Beyond(shop), log)


def test_a_training_that_is_none_is_refused():
    rows, clicks = example_rows(40)
    model = ClickNetwork(**SMALL)
    for bad in (3, {"epochs": 2}, "fast"):
        with refuses("training", model):
            train(model, rows, clicks, bad)
        with refuses("training"):
            fit(rows, clicks, bad, vocabularies=SIZES)
        with refuses("training"):
            fit_together([rows], [clicks], [bad], vocabularies=SIZES)


def test_logs_of_several_networks_may_come_from_generators():
    rows, clicks = example_rows(60)
    plans = (Training(epochs=1, seed=np.int64(seed)) for seed in range(2))
    pairs = fit_together((rows for _ in range(2)), iter([clicks] * 2), plans, vocabularies=SIZES)
    assert parameters(pairs[0][0]) == parameters(
        fit(rows, clicks, Training(epochs=1, seed=0), vocabularies=SIZES)[0]
    )


# ---------------------------------------------------------------------- odd logs


def test_ids_that_are_only_validated_keep_their_first_vectors_and_one_class_may_be_missing():
    rows, clicks = example_rows(100)
    rows[:90, 0] %= 6
    rows[90:, 0] = 6
    clicks[90:] = 0.0
    model, history = fit(rows, clicks, SHORT, vocabularies=SIZES)
    first = ClickNetwork(vocabularies=SIZES, n_features=2)
    assert torch.equal(model.embeddings[0].weight[6], first.embeddings[0].weight[6])
    assert np.isfinite(history.validation).all()
    fit(rows, np.zeros(100), SHORT, vocabularies=SIZES)  # no click at all is a log as well
    fit(rows, clicks, Training(epochs=1, batch_size=10**9), vocabularies=SIZES)
    with refuses("clicks"):
        fit(rows[:1], clicks[:1], SHORT, vocabularies=SIZES)


def test_features_that_leave_the_precision_are_refused_in_training_and_in_prediction():
    rows, clicks = example_rows(100)
    model, _ = fit(rows, clicks, SHORT, vocabularies=SIZES)
    rows[3, 2] = 3e38
    with torch.no_grad():
        model.mlp[0].weight *= 1e3
    with refuses("contexts", model):
        model.predict(rows)
    policy = ModelPolicy(model)
    with refuses("contexts", policy):
        policy.select(rows)


@pytest.mark.parametrize("device", ["nowhere", "meta", 7, "cuda:99"])
def test_a_device_that_the_machine_has_not_is_refused(device: object):
    rows, clicks = example_rows(40)
    model = ClickNetwork(**SMALL)
    with refuses("device", model):
        train(model, rows, clicks, SHORT, device=device)
    with refuses("device"):
        fit(rows, clicks, SHORT, device=device, vocabularies=SIZES)


def test_a_model_is_where_it_was_when_its_log_is_refused():
    rows, clicks = example_rows(40)
    model = ClickNetwork(**SMALL)
    moves = []
    model.to = lambda *args: moves.append(args)
    with refuses("contexts"):
        train(model, rows[:, :3], clicks, SHORT, device="cpu")
    assert moves == []


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_decide_alike(copied: Callable):
    rows, clicks = example_rows(80)
    for policy in (
        ModelPolicy(fit(rows, clicks, SHORT, vocabularies=SIZES)[0]),
        LogisticPolicy(rows, clicks, vocabularies=SIZES),
    ):
        twin = copied(policy)
        assert np.array_equal(twin.predict(rows), policy.predict(rows))
        assert np.array_equal(twin.select(rows[:4]), policy.select(rows[:4]))


def test_two_trainings_at_once_in_threads_are_those_one_after_the_other():
    rows, clicks = example_rows(400)

    def fitted(seed: int) -> object:
        plan = Training(epochs=2, batch_size=32, seed=seed)
        return parameters(fit(rows, clicks, plan, vocabularies=SIZES)[0])

    found: dict[int, object] = {}
    threads = [
        threading.Thread(target=lambda s=seed: found.update({s: fitted(s)})) for seed in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {seed: fitted(seed) for seed in range(6)}


def test_other_threads_draw_from_the_global_generator_while_a_network_is_made():
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    seen = []
    normal = torch.nn.init.normal_

    def looking(*args: object, **kwargs: object) -> torch.Tensor:
        seen.append(torch.equal(torch.random.get_rng_state(), state))
        return normal(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.init, "normal_", looking)
        ClickNetwork(**SMALL, seed=3)
    assert seen
    assert all(seen)


def test_one_network_twice_is_refused():
    rows, clicks = example_rows(40)
    model = ClickNetwork(**SMALL)
    with refuses("models", model):
        train_together([model, model], [rows] * 2, [clicks] * 2, [SHORT] * 2)


# ---------------------------------------------------------------------- policies on any catalogue


def test_a_policy_takes_another_number_of_arms_in_every_round():
    rows, clicks = example_rows(80)
    for policy in (
        ModelPolicy(fit(rows, clicks, SHORT, vocabularies=SIZES)[0]),
        LogisticPolicy(rows, clicks, vocabularies=SIZES),
    ):
        for k in (1, 3, 80):
            assert policy.select(rows[:k]) == policy.predict(rows[:k]).argmax()
            chances = policy.probabilities(rows[:k])
            assert chances.shape == (k,)
            assert chances.sum() == pytest.approx(1)
        assert policy.select(rows.reshape(20, 4, 4)).shape == (20,)
        for bad in (rows[0], rows[:0], rows[:, :3], 3.0):
            with refuses("contexts", policy):
                policy.select(bad)
    fixed = ModelPolicy(ClickNetwork(**SMALL), 4)
    with refuses("contexts", fixed):
        fixed.select(rows[:5])


def far(scale: float) -> tuple[ClickNetwork, np.ndarray]:
    """Return a network with logits of some size, and rows whose logits it keeps apart."""
    model = ClickNetwork(n_features=1, hidden=(), seed=0)
    with torch.no_grad():
        model.mlp[0].weight.fill_(scale)
        model.mlp[0].bias.zero_()
    return model, np.linspace(1, 2, 11)[:, None]


@pytest.mark.parametrize("scale", [17.0, 40.0, 1e4, -17.0, -1e4])
def test_the_greedy_policy_decides_where_probabilities_round_to_one(scale: float):
    model, rows = far(scale)
    best = 10 if scale > 0 else 0
    assert np.allclose(model.logits(rows), scale * rows[:, 0], rtol=1e-6)
    policy = ModelPolicy(model, rng=np.random.default_rng(0))
    assert [policy.select(rows) for _ in range(20)] == [best] * 20
    assert policy.probabilities(rows)[best] == 1.0
    labels = (np.arange(200) % 2).astype(float)
    own = LogisticPolicy(10 * labels[:, None] - 5, labels, 1e9)
    far_away = 100 * np.arange(1, 6)[:, None]
    assert (own.predict(far_away) == 1.0).all()
    assert own.probabilities(far_away)[-1] == 1.0
    assert own.select(far_away[::-1]) == 0


def test_a_probability_is_the_sigmoid_of_its_logit_in_double_precision():
    model, rows = far(18.0)
    p = model.predict(rows)
    assert (p < 1).all()
    assert np.allclose(1 - p, np.exp(-model.logits(rows)), rtol=1e-3)
    assert model.logits(np.zeros((2, 0, 1))).shape == (2, 0)

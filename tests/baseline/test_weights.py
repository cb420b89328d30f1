"""Rows that count for more than others: in training and in the regression."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recsys.baseline import (
    AutogradStep,
    ClickNetwork,
    ClosedFormStep,
    LogisticPolicy,
    Training,
    course,
    fit,
    fit_together,
    train,
    train_together,
)
from recsys.baseline.closed_form import is_plain
from recsys.baseline.training import mean_one
from strategies import SMALL, example_rows, few, refuses, snapshot

ROWS, CLICKS = example_rows(300)
WEIGHTS = np.random.default_rng(2).gamma(1.0, 2.0, 300) * (np.arange(300) % 7 > 0)
WAYS = {"closed form": is_plain, "autograd": lambda model: False}


def network(**changes: object) -> ClickNetwork:
    return ClickNetwork(**SMALL, **changes).double()


def losses(model: ClickNetwork, rows: np.ndarray, clicks: np.ndarray) -> np.ndarray:
    z = model.logits(rows)
    return np.logaddexp(0, z) - clicks * z


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(course, "is_plain", WAYS[request.param])
    return request.param


@pytest.mark.usefixtures("way")
@few
@given(counts=st.lists(st.integers(0, 4), min_size=60, max_size=60).filter(any))
def test_an_integer_weight_is_that_many_rows(counts: list[int]):
    rows, clicks = ROWS[:60], CLICKS[:60]
    plan = Training(epochs=5, batch_size=1_000, validation_fraction=0.0, learning_rate=0.05)
    weighted, repeated = network(), network()
    history = train(weighted, rows, clicks, plan, sample_weight=counts)
    many = np.repeat(rows, counts, axis=0), np.repeat(clicks, counts)
    if len(many[1]) < 2:
        many = np.repeat(many[0], 2, axis=0), np.repeat(many[1], 2)
    expected = train(repeated, *many, plan)
    assert history.training == pytest.approx(expected.training, rel=1e-9)
    assert history.best_epoch == expected.best_epoch
    for one, other in zip(weighted.parameters(), repeated.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("same", [1.0, 1, 0.3, 1e-300, 1e300, True])
def test_equal_weights_are_none_bit_for_bit(same: float):
    plan = Training(epochs=3, batch_size=64)
    one, other = ClickNetwork(**SMALL), ClickNetwork(**SMALL)
    plain = train(one, ROWS, CLICKS, plan)
    assert train(other, ROWS, CLICKS, plan, sample_weight=np.full(300, same)) == plain
    assert snapshot(dict(one.state_dict())) == snapshot(dict(other.state_dict()))


def test_ones_in_the_steps_change_no_bit():
    identifiers, features = ClickNetwork(**SMALL).split(ROWS)
    batch = identifiers[None], features[None], torch.as_tensor(CLICKS, dtype=torch.float32)[None]
    ones = torch.ones(1, 300)
    for kind in (AutogradStep, ClosedFormStep):
        plain, weighted = (kind([ClickNetwork(**SMALL)], 1e-2, 0.1) for _ in range(2))
        for _ in range(3):
            assert torch.equal(plain(*batch), weighted(*batch, ones))
            assert torch.equal(plain.losses(*batch), weighted.losses(*batch, ones))
        assert snapshot(plain.state(0)) == snapshot(weighted.state(0))


@pytest.mark.usefixtures("way")
def test_the_losses_are_weighted_means_of_what_trains_and_of_what_validates():
    model = network()
    first = losses(model, ROWS, CLICKS)
    still = Training(epochs=1, batch_size=32, learning_rate=1e-9, validation_fraction=0.2)
    history = train(model, ROWS, CLICKS, still, sample_weight=WEIGHTS)
    trained, held_out = slice(0, 240), slice(240, 300)
    for found, part in ((history.training, trained), (history.validation, held_out)):
        expected = np.average(first[part], weights=WEIGHTS[part])
        assert found == [pytest.approx(expected, rel=1e-5)]
        assert abs(expected - first[part].mean()) > 1e-3


def test_both_steps_are_the_same_with_weights(monkeypatch: pytest.MonkeyPatch):
    found = {}
    for name, plain in WAYS.items():
        monkeypatch.setattr(course, "is_plain", plain)
        model, plan = network(), Training(epochs=4, batch_size=64, weight_decay=0.1)
        found[name] = model, train(model, ROWS, CLICKS, plan, sample_weight=WEIGHTS)
    (one, history), (other, expected) = found.values()
    assert history.training == pytest.approx(expected.training, rel=1e-9)
    assert history.validation == pytest.approx(expected.validation, rel=1e-9)
    for value, twin in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.allclose(value, twin, rtol=0, atol=1e-8)
    unweighted = network()
    train(unweighted, ROWS, CLICKS, Training(epochs=4, batch_size=64, weight_decay=0.1))
    assert not torch.allclose(unweighted.mlp[0].weight, one.mlp[0].weight, atol=1e-3)


def test_the_gradient_of_a_minibatch_is_on_average_that_of_all_rows():
    model, weights = network(), mean_one(WEIGHTS)
    identifiers, features = model.split(ROWS)
    target = torch.as_tensor(CLICKS)

    def gradient(places: np.ndarray, w: np.ndarray) -> np.ndarray:
        step = AutogradStep([model], 1e-9, 0.0)
        batch = identifiers[places], features[places], target[places], torch.as_tensor(w)
        step._loss(*(part[None] for part in batch)).backward()
        out = model.mlp[0].weight.grad.numpy().copy()
        step.optimiser.zero_grad()
        return out

    batches = np.random.default_rng(0).permutation(300).reshape(6, 50)
    mean = np.mean([gradient(places, weights[places]) for places in batches], axis=0)
    everything = np.arange(300)
    assert np.allclose(mean, gradient(everything, 300 * WEIGHTS / WEIGHTS.sum()), atol=1e-12)


def test_together_is_each_alone_with_weights_of_its_own():
    plans = [Training(epochs=6, batch_size=64, patience=1, seed=seed) for seed in range(4)]
    weights = [WEIGHTS, None, WEIGHTS[::-1], np.full(300, 2.0)]
    alone, together = ([network(seed=seed) for seed in range(4)] for _ in range(2))
    expected = [
        train(model, ROWS, CLICKS, plan, sample_weight=w)
        for model, plan, w in zip(alone, plans, weights, strict=True)
    ]
    found = train_together(together, [ROWS] * 4, [CLICKS] * 4, plans, weights)
    for history, other in zip(found, expected, strict=True):
        assert history.validation == pytest.approx(other.validation, rel=1e-9)
    for one, other in zip(alone, together, strict=True):
        assert torch.allclose(one.mlp[0].weight, other.mlp[0].weight, rtol=0, atol=1e-8)
    fitted = fit_together(
        [ROWS] * 2, [CLICKS] * 2, plans[:2], vocabularies=(7, 4), sample_weight=weights[:2]
    )
    for (model, history), plan, w in zip(fitted, plans, weights, strict=False):
        twin, other = fit(ROWS, CLICKS, plan, vocabularies=(7, 4), sample_weight=w)
        assert history.validation == pytest.approx(other.validation, rel=1e-4)
        assert torch.allclose(model.mlp[0].weight, twin.mlp[0].weight, atol=1e-4)


def slope(policy: LogisticPolicy) -> np.ndarray:
    return np.append(policy.regression.coef_, policy.regression.intercept_)


def test_a_regression_counts_a_row_as_often_as_its_weight_says():
    counts = np.arange(300) % 4
    weighted = LogisticPolicy(ROWS, CLICKS, vocabularies=(7, 4), sample_weight=counts)
    many = np.repeat(ROWS, counts, axis=0), np.repeat(CLICKS, counts)
    assert slope(weighted) == pytest.approx(
        slope(LogisticPolicy(*many, vocabularies=(7, 4))), abs=0.01
    )
    plain = LogisticPolicy(ROWS, CLICKS, vocabularies=(7, 4))
    assert np.abs(slope(weighted) - slope(plain)).max() > 0.1
    ones = LogisticPolicy(ROWS, CLICKS, vocabularies=(7, 4), sample_weight=np.ones(300))
    assert np.array_equal(slope(ones), slope(plain))


BAD = [
    np.ones(299),
    np.ones((300, 1)),
    1.0,
    np.zeros(300),
    np.where(np.arange(300) == 5, -1.0, 1.0),
    np.where(np.arange(300) == 5, np.nan, 1.0),
    np.where(np.arange(300) == 5, np.inf, 1.0),
    "heavy",
]


@pytest.mark.parametrize("weights", BAD, ids=lambda w: str(np.shape(w)))
def test_weights_that_are_none_are_refused_and_the_model_unchanged(weights: object):
    model = ClickNetwork(**SMALL)
    with refuses("sample_weight", model):
        train(model, ROWS, CLICKS, sample_weight=weights)
    with refuses("sample_weight", model):
        train_together([model], [ROWS], [CLICKS], [Training()], [weights])
    with refuses("sample_weight"):
        fit(ROWS, CLICKS, vocabularies=(7, 4), sample_weight=weights)
    with refuses("sample_weight"):
        LogisticPolicy(ROWS, CLICKS, vocabularies=(7, 4), sample_weight=weights)


def test_something_must_count_among_what_trains_and_among_what_validates():
    model, late = ClickNetwork(**SMALL), (np.arange(300) >= 270).astype(float)
    for weights in (late, 1 - late):
        with refuses("sample_weight", model):
            train(model, ROWS, CLICKS, sample_weight=weights)
    train(model, ROWS, CLICKS, Training(epochs=1, validation_fraction=0.0), sample_weight=late)
    with refuses("clicks"):
        LogisticPolicy(ROWS, CLICKS, vocabularies=(7, 4), sample_weight=CLICKS)


def test_weights_travel_to_the_device_with_their_rows():
    rows = course.checked_rows(network(), ROWS, CLICKS, Training(), WEIGHTS).to("meta")
    assert {part.device.type for part in rows.columns()} == {"meta"}
    assert len(rows.columns()) == 4
    assert rows.n_train == 270


def test_weights_of_any_size_have_mean_one():
    for size in (1e-300, 1.0, 1e308):
        even = mean_one(size * np.array([0.0, 1.0, 0.5]))
        assert even == pytest.approx([0.0, 2.0, 1.0])
        assert (mean_one(np.full(7, size)) == 1.0).all()

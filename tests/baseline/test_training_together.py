"""Many networks trained at once: each what it becomes when it is trained alone."""

import numpy as np
import pytest
import torch

from recsys.baseline import (
    ClickNetwork,
    Training,
    closed_form,
    fit,
    fit_together,
    train,
    train_together,
)
from recsys.baseline.closed_form import ROWS_TOGETHER, how_many_together
from recsys.shop import ObservedFeatures
from strategies import SMALL, example_rows, refuses, small_shop

LOGS = [example_rows(400, seed) for seed in range(6)]


def networks(n: int, **changes: object) -> list[ClickNetwork]:
    return [ClickNetwork(**{**SMALL, **changes}, seed=seed).double() for seed in range(n)]


def trainings(n: int, **settings: object) -> list[Training]:
    common = {"epochs": 12, "batch_size": 64, "patience": 1, "learning_rate": 0.05}
    return [Training(**{**common, **settings}, seed=7 + i) for i in range(n)]


@pytest.mark.parametrize("shape", [{}, {"vocabularies": (), "n_features": 4}, {"hidden": ()}])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_together_and_alone_are_the_same_in_double_precision(shape: dict, decay: float):
    plans = trainings(6, weight_decay=decay)
    alone, together = networks(6, **shape), networks(6, **shape)
    rows = [np.abs(x) if shape.get("vocabularies") == () else x for x, _ in LOGS]
    clicks = [c for _, c in LOGS]
    expected = [train(*four) for four in zip(alone, rows, clicks, plans, strict=True)]
    found = train_together(together, rows, clicks, plans)
    for new, old in zip(together, alone, strict=True):
        for value, other in zip(new.parameters(), old.parameters(), strict=True):
            assert torch.allclose(value, other, rtol=0, atol=1e-10)
    for history, other in zip(found, expected, strict=True):
        assert history.best_epoch == other.best_epoch
        assert history.training == pytest.approx(other.training, abs=1e-10)
        assert history.validation == pytest.approx(other.validation, abs=1e-10)
    if not shape:  # they stop at epochs of their own
        assert len({len(history.training) for history in found}) > 2


def test_networks_that_differ_in_form_log_or_plan_are_each_trained_as_alone():
    def models() -> list[ClickNetwork]:
        class Own(ClickNetwork):
            pass

        return [*networks(3), *networks(1, hidden=(4,)), Own(**SMALL), *networks(1), *networks(1)]

    logs = [*LOGS[:2], (LOGS[2][0][:300], LOGS[2][1][:300]), *LOGS[3:], LOGS[0]]
    plans = [*trainings(6), Training(epochs=2, batch_size=32, validation_fraction=0.0)]
    alone, together = models(), models()
    for model, (rows, clicks), plan in zip(alone, logs, plans, strict=True):
        train(model, rows, clicks, plan)
    train_together(together, [x for x, _ in logs], [c for _, c in logs], plans)
    for new, old in zip(together, alone, strict=True):
        for value, other in zip(new.parameters(), old.parameters(), strict=True):
            assert torch.allclose(value, other, rtol=0, atol=1e-6)


def test_fewer_networks_stand_together_where_their_batches_are_larger(
    monkeypatch: pytest.MonkeyPatch,
):
    assert how_many_together(64) == 32
    assert how_many_together(4_095) == ROWS_TOGETHER // 4_095
    assert how_many_together(4_096) == how_many_together(10**9) == 1
    monkeypatch.setattr(closed_form, "ROWS_TOGETHER", 130)
    plans = trainings(6, epochs=2)  # two at a time
    alone, together = networks(6), networks(6)
    for model, (rows, clicks), plan in zip(alone, LOGS, plans, strict=True):
        train(model, rows, clicks, plan)
    train_together(together, [x for x, _ in LOGS], [c for _, c in LOGS], plans)
    for new, old in zip(together, alone, strict=True):
        assert torch.allclose(new.mlp[0].weight, old.mlp[0].weight, rtol=0, atol=1e-10)


def test_bad_rows_of_one_network_leave_all_unchanged():
    models, plans = networks(3), trainings(3)
    rows, clicks = [x for x, _ in LOGS[:3]], [c for _, c in LOGS[:3]]
    with refuses("clicks", *models):
        train_together(models, rows, [*clicks[:2], 2.0 * clicks[2]], plans)
    with refuses("contexts", *models):
        train_together(models, [*rows[:2], rows[2][:, :3]], clicks, plans)
    for parts in ((models[:2], rows, clicks, plans), ([], [], [], [])):
        with refuses("models", *models):
            train_together(*parts)
    for model in models[1:]:
        model.mlp[0].weight.data *= 1e10  # times 1e300 it overflows
    endless = [*rows[:2], np.where(np.arange(4) < 2, rows[2], 1e300)]
    with refuses("training", *models):
        train_together([*networks(2), models[2]], endless, clicks, trainings(3, batch_size=50))
    other = ClickNetwork(**{**SMALL, "hidden": (3,)}, seed=1).double()
    other.mlp[0].weight.data *= 1e10
    with refuses("training", models[0], other):  # the first has been trained when the other fails
        train_together([models[0], other], [rows[0], endless[2]], clicks[:2], plans[:2])


def test_fitting_together_is_fitting_each():
    shops = [small_shop(seed) for seed in range(3)]
    logs, seen = [shop.log(300) for shop in shops], [ObservedFeatures(shop) for shop in shops]
    plans = [Training(epochs=3, batch_size=50, seed=seed) for seed in (4, 5, 6)]
    for (model, history), *one in zip(
        fit_together(seen, logs, plans, hidden=(6,)), seen, logs, plans, strict=True
    ):
        alone, expected = fit(*one, hidden=(6,))
        assert model.settings == alone.settings
        assert history.validation == pytest.approx(expected.validation, rel=1e-4)
        assert torch.allclose(model.mlp[0].weight, alone.mlp[0].weight, atol=1e-4)
    with refuses("logs"):
        fit_together(seen[:2], logs, plans)

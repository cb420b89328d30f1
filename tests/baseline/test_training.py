import re
import time

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.course import train
from recsys.baseline.training import Training
from recsys.shop.features import Identifiers
from strategies import SMALL, example_rows, refuses, small_shop, snapshot

# ---------------------------------------------------------------------- what training does


def test_training_is_reproduced_by_its_seeds_whatever_the_global_state():
    rows, clicks = example_rows(600)

    def fit(model_seed: int, order_seed: int, noise: int) -> object:
        torch.manual_seed(noise)
        model = ClickNetwork(**SMALL, seed=model_seed)
        history = train(model, rows, clicks, Training(epochs=3, batch_size=64, seed=order_seed))
        return snapshot((dict(model.state_dict()), history))

    assert fit(1, 2, noise=0) == fit(1, 2, noise=9)
    assert fit(1, 2, noise=0) != fit(1, 3, noise=0)
    assert fit(1, 2, noise=0) != fit(4, 2, noise=0)


def test_one_full_batch_step_is_the_first_step_of_adam_on_the_mean_log_loss():
    rows, clicks = example_rows(300)
    model, twin = ClickNetwork(**SMALL, seed=3), ClickNetwork(**SMALL, seed=3)
    train(model, rows, clicks, Training(epochs=1, batch_size=300, validation_fraction=0.0))
    p = torch.sigmoid(twin(*twin.split(rows)))
    y = torch.as_tensor(clicks, dtype=torch.float32)
    (-(y * p.log() + (1 - y) * (1 - p).log()).mean()).backward()
    for new, old in zip(model.parameters(), twin.parameters(), strict=True):
        # with bias correction the first step of Adam is rate * g / (|g| + eps)
        step = 1e-2 * old.grad / (old.grad.abs() + 1e-8)
        large = old.grad.abs() > 1e-5
        assert torch.allclose(new[large], (old - step)[large], atol=2e-5)
        assert torch.equal(new[old.grad == 0], old[old.grad == 0])


def test_every_row_is_used_once_an_epoch():
    # with a vanishing step the training loss of an epoch is the loss of the initial model
    rows, clicks = example_rows(1_003)
    model = ClickNetwork(**SMALL)
    before = log_loss(clicks[:903], model.predict(rows[:903]))
    tiny = Training(epochs=2, batch_size=100, learning_rate=1e-9, validation_fraction=0.1)
    history = train(model, rows, clicks, tiny)
    assert history.training == pytest.approx([before, before], rel=1e-5)
    held_out = log_loss(clicks[903:], model.predict(rows[903:]))
    assert history.validation == pytest.approx([held_out, held_out], rel=1e-5)


def test_the_last_rows_in_time_validate_and_are_not_trained_on():
    rows, clicks = example_rows(500)
    rows[:400, 0] %= 5  # users 5 and 6 come in the last fifth only
    rows[400:, 0] = 5 + np.arange(100) % 2
    model = ClickNetwork(**SMALL)
    initial = model.embeddings[0].weight.detach().clone()
    history = train(model, rows, clicks, Training(epochs=3, validation_fraction=0.2))
    learnt = model.embeddings[0].weight.detach()
    assert torch.equal(learnt[5:], initial[5:])
    assert (learnt[:5] != initial[:5]).any(dim=1).all()
    best = log_loss(clicks[400:], model.predict(rows[400:]))
    assert min(history.validation) == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("patience", [1, 4])
def test_early_stopping_keeps_the_best_epoch_and_waits_as_long_as_stated(patience: int):
    rows, clicks = example_rows(400, seed=8)
    clicks[320:] = np.random.default_rng(0).permutation(clicks[320:])  # invites overfitting
    model = ClickNetwork(**SMALL)
    stopping = Training(epochs=60, batch_size=32, validation_fraction=0.2, patience=patience)
    history = train(model, rows, clicks, stopping)
    held_out = log_loss(clicks[320:], model.predict(rows[320:]))
    assert held_out == pytest.approx(min(history.validation), rel=1e-5)
    assert history.best_epoch == int(np.argmin(history.validation))
    assert len(history.validation) == history.best_epoch + 1 + patience < 60
    assert history.validation[-1] > history.validation[history.best_epoch]
    assert len(history.training) == len(history.validation)


def test_without_validation_rows_all_epochs_run_and_the_lowest_training_loss_is_kept():
    rows, clicks = example_rows(300)
    model = ClickNetwork(**SMALL)
    history = train(model, rows, clicks, Training(epochs=12, validation_fraction=0.0, patience=1))
    assert len(history.training) == 12
    assert history.validation == []
    assert history.best_epoch == int(np.argmin(history.training))


def test_training_lowers_the_loss_and_finds_the_signal():
    rows, clicks = example_rows(6_000)
    model = ClickNetwork(**SMALL)
    history = train(model, rows, clicks, Training(epochs=15, batch_size=256))
    assert history.training[-1] < history.training[0] - 0.05
    fresh, truth_rows = example_rows(4_000, seed=77)[::-1]
    users, products, feature = truth_rows[:, 0], truth_rows[:, 1], truth_rows[:, 2]
    truth = 1 / (1 + np.exp(1.0 - 2.0 * ((users + products) % 2) - feature))
    floor = log_loss(fresh, truth)
    constant = log_loss(fresh, np.full(4_000, clicks.mean()))
    assert floor - 0.005 < log_loss(fresh, model.predict(truth_rows)) < floor + 0.02 < constant


def test_weight_decay_shrinks_what_the_log_never_shows():
    rows, clicks = example_rows(200)
    rows[:, 0] = 0
    model = ClickNetwork(**SMALL)
    initial = model.embeddings[0].weight.detach().clone()
    steps = 4
    decay = Training(epochs=steps, batch_size=200, weight_decay=0.5, validation_fraction=0.0)
    history = train(model, rows, clicks, decay)
    kept = (1 - 1e-2 * 0.5) ** (history.best_epoch + 1)  # decoupled: rate * decay a step
    assert torch.allclose(model.embeddings[0].weight[1:], kept * initial[1:], rtol=1e-5)


def test_progress_prints_a_line_an_epoch_with_both_losses(capsys: pytest.CaptureFixture[str]):
    rows, clicks = example_rows(100)
    history = train(ClickNetwork(**SMALL), rows, clicks, Training(epochs=2), progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for i, line in enumerate(lines):
        numbers = [float(x) for x in re.findall(r"\d+\.\d+", line)]
        assert numbers == pytest.approx([history.training[i], history.validation[i]], abs=6e-6)
    train(ClickNetwork(**SMALL), rows, clicks, Training(epochs=1))
    assert capsys.readouterr().out == ""


@pytest.mark.speed
def test_200_000_rows_for_10_epochs_take_at_most_10_seconds():
    shop = small_shop(0, n_users=1_000, n_products=50)
    log = shop.log(200_000)
    rows = Identifiers(shop).rows(log.users, log.products, log.rounds)
    assert torch.get_num_threads() == 1  # set for all tests: conservative on a machine with two
    took = []
    while not took or (took[-1] > 10.0 and len(took) < 2):
        model = ClickNetwork((1_000, 50))
        began = time.perf_counter()
        history = train(model, rows, log.clicks, Training(epochs=10, patience=10))
        took.append(time.perf_counter() - began)
        assert len(history.training) == 10
    assert min(took) <= 10.0


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("epochs", (0, 1.0, None, True)),
        ("batch_size", (0, -4, 2.0)),
        ("patience", (0, -1, 0.5)),
        ("seed", (-1, 0.0, None)),
        ("learning_rate", (0.0, -1.0, np.nan, np.inf, "fast", 11)),
        ("weight_decay", (-0.1, np.nan, np.inf, True)),
        ("validation_fraction", (-0.1, 0.91, 1.0, np.nan, None)),
    ],
)
def test_impossible_training_is_refused(argument: str, values: tuple):
    for value in values:
        with refuses(argument):
            Training(**{argument: value})


@pytest.mark.parametrize(
    "clicks",
    [
        np.full(10, 0.5),
        np.full(10, -1.0),
        np.full(10, 2),
        np.full(10, np.nan),
        np.zeros((10, 1)),
        np.zeros(1),
        np.zeros(0),
        1.0,
        "yes",
        None,
        np.array(["a"] * 10),
    ],
    ids=repr,
)
def test_labels_that_are_no_clicks_are_refused_and_the_model_unchanged(clicks: object):
    model = ClickNetwork(**SMALL)
    with refuses("clicks", model):
        train(model, example_rows(10)[0], clicks)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_log_too_short_to_leave_training_rows_is_refused_and_the_model_unchanged(n: int):
    model = ClickNetwork(**SMALL)
    rows, clicks = example_rows(n)
    with refuses("validation_fraction", model):
        train(model, rows, clicks, Training(epochs=1, validation_fraction=0.9))


def test_rows_too_large_for_single_precision_are_refused_and_the_model_unchanged():
    model = ClickNetwork(**SMALL)
    rows, clicks = example_rows(50)
    rows[:, 2] *= 1e39  # finite, but infinite in single precision
    with refuses("contexts", model):
        train(model, rows, clicks, Training(epochs=2))


def test_training_that_diverges_says_so_and_leaves_the_model_unchanged():
    model = ClickNetwork(**SMALL)
    rows, clicks = example_rows(50)
    rows[:, 2] *= 1e30
    model.mlp[0].weight.data *= 1e10  # their products overflow
    with refuses("training", model):
        train(model, rows, clicks, Training(epochs=2))


# ---------------------------------------------------------------------- settings


def test_numbers_of_numpy_are_numbers():
    plan = Training(
        epochs=np.int64(2),
        batch_size=np.int32(8),
        learning_rate=np.float32(0.5),
        patience=np.uint8(1),
        seed=np.int64(3),
        validation_fraction=np.float64(0.25),
    )
    plain = Training(2, 8, 0.5, 0.0, 0.25, 1, 3)
    assert plan == plain
    assert repr(plan) == repr(plain)
    rows, clicks = example_rows(40)
    found, expected = ClickNetwork(**SMALL), ClickNetwork(**SMALL)
    assert train(found, rows, clicks, plan) == train(expected, rows, clicks, plain)
    with refuses("seed"):
        Training(seed=2**64)
    with refuses("seed"):
        ClickNetwork(**SMALL, seed=2**64)

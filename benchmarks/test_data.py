"""Races of the simulated log and of the baseline's training, after it is shown that all agree.

The shop is the book's, seed 0. The baseline learns the first 25,600 impressions of its log.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.special import expit
from threadpoolctl import threadpool_limits
from torch.utils.data import TensorDataset

from data_peers import PlainRows, RowByRow, Rows, train_by_loader
from race import Runner
from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.course import train
from recsys.baseline.training import Training
from recsys.shop.features import Identifiers
from recsys.shop.simulator import Shop

IMPRESSIONS = 200_000
N, EPOCHS = 25_600, 2  # rows and epochs of the training that is timed
TRAINING = Training(epochs=EPOCHS, batch_size=512, validation_fraction=0.0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Let nobody take a second thread, outside of the races as inside."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def loop() -> RowByRow:
    """Return a loop that makes the first tenth of the log."""
    return RowByRow(Shop(seed=0), IMPRESSIONS // 10)


def test_loops_over_rows_make_the_same_log(loop):
    log = Shop(seed=0).log(IMPRESSIONS)
    for made in (loop.by_numpy(), PlainRows(loop).rows()):
        users, products, clicks, propensities = zip(*made, strict=True)
        np.testing.assert_array_equal(log.users[: loop.n], users)
        np.testing.assert_array_equal(log.products[: loop.n], products)
        np.testing.assert_array_equal(log.clicks[: loop.n], clicks)
        np.testing.assert_allclose(log.propensities[: loop.n], propensities, rtol=1e-12)


def test_loops_over_rows_give_the_same_probabilities(loop):
    shop = Shop(seed=0)
    log = shop.log(2_000)
    expected = shop.click_probability(log.users, log.products, log.rounds)
    pairs = log.users.tolist(), log.products.tolist()
    one_by_one = [loop.mu(*pair) for pair in zip(*pairs, strict=True)]
    np.testing.assert_allclose(one_by_one, expected, rtol=1e-12)
    np.testing.assert_allclose(PlainRows(loop).mus(*pairs), expected, rtol=1e-12)


def test_log_of_200_000_impressions(race, loop):
    plain = PlainRows(loop)

    def ours(shop: Shop) -> None:
        shop.log(IMPRESSIONS)

    drawn = "its random numbers are drawn beforehand"
    race(
        "A log of 200,000 impressions",
        "impression",
        Runner(ours, IMPRESSIONS, lambda: Shop(seed=0)),  # a new shop: numbers are drawn anew
        {
            "loop over rows, Generator.choice": Runner(
                lambda state: loop.by_choice(), loop.n, kind="other", note="visitors of its own"
            ),
            "loop over rows, searches in sums": Runner(
                lambda state: loop.by_numpy(), loop.n, note=drawn
            ),
            "loop over rows, no NumPy": Runner(lambda state: plain.rows(), loop.n, note=drawn),
            "three random numbers for each row": Runner(
                lambda state: np.random.default_rng(0).random((IMPRESSIONS, 3)),
                *(IMPRESSIONS, lambda: None, "limit"),
                note="visitor, product and click",
            ),
        },
    )


def test_click_probabilities_of_200_000_impressions(race, loop):
    shop, plain = Shop(seed=0), PlainRows(loop)
    log = shop.log(IMPRESSIONS)
    users, products = log.users[: loop.n].tolist(), log.products[: loop.n].tolist()
    numbers = np.random.default_rng(0).normal(size=IMPRESSIONS)

    def one_by_one(state: object) -> None:
        for user, product in zip(users, products, strict=True):
            loop.mu(user, product)

    race(
        "Click probabilities of 200,000 impressions",
        "impression",
        Runner(
            lambda state: shop.click_probability(log.users, log.products, log.rounds), IMPRESSIONS
        ),
        {
            "loop over rows": Runner(one_by_one, loop.n),
            "loop over rows, no NumPy": Runner(lambda state: plain.mus(users, products), loop.n),
            "two logistic functions for each row": Runner(
                lambda state: expit(expit(numbers)),
                *(IMPRESSIONS, lambda: None, "limit"),
                note="of the affinity, and of the sum",
            ),
        },
    )


@pytest.fixture(scope="module")
def log():
    """Return the rows (user id, product id) and the clicks that the networks learn."""
    shop = Shop(seed=0)
    made = shop.log(N)
    rows = Identifiers(shop).rows(made.users, made.products, made.rounds)
    return (shop.n_users, shop.n_products), rows, made.clicks


def network(vocabularies: tuple[int, int]) -> ClickNetwork:
    """Return the same untrained network each time, with the sizes that chapter 1 uses."""
    return ClickNetwork(vocabularies, seed=0)


@pytest.mark.parametrize("dataset", [TensorDataset, Rows])
def test_training_by_a_loader_ends_at_the_same_loss(log, dataset):
    vocabularies, rows, clicks = log
    ours = train(network(vocabularies), rows, clicks, TRAINING).training
    theirs = train_by_loader(network(vocabularies), rows, clicks, TRAINING, dataset)
    np.testing.assert_allclose(theirs, ours, rtol=1e-5)  # the same batches, to rounding
    assert ours[1] < ours[0]


def test_training_the_baseline(race, log):
    vocabularies, rows, clicks = log

    def ours(model: ClickNetwork) -> None:
        train(model, rows, clicks, TRAINING)

    def by_tensors(model: ClickNetwork) -> None:
        train_by_loader(model, rows, clicks, TRAINING, TensorDataset)

    def by_rows(model: ClickNetwork) -> None:
        train_by_loader(model, rows, clicks, TRAINING, Rows)

    def start() -> ClickNetwork:
        return network(vocabularies)

    units, note = N * EPOCHS, "AdamW as torch makes it by default"
    race(
        "Training the baseline, batches of 512",
        "row",
        Runner(ours, units, start),
        {
            "TensorDataset and DataLoader": Runner(by_tensors, units, start, note=note),
            "a Dataset of rows and DataLoader": Runner(by_rows, units, start, note=note),
        },
        repeats=5,
    )

"""Races of training many click networks, each on the log of a shop of its own.

The networks read features, as those that chapter 2 trains every night do. All ways end at the same
parameters, so at the same loss. The limit are the products of a step alone, in single precision.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed

from race import Runner
from recsys.baseline import ClickNetwork, Training, train, train_together
from recsys.cost import Tally
from recsys.shop import ObservedFeatures, Shop
from training_peers import train_by_autograd, train_by_func, train_by_numpy

N, HIDDEN = 20_480, (64, 32)


def shops(n_shops: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return rows (N, d) and clicks (N,) of the logs of so many shops."""
    rows, clicks = [], []
    for seed in range(n_shops):
        shop = Shop(seed=seed)
        log = shop.log(N)
        rows.append(ObservedFeatures(shop).rows(log.users, log.products, log.rounds))
        clicks.append(log.clicks)
    return rows, clicks


def networks(rows: list[np.ndarray]) -> list[ClickNetwork]:
    """Return an untrained network for each shop."""
    return [ClickNetwork((), r.shape[1], hidden=HIDDEN, seed=s) for s, r in enumerate(rows)]


def trainings(n: int, batch: int, epochs: int) -> list[Training]:
    plan = {"epochs": epochs, "batch_size": batch, "validation_fraction": 0.0}
    return [Training(learning_rate=1e-3, seed=seed, **plan) for seed in range(n)]


def one_by_one(models: list, rows: list, clicks: list, plans: list) -> np.ndarray:
    """Train one after the other by our own function."""
    found = [train(*four).training for four in zip(models, rows, clicks, plans, strict=True)]
    return np.array(found).T


def together(models: list, rows: list, clicks: list, plans: list) -> np.ndarray:
    """Train all at once by our own function."""
    found = train_together(models, rows, clicks, plans)
    return np.array([history.training for history in found]).T


def _trained(*four: object) -> list[float]:
    torch.set_num_threads(1)
    return train(*four).training


def in_processes(models: list, rows: list, clicks: list, plans: list) -> np.ndarray:
    """Train in two processes, one network after the other in each."""
    fours = zip(models, rows, clicks, plans, strict=True)
    return np.array(Parallel(n_jobs=2)(delayed(_trained)(*four) for four in fours)).T


WAYS = {
    "autograd, one by one": train_by_autograd,
    "torch.func, stacked": train_by_func,
    "NumPy by hand, one by one": train_by_numpy,
}


@pytest.mark.parametrize("way", [*WAYS.values(), one_by_one, in_processes])
def test_every_way_ends_at_the_same_loss(way: Callable):
    rows, clicks = shops(3)
    plans = trainings(3, 1_024, 2)
    expected = together(networks(rows), rows, clicks, plans)
    np.testing.assert_allclose(way(networks(rows), rows, clicks, plans), expected, rtol=2e-5)
    assert (expected[1] < expected[0]).all()


def products_alone(n_networks: int, batch: int, steps: int, d: int) -> Callable:
    """Return the products of a step of every network, forward, backward and the gradients."""
    sizes = [d, *HIDDEN, 1]
    layers = [
        (torch.randn(batch, w), torch.randn(h, w), torch.randn(batch, h))
        for w, h in pairwise(sizes)
    ]

    def run(_: object) -> None:
        for _ in range(steps * n_networks):
            for place, (a, weight, delta) in enumerate(layers):
                torch.mm(a, weight.mT)
                torch.mm(delta.mT, a)
                if place:
                    torch.mm(delta, weight)

    return run


@pytest.mark.parametrize(
    ("n_networks", "batch"), [(20, 256), (20, 1_024), (20, 4_096), (100, 1_024)]
)
def test_training_many_networks(race, n_networks: int, batch: int):
    rows, clicks = shops(n_networks)
    plans, epochs = trainings(n_networks, batch, 2), 2

    def runner(way: Callable, n: int, kind: str = "peer", note: str = "") -> Runner:
        def run(models: list[ClickNetwork]) -> None:
            way(models, rows[:n], clicks[:n], plans[:n])

        return Runner(run, n * epochs * N, lambda: networks(rows[:n]), kind, note)

    few = 5
    with Tally() as tally:
        together(networks(rows), rows, clicks, plans)
    race.fact("peak memory of torch, MB", tally.peak / 2**20)
    in_processes(networks(rows[:2]), rows[:2], clicks[:2], plans[:2])  # processes start once
    steps = epochs * -(-N // batch)
    race(
        f"training {n_networks} networks, batches of {batch:,}",
        "row of one network",
        runner(together, n_networks),
        {
            "autograd, one by one": runner(train_by_autograd, few),
            "torch.func, stacked": runner(train_by_func, n_networks),
            "NumPy by hand, one by one": runner(train_by_numpy, few),
            "ours, one by one": runner(one_by_one, few, "own"),
            "ours, one by one in two processes": runner(
                in_processes, n_networks, "own", "two cores in the place of one"
            ),
            "the products alone": Runner(
                products_alone(few, batch, steps, rows[0].shape[1]),
                few * epochs * N,
                kind="limit",
                note="forward, backward, gradients",
            ),
        },
        repeats=3 if n_networks == 100 else 5,
    )


def test_time_to_equal_validation_loss(race):
    """Ours at the batch of the book and at smaller ones, each to the same held-out loss."""
    n, target, needed = 20, None, {}
    rows, clicks = shops(n)

    def plans(batch: int, epochs: int) -> list[Training]:
        rate = 1e-2 * (batch / 4_096) ** 0.5  # the usual rule for Adam: with the root of the batch
        return [Training(epochs, batch, rate, patience=epochs, seed=s) for s in range(n)]

    for batch in (4_096, 1_024, 256):
        found = train_together(networks(rows), rows, clicks, plans(batch, 30))
        mean = np.mean([history.validation for history in found], axis=0)
        best = np.minimum.accumulate(mean)
        target = best[-1] + 1e-4 if target is None else target
        race.fact(f"best held-out loss, batches of {batch:,}", best[-1])
        if best[-1] <= target:
            needed[batch] = int(np.argmax(best <= target)) + 1
            race.fact(f"epochs to the common loss, batches of {batch:,}", needed[batch])

    def runner(batch: int, kind: str = "own") -> Runner:
        def run(models: list[ClickNetwork]) -> None:
            train_together(models, rows, clicks, plans(batch, needed[batch]))

        return Runner(run, n, lambda: networks(rows), kind)

    smaller = {f"batches of {batch:,}": runner(batch) for batch in needed if batch != 4_096}
    race(
        f"training {n} networks to the same held-out loss, batches of 4,096",
        "network",
        runner(4_096),
        smaller,
        repeats=3,
    )

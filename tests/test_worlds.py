"""One setting shifts every seed: of shops, synthetic worlds, policies and trainings."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from recsys import checks, worlds
from recsys.baseline import ClickNetwork, Training, train
from recsys.lab import RewardTable, over_seeds
from recsys.linear import LinUCB
from recsys.neural import NeuralThompson, NeuralUCB, Schedule, score_network
from recsys.shop import CodedFeatures, Shop


def in_worlds(monkeypatch, shift: int | None):
    if shift is None:
        monkeypatch.delenv(worlds.VARIABLE, raising=False)
    else:
        monkeypatch.setenv(worlds.VARIABLE, str(shift))


def of_shop(seed: int) -> np.ndarray:
    shop = Shop(seed=seed)
    log = shop.log(200)
    draws = shop.policy_rng("somebody").random(3)
    return np.concatenate([shop.products.quality, log.users, log.clicks, draws])


def of_generator(seed: int) -> np.ndarray:
    return worlds.generator(seed).random(5)


def of_several_numbers(seed: int) -> np.ndarray:
    return worlds.generator([seed, 7]).random(5)


def of_policy(seed: int) -> np.ndarray:
    return np.array([NeuralUCB(3, (4,), seed=seed).rng.random()])


def of_network(seed: int) -> np.ndarray:
    return np.concatenate(
        [p.detach().ravel() for p in score_network(3, (4,), seed=seed).parameters()]
    )


def of_stacked_networks(seed: int) -> np.ndarray:
    stacked = score_network(3, (4,), seed=seed, n_worlds=2)
    return np.concatenate([p.detach()[1].ravel() for p in stacked.parameters()])


def of_click_network(seed: int) -> np.ndarray:
    network = ClickNetwork((5, 4), seed=seed)
    return np.concatenate([p.detach().ravel() for p in network.parameters()])


def of_training(seed: int) -> np.ndarray:
    network = ClickNetwork((5, 4))
    with torch.no_grad():  # the same start in all worlds: what differs is the order of the rows
        for p in network.parameters():
            p.copy_(torch.linspace(-1, 1, p.numel()).reshape(p.shape))
    rows = np.stack([np.arange(60) % 5, np.arange(60) % 4], axis=1)
    train(network, rows, (np.arange(60) % 3 == 0).astype(float), Training(2, 8, seed=seed))
    return np.concatenate([p.detach().ravel() for p in network.parameters()])


def of_replay(seed: int) -> np.ndarray:
    policy = NeuralUCB(2, (4,), schedule=Schedule(seed=seed), rng=np.random.default_rng(0))
    return policy.replay.batches.random(3)


def of_table(seed: int) -> np.ndarray:
    table = RewardTable(np.arange(30.0).reshape(30, 1), np.arange(60.0).reshape(30, 2) % 2)
    return table.shuffled(seed).contexts.ravel()


DRAWN = (
    of_shop,
    of_generator,
    of_several_numbers,
    of_policy,
    of_network,
    of_stacked_networks,
    of_click_network,
    of_training,
    of_replay,
    of_table,
)


@pytest.mark.parametrize("drawn", DRAWN, ids=lambda f: f.__name__)
def test_a_seed_in_shifted_worlds_is_the_later_seed(drawn, monkeypatch):
    in_worlds(monkeypatch, None)
    later, now = drawn(1007), drawn(7)
    in_worlds(monkeypatch, 1000)
    assert np.array_equal(drawn(7), later)
    assert not np.array_equal(later, now)
    in_worlds(monkeypatch, 0)
    assert np.array_equal(drawn(7), now)


@pytest.mark.parametrize(
    "make",
    [
        lambda: LinUCB(3, 2),
        lambda: NeuralThompson(2, (4,)),
        lambda: checks.generator("rng", None),
    ],
)
def test_policies_without_a_generator_of_their_own_draw_from_shifted_seeds(make, monkeypatch):
    def draws() -> np.ndarray:
        made = make()
        return getattr(made, "rng", made).random(4)

    in_worlds(monkeypatch, None)
    first = draws()
    in_worlds(monkeypatch, 1000)
    assert not np.array_equal(draws(), first)
    assert np.array_equal(draws(), np.random.default_rng(1000).random(4))


def test_codes_of_products_are_drawn_anew(monkeypatch):
    in_worlds(monkeypatch, None)
    shop = Shop(seed=0)
    codes = CodedFeatures(shop).rows(np.zeros(1, int), np.arange(1), 0)
    in_worlds(monkeypatch, 1000)
    again = CodedFeatures(shop).rows(np.zeros(1, int), np.arange(1), 0)
    assert not np.array_equal(codes, again)


def test_the_seed_that_a_shop_tells_is_the_one_that_was_asked_for(monkeypatch):
    in_worlds(monkeypatch, 1000)
    assert Shop(seed=3).seed == 3


def test_processes_of_a_sweep_inherit_the_setting(monkeypatch):
    code = (
        "import numpy as np\nfrom recsys.lab import over_seeds\nfrom recsys.shop import Shop\n"
        "f = lambda s: Shop(seed=s).log(200).users.sum() * 1.0\n"
        "print(*over_seeds(f, range(3), n_jobs=2))"
    )
    env = {**os.environ, worlds.VARIABLE: "1000"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    in_worlds(monkeypatch, None)
    users = over_seeds(lambda s: Shop(seed=1000 + s).log(200).users.sum() * 1.0, range(3), n_jobs=1)
    assert [float(word) for word in done.stdout.split()] == users.tolist()


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "1e3", str(2**32 + 1), "٣"])
def test_what_is_no_shift_is_refused(text, monkeypatch):
    monkeypatch.setenv(worlds.VARIABLE, text)
    with pytest.raises(ValueError, match=f"{worlds.VARIABLE}: got .*, expected an integer from 0"):
        Shop(seed=0)


@pytest.mark.parametrize("seed", [-1, 1.0, "1", None, True, [], [1, -2], [0.5]])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match=r"seed: got .*, expected non-negative integers"):
        worlds.generator(seed)

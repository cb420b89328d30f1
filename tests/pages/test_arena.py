import numpy as np
import pytest
import torch

from recsys.linear import LinUCB, SharedLinUCB
from recsys.neural import NeuralLinear, NeuralUCB
from recsys.pages.arena import DAY, LOG, informed, network, open_shops, regression
from recsys.shop import CodedFeatures, CrossedFeatures, SharedUserFeatures
from strategies import small_shop, snapshot


def test_the_shops_differ_in_the_trends_alone():
    (calm, logs), (moved, same) = (open_shops(strength, 12, range(2)) for strength in (0.0, 1.0))
    users, products = np.arange(200)[:, None], np.arange(12)
    for shop, other, log, again in zip(calm, moved, logs, same, strict=True):
        assert snapshot(log) == snapshot(again)
        assert len(log) == LOG
        mu = {t: shop.click_probability(users, products, t) for t in (0, LOG + 2 * DAY)}
        assert np.array_equal(mu[0], mu[LOG + 2 * DAY])
        before, first, second = (
            other.click_probability(users, products, LOG + t) for t in (DAY - 1, DAY, 2 * DAY)
        )
        assert np.array_equal(before, mu[0])
        assert (first != before).any()
        assert (second != first).any()
    assert snapshot(logs[0]) != snapshot(logs[1])


@pytest.mark.parametrize(
    "make",
    [
        network(NeuralUCB, 0.03),
        network(NeuralLinear, 0.01, 0.3, covariance="full"),
        regression(LinUCB, 0.1, 1.0),
        regression(SharedLinUCB, 0.1, 1.0, CrossedFeatures.n_features),
    ],
)
def test_every_agent_is_fresh_and_plays_twenty_shops(make):
    one, two = make(50), make(50)
    assert one is not two
    assert one.rng is not two.rng
    assert snapshot(one) == snapshot(two)
    assert one.n_worlds == 20


def test_settings_of_a_call_come_before_those_of_practice():
    assert network(NeuralUCB, 0.1)(50).memory.diagonal.dtype == torch.float32
    agent = network(NeuralUCB, 0.1, 0.5, dtype="float64", n_worlds=3)(50)
    assert agent.memory.diagonal.dtype == torch.float64
    assert (agent.alpha, agent.ridge, agent.n_worlds) == (0.1, 0.5, 3)


def test_everybody_reads_the_whole_log():
    shops = [small_shop(seed) for seed in range(2)]
    logs = [shop.log(150) for shop in shops]
    agent = network(NeuralUCB, 0.1, n_worlds=2)(12)
    fresh = network(NeuralUCB, 0.1, n_worlds=2)(12)
    read, views = informed(agent, CodedFeatures, shops, logs)
    assert read is agent
    assert [view.shop for view in views] == shops
    assert read.rounds == 150
    assert (read.memory.diagonal > fresh.memory.diagonal).any()
    linear, views = informed(
        regression(LinUCB, 0.1, 1.0, n_worlds=2)(12), SharedUserFeatures, shops, logs
    )
    one = LinUCB(12, 9, 0.1, 1.0)
    for user, product, click in zip(logs[1].users, logs[1].products, logs[1].clicks, strict=True):
        one.update(int(product), shops[1].users.features[user], float(click))
    assert np.allclose(linear.theta[1], one.theta)

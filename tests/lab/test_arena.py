import numpy as np

from recsys.lab.arena import DAY, LOG, informed, open_shops
from recsys.linear import LinUCB
from recsys.neural import NeuralUCB
from recsys.policies import EpsilonGreedy
from recsys.shop import CodedFeatures, SharedUserFeatures
from strategies import small_shop, snapshot


def test_the_shops_differ_in_the_trends_alone():
    (calm, logs), (moved, same) = (open_shops(strength, 12, range(2)) for strength in (0.0, 1.0))
    users, products = np.arange(200)[:, None], np.arange(12)
    for shop, other, log, again in zip(calm, moved, logs, same, strict=True):
        assert snapshot(log) == snapshot(again)
        assert len(log) == LOG
        days = [LOG + day * DAY for day in range(3)]
        still = [shop.click_probability(users, products, t) for t in days]
        moving = [other.click_probability(users, products, t) for t in days]
        assert all(np.array_equal(mu, moving[0]) for mu in still)
        assert np.array_equal(moving[0], other.click_probability(users, products, days[1] - 1))
        assert (moving[1] != moving[0]).any()
        assert (moving[2] != moving[1]).any()
    assert snapshot(logs[0]) != snapshot(logs[1])


def small_logs():
    shops = [small_shop(seed) for seed in range(2)]
    return shops, [shop.log(150) for shop in shops]


def test_a_network_reads_the_whole_log_at_once():
    shops, logs = small_logs()
    agent = NeuralUCB(CodedFeatures.n_features, (4,), n_worlds=2, covariance="diagonal")
    before = agent.memory.diagonal.clone()
    read, views = informed(agent, CodedFeatures, shops, logs)
    assert read is agent
    assert [view.shop for view in views] == shops
    assert read.rounds == 150
    assert (read.memory.diagonal > before).any()


def test_a_regression_reads_row_by_row():
    shops, logs = small_logs()
    agent, _ = informed(LinUCB(12, 9, 0.1, n_worlds=2), SharedUserFeatures, shops, logs)
    one = LinUCB(12, 9, 0.1)
    for user, product, click in zip(logs[1].users, logs[1].products, logs[1].clicks, strict=True):
        one.update(int(product), shops[1].users.features[user], float(click))
    assert np.allclose(agent.theta[1], one.theta)


def test_epsilon_wraps_the_agent_that_has_read():
    shops, logs = small_logs()
    agent = LinUCB(12, 9, 0.1, n_worlds=2)
    wrapped, _ = informed(agent, SharedUserFeatures, shops, logs, epsilon=0.3)
    assert isinstance(wrapped, EpsilonGreedy)
    assert wrapped.epsilon == 0.3
    assert agent.theta.any()

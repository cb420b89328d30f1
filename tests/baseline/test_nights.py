"""Shops that train again every night, against nights that are played step by step."""

import copy
from itertools import product

import numpy as np
import pytest

from recsys.baseline import (
    LogisticPolicy,
    ModelPolicy,
    Routine,
    Training,
    contrast,
    fit,
    live,
    nights,
    train,
)
from recsys.lab import effective_number, serve
from recsys.shop import Identifiers, ObservedFeatures
from strategies import refuses, small_shop

PLAN = {"batch_size": 64, "epochs": 4}
HOW = {"ids": PLAN, "features": PLAN, "logistic": {}}


def expected_share(shop, policy, seen, start):
    """Return the share of the oracle's clicks, visitor by visitor."""
    weights, earned, best = shop.visit_probabilities(start), 0.0, 0.0
    for user in range(shop.n_users):
        mu = shop.click_probability(user, np.arange(shop.n_products), start)
        arm = policy.select(seen.rows(user, np.arange(shop.n_products), start))
        earned, best = earned + weights[user] * mu[arm], best + weights[user] * mu.max()
    return earned / best


@pytest.mark.parametrize(("name", "warm"), [("ids", False), ("features", False), ("ids", True)])
def test_the_loop_is_what_plain_training_and_serving_make_of_it(name: str, warm: bool):
    found = live(small_shop(3), [Routine(name, warm=warm)], 3, 400, HOW)
    shop = small_shop(3)
    seen = {"ids": Identifiers, "features": ObservedFeatures}[name](shop)
    log, network = shop.log(400), None
    for day in range(3):
        plan = Training(**PLAN, seed=3_000 + day)
        if warm and day:
            train(network, seen.rows(log.users, log.products, log.rounds), log.clicks, plan)
        else:
            network = fit(seen, log, plan)[0]
        policy, counts = ModelPolicy(network, 12), np.bincount(log.products, minlength=12)
        (told,) = found.values()
        assert told["share"][day] == pytest.approx(expected_share(shop, policy, seen, shop.now))
        log = serve(shop, copy.deepcopy(policy), seen, 400)
        assert told["few"][day] == pytest.approx((counts < 10)[log.products].mean(), abs=0.1)
        assert told["products"][day] == pytest.approx(effective_number(log.products, 12), rel=0.2)


def test_learning_from_the_rule_is_learning_from_its_log_of_the_day_before():
    found = live(small_shop(5), [Routine("logistic", "rule")], 3, 400)
    shop = small_shop(5)
    seen = ObservedFeatures(shop)
    for share in next(iter(found.values()))["share"]:
        policy = LogisticPolicy(seen, shop.log(400))
        assert share == pytest.approx(expected_share(shop, policy, seen, shop.now))


def test_routines_do_not_notice_each_other():
    every = [
        Routine(model, source, explore, warm, memory)
        for model, source, explore, warm, memory in product(
            ("ids", "logistic"), ("own", "rule"), (0.0, 0.3), (False, True), ("day", "sample")
        )
        if not (warm and model == "logistic")
    ]
    together = live(small_shop(1), every, 3, 300, HOW)
    assert list(together) == every
    for routine in every[:3] + every[-2:]:
        alone = live(small_shop(1), [routine], 3, 300, HOW)[routine]
        for name, values in alone.items():
            assert values == pytest.approx(together[routine][name], abs=1e-6), name
    first = {tuple(t["share"][:1]) for r, t in together.items() if r.model == "ids"}
    assert len(first) == 1  # one network for all on the first day


@pytest.mark.parametrize("source", ["own", "rule"])
def test_a_day_is_logged_with_the_chances_with_which_its_products_came(source: str):
    shop = small_shop(2)
    log = shop.log(600)
    policy, seen = LogisticPolicy(ObservedFeatures(shop), log), ObservedFeatures(shop)
    routine = Routine("logistic", source, explore=0.3)
    chances = nights.chances_of(shop, routine, policy, np.bincount(log.products, minlength=12))
    day = nights.a_day(shop, routine, chances, 8_000)
    assert shop.now == 8_600
    assert day.rounds.tolist() == list(range(600, 8_600))
    assert np.array_equal(day.users, shop.visits(600, 8_000).users)
    if source == "rule":
        shop.now = 600
        before = shop.logging_propensities(np.arange(60))
    else:
        rows = seen.rows(np.arange(60)[:, None], np.arange(12), 600)
        before = policy.probabilities(rows)
    mixed = 0.7 * before + 0.3 / 12
    assert day.propensities == pytest.approx(mixed[day.users, day.products])
    shown = np.bincount(day.products, minlength=12) / 8_000
    assert shown == pytest.approx(mixed[day.users].mean(axis=0), abs=0.015)
    mu = shop.click_probability(day.users, day.products, day.rounds)
    assert day.clicks.mean() == pytest.approx(mu.mean(), abs=0.015)


def test_memory_is_the_last_day_as_many_rows_of_all_days_or_all_of_them():
    shop = small_shop(4)
    logs = (shop.log(300), shop.log(300), shop.log(300))
    day, sample, every = (
        nights.learned_from(Routine(memory=memory), logs, shop, 3)
        for memory in ("day", "sample", "all")
    )
    assert day.rounds.tolist() == list(range(600, 900))
    assert every.rounds.tolist() == list(range(900))
    assert len(sample) == 300
    assert np.all(np.diff(sample.rounds) > 0)  # in order of time, no row twice
    assert 50 < np.count_nonzero(sample.rounds < 300) < 150
    assert set(zip(sample.rounds, sample.clicks, strict=True)) <= set(
        zip(every.rounds, every.clicks, strict=True)
    )


def test_products_with_few_impressions_are_not_shown_where_a_routine_forbids_it():
    free, bound = Routine("ids"), Routine("ids", fewest=10)
    told = live(small_shop(7), [free, bound], 4, 300, HOW)
    assert np.all(told[bound]["few"] == 0)
    assert told[free]["few"].max() > 0


def test_the_contrast_averages_over_all_pairs_that_differ_in_one_decision():
    rng = np.random.default_rng(0)
    crossed = [
        Routine(m, s, e) for m, s, e in product(("ids", "logistic"), ("own", "rule"), (0, 1))
    ]
    values = {routine: rng.normal(size=5) for routine in crossed}
    wanted = np.mean(
        [
            values[Routine(m, "own", e)] - values[Routine(m, "rule", e)]
            for m, e in product(("ids", "logistic"), (0, 1))
        ],
        axis=0,
    )
    assert contrast(values, "source", "own", "rule") == pytest.approx(wanted)
    fixed = contrast(values, "source", "own", "rule", model="ids", explore=1)
    one = values[Routine("ids", "own", 1)] - values[Routine("ids", "rule", 1)]
    assert fixed == pytest.approx(one)
    with refuses("values"):
        contrast(values, "warm", True, False)
    with refuses("field"):
        contrast(values, "colour", "own", "rule")


@pytest.mark.parametrize(
    ("argument", "change"),
    [
        ("model", {"model": "forest"}),
        ("source", {"source": "theirs"}),
        ("explore", {"explore": 1.5}),
        ("memory", {"memory": "week"}),
        ("fewest", {"fewest": -1}),
        ("warm", {"model": "logistic", "warm": True}),
    ],
)
def test_impossible_routines_are_refused(argument: str, change: dict):
    with refuses(argument):
        Routine(**change)


def test_impossible_lives_are_refused():
    for argument, call in (
        ("routines", ([], 2, 100)),
        ("routines", ([Routine(), Routine()], 2, 100)),
        ("days", ([Routine()], 0, 100)),
        ("visits_a_day", ([Routine()], 2, 1)),
    ):
        shop = small_shop()
        with refuses(argument, shop):
            live(shop, *call)

"""What every public call costs in a large catalogue: time and peak memory at K arms and at 2K.

``python benchmarks/catalogue.py [--write benchmarks/catalogue.json]``

A call that grows with K² would need four times the memory for twice the arms. Peaks are what NumPy
and torch ask for besides the arguments and what was there before; times are the fastest of a few
calls on one thread. ``CALLS`` names the calls, by room; ``NOT_CALLED`` says why a public name has
none.
"""

from __future__ import annotations

import argparse
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from recsys import baseline, gradients, lab, linear, neural, policies, shop
from recsys.archive import beside
from recsys.cost import count

K, D, N = 2_000, 32, 2_000  # arms, features, rows of a log
HIDDEN = (64,)

Call = Callable[[int], Callable[[], object]]  # arms -> what is measured


def rng() -> np.random.Generator:
    """Return the generator of all numbers here."""
    return np.random.default_rng(0)


def shared() -> np.ndarray:
    """Return a row (d,) for all arms."""
    return rng().standard_normal(D)


def each(k: int) -> np.ndarray:
    """Return a row (k, d) for each arm."""
    return rng().standard_normal((k, D))


def taught(policy: object, k: int, learns: bool = True) -> object:
    """Return a policy that has learned a few rounds."""
    if learns:
        for x in rng().standard_normal((20, D)):
            policy.update(int(rng().integers(k)), x, 1.0)
    return policy


def verbs(make: Callable[[int], object], rows: Callable[[int], np.ndarray], learns: bool) -> dict:
    """Return the calls of a policy: to make one, and its verbs on a row or rows."""
    calls: dict[str, Call] = {"": lambda k: lambda: make(k)}

    def verb(name: str, *more: Callable[[int], object]) -> Call:
        def prepare(k: int) -> Callable[[], object]:
            policy, given = taught(make(k), k, learns), [argument(k) for argument in more]
            return lambda: getattr(policy, name)(*given)

        return prepare

    calls["select"], calls["probabilities"] = verb("select", rows), verb("probabilities", rows)
    for name in ("ucb", "estimates"):
        if hasattr(make(4), name):
            calls[name] = verb(name, rows)
    if learns:
        calls["update"] = verb("update", lambda k: k - 1, lambda k: shared(), lambda k: 1.0)
    return calls


def logged(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the arms, rows and rewards of N rounds."""
    some = rng()
    return some.integers(0, k, N), some.standard_normal((N, D)), some.random(N)


def a_shop(k: int) -> shop.Shop:
    """Return a shop of k products."""
    return shop.Shop(shop.ShopConfig(n_products=k))


def a_log(k: int) -> shop.Log:
    """Return N impressions of k products."""
    some = rng()
    clicks = (some.random(N) < 0.2).astype(float)
    return shop.Log(
        np.arange(N), some.integers(0, 100, N), some.integers(0, k, N), clicks, np.full(N, 1 / k)
    )


def with_log(function: Callable[..., object]) -> Call:
    """Return the call of a measure of a log."""

    def prepare(k: int) -> Callable[[], object]:
        log = a_log(k)
        return lambda: function(log, k)

    return prepare


def named(prefix: str, calls: dict[str, Call]) -> dict[str, Call]:
    """Return the calls with the name of what they belong to."""
    return {f"{prefix}.{name}".rstrip("."): call for name, call in calls.items()}


def linear_calls() -> dict[str, Call]:
    """Return the calls of ``recsys.linear``."""
    kinds = {
        "LinUCB": linear.LinUCB,
        "DiscountedLinUCB": linear.DiscountedLinUCB,
        "SlidingWindowLinUCB": linear.SlidingWindowLinUCB,
        "LinearThompson": linear.LinearThompson,
        "NormalInverseGammaThompson": linear.NormalInverseGammaThompson,
    }
    calls = {}
    for name, kind in kinds.items():
        calls |= named(name, verbs(lambda k, kind=kind: kind(k, D), lambda k: shared(), True))
        calls[f"{name}.select, a row each"] = verbs(lambda k, kind=kind: kind(k, D), each, True)[
            "select"
        ]

        def read(k: int, kind: type = kind) -> Callable[[], object]:
            policy, (arms, rows, rewards) = kind(k, D), logged(k)
            return lambda: policy.read(rows, rewards, arms)

        def grow(k: int, kind: type = kind) -> Callable[[], object]:
            return taught(kind(k, D), k).add_arms

        calls |= {f"{name}.read": read, f"{name}.add_arms": grow}
    calls |= named("SharedLinUCB", verbs(lambda k: linear.SharedLinUCB(k, D), each, True))
    return calls


def policies_calls() -> dict[str, Call]:
    """Return the calls of ``recsys.policies``."""
    makers = {
        "RandomPolicy": (policies.RandomPolicy, False),
        "MostPopular": (policies.MostPopular, True),
        "EpsilonGreedy": (lambda k: policies.EpsilonGreedy(policies.MostPopular(k), 0.1), True),
        "LateFeedback": (lambda k: policies.LateFeedback(policies.MostPopular(k), 5), True),
    }
    calls = {}
    for name, (make, learns) in makers.items():
        calls |= named(name, verbs(make, lambda k: shared(), learns))

    def oracle(k: int) -> Callable[[], object]:
        policy, chances = policies.Oracle(k), rng().random((k, 1))
        return lambda: policy.select(chances)

    def ties(k: int) -> Callable[[], object]:
        scores = np.zeros(k)
        return lambda: policies.argmax_random_ties(scores, rng())

    return calls | {"Oracle.select": oracle, "argmax_random_ties": ties}


def gradients_calls() -> dict[str, Call]:
    """Return the calls of ``recsys.gradients``."""

    def of_rows(function: Callable[..., object], **settings: object) -> Call:
        def prepare(k: int) -> Callable[[], object]:
            model, rows = neural.score_network(D, HIDDEN), torch.from_numpy(each(k))
            return lambda: function(model, rows, **settings)

        return prepare

    def few(k: int) -> Callable[[], object]:
        mlp, rows = gradients.take_apart(neural.score_network(D, HIDDEN)), each(k)
        return lambda: gradients.few_factors(mlp, rows)

    calls = {
        f"per_arm_gradients, {method}": of_rows(gradients.per_arm_gradients, method=method)
        for method in gradients.METHODS
    }
    return calls | {
        "gradient_factors": of_rows(gradients.gradient_factors),
        "backpropagate": of_rows(
            lambda model, rows: gradients.backpropagate(gradients.take_apart(model), rows)
        ),
        "few_factors": few,
    }


def neural_calls() -> dict[str, Call]:
    """Return the calls of ``recsys.neural``; an agent trains in no round here."""
    never = neural.Schedule(every=1_000)
    calls = {}
    for form in neural.FORMS:
        for name, kind in (
            ("NeuralUCB", neural.NeuralUCB),
            ("NeuralThompson", neural.NeuralThompson),
        ):
            if form == "full" and name == "NeuralThompson":
                continue

            def make(k: int, kind: type = kind, form: str = form) -> object:
                return kind(D, HIDDEN, covariance=form, schedule=never)

            calls |= named(f"{name}, {form}", verbs(make, each, True))

        def bonus(k: int, form: str = form) -> Callable[[], object]:
            model = neural.score_network(D, HIDDEN)
            memory = neural.FORMS[form](model)
            memory.add(gradients.gradient_factors(model, torch.from_numpy(each(20))))
            found = gradients.gradient_factors(model, torch.from_numpy(each(k)))
            return lambda: memory.bonus(found)

        calls[f"{neural.FORMS[form].__name__}.bonus"] = bonus
    calls |= named(
        "NeuralLinear",
        verbs(
            lambda k: neural.NeuralLinear(
                D, HIDDEN, schedule=neural.Schedule(every=1_000, replay="all", gradient_at="before")
            ),
            each,
            True,
        ),
    )

    def contenders(k: int) -> Callable[[], object]:
        agent, rows = taught(neural.NeuralUCB(D, HIDDEN), k), each(k)
        factors = agent._factors
        return lambda: neural.contenders(factors, agent.memory, agent.alpha, rows)

    def read(k: int) -> Callable[[], object]:
        agent, (_, rows, rewards) = neural.NeuralUCB(D, HIDDEN, covariance="diagonal"), logged(k)
        return lambda: agent.read(rows, rewards, steps=5)

    return calls | {"contenders": contenders, "NeuralUCB.read": read}


def shop_calls() -> dict[str, Call]:
    """Return the calls of ``recsys.shop``; a shop keeps a table of users and products."""

    def of_shop(work: Callable[[shop.Shop], object]) -> Call:
        def prepare(k: int) -> Callable[[], object]:
            market = a_shop(k)
            return lambda: work(market)

        return prepare

    calls = {
        "Shop": lambda k: lambda: a_shop(k),
        "Shop.log": of_shop(lambda market: market.log(N)),
        "Shop.visits": of_shop(lambda market: market.visits(0, N)),
        "Shop.click_probabilities": of_shop(
            lambda market: market.click_probabilities(market.visits(0, 64))
        ),
        "Shop.logging_propensities": of_shop(
            lambda market: market.logging_propensities(np.arange(64))
        ),
        "Shop.available": of_shop(lambda market: market.available(0)),
        "Shop.churn": of_shop(lambda market: market.churn(market.now, 5)),
    }
    for view in (
        shop.Identifiers,
        shop.ObservedFeatures,
        shop.JointFeatures,
        shop.CodedFeatures,
        shop.CrossedFeatures,
        shop.SharedUserFeatures,
        shop.Truth,
    ):
        calls[view.__name__] = of_shop(lambda market, view=view: view(market)(market.visits(0, 8)))
    return calls


def lab_calls() -> dict[str, Call]:
    """Return the calls of ``recsys.lab`` that know of arms."""

    def in_a_shop(work: Callable[[shop.Shop], object]) -> Call:
        def prepare(k: int) -> Callable[[], object]:
            market = a_shop(k)
            return lambda: work(market)

        return prepare

    def bandit(market: shop.Shop) -> object:
        view = shop.SharedUserFeatures(market)
        return lab.run(market, linear.LinUCB(market.n_products, 9), view, 0, 50)

    def fixed(market: shop.Shop) -> object:
        view = shop.SharedUserFeatures(market)
        return lab.run(market, policies.RandomPolicy(market.n_products), view, 0, 50)

    def table(k: int) -> Callable[[], object]:
        data = lab.RewardTable(rng().standard_normal((50, D)), rng().random((50, k)))
        return lambda: lab.run(data, linear.LinUCB(k, D))

    def read(market: shop.Shop) -> None:
        view = shop.SharedUserFeatures(market)
        policy = linear.LinUCB(market.n_products, 9)
        lab.read_logs(policy, market, a_log(market.n_products), view)

    def serve(market: shop.Shop) -> object:
        view = shop.SharedUserFeatures(market)
        return lab.serve(market, policies.RandomPolicy(market.n_products), view, 50)

    return {
        "run, LinUCB in a shop": in_a_shop(bandit),
        "run, fixed in a shop": in_a_shop(fixed),
        "run, LinUCB on a table": table,
        "read_logs": in_a_shop(read),
        "serve": in_a_shop(serve),
        "judge": in_a_shop(lambda market: lab.judge(market, a_log(market.n_products)[:200])),
        "linear_limit": in_a_shop(lambda market: lab.linear_limit(market, 0, 50)),
        "naive_rates": with_log(lab.naive_rates),
        "ips_rates": with_log(lab.ips_rates),
        "effective_number": with_log(lambda log, k: lab.effective_number(log.products, k)),
    }


def baseline_calls() -> dict[str, Call]:
    """Return the calls of ``recsys.baseline``."""
    quick = baseline.Training(epochs=1)

    def rows(k: int) -> tuple[np.ndarray, np.ndarray]:
        arms, features, _ = logged(k)
        clicks = (rng().random(N) < 0.3).astype(float)
        return np.column_stack([arms, features]), clicks

    def fit(k: int) -> Callable[[], object]:
        given, clicks = rows(k)
        return lambda: baseline.fit(given, clicks, quick, vocabularies=(k,))

    def logistic(k: int) -> Callable[[], object]:
        given, clicks = rows(k)
        return lambda: baseline.LogisticPolicy(given, clicks, vocabularies=(k,))

    def model_policy(k: int) -> Callable[[], object]:
        network = baseline.ClickNetwork((k,), D)
        policy, given = baseline.ModelPolicy(network), np.column_stack([np.arange(k), each(k)])
        return lambda: policy.select(given)

    return {
        "ClickNetwork": lambda k: lambda: baseline.ClickNetwork((k,), D),
        "fit": fit,
        "LogisticPolicy": logistic,
        "ModelPolicy.select": model_policy,
    }


CALLS: dict[str, Callable[[], dict[str, Call]]] = {
    "shop": shop_calls,
    "policies": policies_calls,
    "baseline": baseline_calls,
    "linear": linear_calls,
    "gradients": gradients_calls,
    "neural": neural_calls,
    "lab": lab_calls,
}

NOT_CALLED = {
    "holds numbers or names, or is a form to fill": {
        "CATEGORIES", "CODE", "PERSONAS", "PRICE_TIERS", "PRODUCT_FEATURES", "USER_FEATURES",
        "Featurizer", "ShopConfig", "Trace", "Visits", "Log", "Policy", "ScoringPolicy",
        "ThompsonSampling", "UpperConfidence", "History", "Training", "NEW_PRODUCTS", "NEW_USERS",
        "N_LOG", "TODAY", "DAY", "LEVEL", "LOG", "Estimate", "METHODS", "FORMS", "Schedule",
        "Factors", "FewFactors", "Mlp", "Scale", "StackedLinear", "LinearPlay", "Verdict",
        "LogEstimate", "ManyLogs", "Routine",
        "RULES", "SEARCH_SEEDS", "Contestant", "Record", "Search",
    },
    "knows of users, seeds, rows or parameters, not of arms": {
        "top_category", "auc", "band", "band_curve", "paired_band", "holm", "calibration_error",
        "reliability", "excess_loss", "expected_log_loss", "irreducible_loss", "over_cases",
        "normalised_entropy", "contrast", "effective_sample_size", "estimate_value", "generator",
        "over_seeds", "AutogradStep", "ClosedFormStep", "train", "train_together", "fit_together",
        "score_network", "objective_gradient", "GrowingCholesky", "affine", "all_finite", "chunks",
        "n_rows_within", "take_apart", "grid", "tune",
    },
    "is made of calls that stand in the table": {
        "best_linear_fit", "informed", "open_shops", "play_linear_world", "replicate", "retrain",
        "RewardTable", "RidgeMemory", "FrozenModels", "frozen_field", "nightly_network",
        "chances_of_shown", "live", "many_logs", "with_borrowed_rows", "with_fresh_rows",
        "fit_with", "shop_with_newcomers", "train_models", "exploration_bonus",
    },
}  # fmt: skip


def peak(work: Callable[[], object]) -> int:
    """Return the bytes that one call asks for at most, of NumPy and of torch."""
    tracemalloc.start()
    try:
        tally = count(work)
        return tracemalloc.get_traced_memory()[1] + tally.peak
    finally:
        tracemalloc.stop()


def peaks(call: Call, k: int) -> tuple[int, int]:
    """Return the peaks at k arms and at 2k; what a first call imports does not count."""
    call(8)()
    return peak(call(k)), peak(call(2 * k))


def seconds(work: Callable[[], object], at_most: float = 1.0) -> float:
    """Return the time of the fastest of up to five calls."""
    times: list[float] = []
    while len(times) < 5 and sum(times) < at_most:
        began = perf_counter()
        work()
        times.append(perf_counter() - began)
    return min(times)


def measured(call: Call, k: int = K) -> dict[str, float]:
    """Return milliseconds at k arms, megabytes at k, and both at 2k divided by those at k."""
    memory, more = peaks(call, k)
    time, longer = seconds(call(k)), seconds(call(2 * k))
    return {
        "ms": 1e3 * time,
        "MB": memory / 2**20,
        "time, 2K": longer / time,
        "memory, 2K": more / max(memory, 1),
    }


def main() -> None:
    """Measure every call and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--write", type=Path)
    where = parser.parse_args().write
    torch.set_num_threads(1)
    table: dict[str, dict[str, float]] = {}
    print(f"{'call':58} {'ms':>9} {'MB':>8} {'time, 2K':>9} {'memory, 2K':>11}")
    for room, calls in CALLS.items():
        for name, call in calls().items():
            row = {key: float(f"{value:.3g}") for key, value in measured(call).items()}
            table[f"{room}.{name}"] = row
            print(f"{room + '.' + name:58}" + "".join(f"{row[c]:10.2f}" for c in row), flush=True)
    if where is not None:
        with beside(where) as place:
            place.write_text(json.dumps({"K": K, "d": D, "calls": table}, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()

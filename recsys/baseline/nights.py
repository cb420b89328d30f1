"""Shops that train their model again every night: what it learns from, and how it starts.

A ``Routine`` says what is done each night, ``live`` plays many of them side by side in one shop.
All serve the first day with one network, meet the same visits with the same click uniforms, and
draw the same coins and the same random products, so a difference between two routines is due to
what they do differently.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from recsys import checks
from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.course import train_together
from recsys.baseline.greedy import ModelPolicy
from recsys.baseline.logistic import LogisticPolicy
from recsys.baseline.training import Training
from recsys.policies import ScoringPolicy
from recsys.shop import Featurizer, Identifiers, Log, ObservedFeatures, Shop

MODELS = {"ids": Identifiers, "features": ObservedFeatures, "logistic": ObservedFeatures}
FEW = 10  # impressions: a product with fewer in the log of last night is as good as unknown


@dataclass(frozen=True)
class Routine:
    """What a shop does every night. All logs are of equal length unless ``memory`` is "all".

    Attributes
    ----------
    model : str
        "ids" (Embedding + MLP), "features" (MLP on features) or "logistic".
    source : str
        Whose impressions are learned from: "own", or "rule", those of yesterday's rule on the same
        visits.
    explore : float
        Share of these visits, drawn by a coin, in which a product is drawn uniformly instead.
    memory : str
        "day": the last day; "sample": as many impressions, drawn from all days so far; "all".
    warm : bool
        Whether a network starts from last night's weights, or from nothing.
    fewest : int
        Products with fewer impressions than that in the log of the night are not shown.
    """

    model: str = "features"
    source: str = "own"
    explore: float = 0.0
    memory: str = "day"
    warm: bool = False
    fewest: int = 0

    def __post_init__(self) -> None:
        checks.one_of("model", self.model, tuple(MODELS))
        checks.one_of("source", self.source, ("own", "rule"))
        checks.number("explore", self.explore, 0.0, 1.0)
        checks.one_of("memory", self.memory, ("day", "sample", "all"))
        checks.integer("fewest", self.fewest, 0)
        if self.warm and self.model == "logistic":
            raise ValueError(
                "warm: got True for a logistic regression, expected False: its loss has one "
                "minimum, wherever it starts"
            )


def live(
    shop: Shop,
    routines: Mapping[str, Routine],
    days: int,
    visits_a_day: int = 12_000,
    training: Training | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Play routines side by side for some days, after a day of yesterday's rule.

    Parameters
    ----------
    shop : Shop
        Its clock moves on by ``visits_a_day`` from day to day. Trends may have been announced.
    routines : mapping from a name to a Routine
    days : int
        Days on which models serve; the night before the first they are trained on the rule's log.
    visits_a_day : int
    training : Training, optional
        Its seed is replaced by one of the shop and the night.

    Returns
    -------
    dict
        For each name a mapping to arrays (days,), expectations over the visitors of a day, exact
        from the true probabilities, for what the model picks (without the random products):
        "share" of the oracle's clicks; "products", their effective number (``effective_number``);
        "few", the share of the visits in which it picks a product with fewer than ``FEW``
        impressions in its last log.

    Raises
    ------
    ValueError
        If a number is out of range, there is no routine, or the catalogue changes meanwhile.
    """
    if not routines or not all(isinstance(r, Routine) for r in routines.values()):
        raise ValueError(f"routines: got {routines!r}, expected a Routine for each name")
    days, n = checks.integer("days", days, 1), checks.integer("visits_a_day", visits_a_day, 2)
    training = Training() if training is None else training
    makers = {name: MODELS[name](shop) for name in MODELS}
    night = _Night(shop, makers, training)
    yesterday = shop.log(n)
    histories = {name: [yesterday] for name in routines}
    models: dict[str, ScoringPolicy] = {}
    out = {name: {key: np.empty(days) for key in ("share", "products", "few")} for name in routines}
    for day in range(days):
        last = {name: _memory(histories[name], routines[name], shop, day) for name in routines}
        models = night.train(routines, last, models, day)
        served = shop.now
        for name, routine in routines.items():
            counts = np.bincount(last[name].products, minlength=shop.n_products)
            chances = _chances(shop, models[name], makers[routine.model], counts, routine.fewest)
            for key, value in _what_it_picks(shop, chances, counts).items():
                out[name][key][day] = value
            shop.now = served
            histories[name].append(_day(shop, routine, chances, n))
    return out


class _Night:
    """Trains the models of all routines, networks of one shape in one array."""

    def __init__(self, shop: Shop, makers: dict[str, Featurizer], training: Training) -> None:
        self.shop, self.makers, self.training = shop, makers, training

    def train(
        self,
        routines: Mapping[str, Routine],
        logs: dict[str, Log],
        before: dict[str, ScoringPolicy],
        day: int,
    ) -> dict[str, ScoringPolicy]:
        """Return a new policy for each routine; equal logs and starts are trained once."""
        seed = 1_000 * self.shop.seed + day
        training = Training(**{**vars(self.training), "seed": seed})
        made: dict[tuple, object] = {}
        keys = {}
        for name, routine in routines.items():
            start = id(before[name].model) if routine.warm and before else None
            keys[name] = (routine.model, start, logs[name].products.tobytes(), len(logs[name]))
            if keys[name] in made:
                continue
            maker, log = self.makers[routine.model], logs[name]
            if routine.model == "logistic":
                made[keys[name]] = LogisticPolicy(maker, log)
            elif start is None:
                made[keys[name]] = ClickNetwork(maker.vocabularies, maker.n_features, seed=seed)
            else:
                made[keys[name]] = copy.deepcopy(before[name].model)
        networks = {k: m for k, m in made.items() if isinstance(m, ClickNetwork)}
        if networks:
            which = {keys[name]: name for name in reversed(routines)}
            rows, clicks = [], []
            for key in networks:
                log = logs[which[key]]
                rows.append(self.makers[key[0]].rows(log.users, log.products, log.rounds))
                clicks.append(log.clicks)
            train_together(list(networks.values()), rows, clicks, [training] * len(networks))
        return {
            name: made[key]
            if routines[name].model == "logistic"
            else ModelPolicy(made[key], self.shop.n_products)
            for name, key in keys.items()
        }


def _memory(history: list[Log], routine: Routine, shop: Shop, day: int) -> Log:
    """Return the impressions that a routine learns from tonight, in order of time."""
    if routine.memory == "day" or len(history) == 1:
        return history[-1]
    everything = history[0]
    for log in history[1:]:
        everything = everything + log
    if routine.memory == "all":
        return everything
    rng = shop.policy_rng(f"memory {day}")
    return everything[np.sort(rng.choice(len(everything), len(history[-1]), replace=False))]


def _chances(
    shop: Shop, policy: ScoringPolicy, maker: Featurizer, counts: np.ndarray, fewest: int
) -> np.ndarray:
    """Return with which probability each user is shown each product: (n_users, K)."""
    users = np.arange(shop.n_users)[:, None]
    contexts = maker.rows(users, np.arange(shop.n_products), shop.now)
    return policy.probabilities(contexts, counts >= fewest)


def _what_it_picks(shop: Shop, chances: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """Return the expectations that ``live`` reports for a day."""
    weights = shop.visit_probabilities(shop.now)
    users = np.arange(shop.n_users)[:, None]
    mu = shop.click_probability(users, np.arange(shop.n_products), shop.now)
    shown = weights @ chances  # (K,)
    return {
        "share": weights @ (chances * mu).sum(axis=1) / (weights @ mu.max(axis=1)),
        "products": np.exp(-xlogy(shown, shown).sum()),
        "few": shown[counts < FEW].sum(),
    }


def _day(shop: Shop, routine: Routine, chances: np.ndarray, n: int) -> Log:
    """Return the log of a day of which a routine learns; the clock moves on."""
    visits, draws = shop.visits(shop.now, n), shop.policy_rng(f"day {shop.now}").random((3, n))
    if routine.source == "rule":
        log = shop.log(n)
        products, propensities = log.products, log.propensities
    else:
        shop.now += n
        cumulative = np.cumsum(chances, axis=1)[visits.users]
        products = (cumulative <= draws[0, :, None] * cumulative[:, -1:]).sum(axis=1)
        propensities = chances[visits.users, products]
    coin = draws[1] < routine.explore
    products = np.where(coin, (draws[2] * shop.n_products).astype(np.int64), products)
    if routine.source == "rule":
        here = shop.logging_propensities(np.arange(shop.n_users))
        propensities = here[visits.users, products]
    else:
        propensities = chances[visits.users, products]
    propensities = (1 - routine.explore) * propensities + routine.explore / shop.n_products
    return Log(visits.rounds, visits.users, products, shop.clicks(visits, products), propensities)

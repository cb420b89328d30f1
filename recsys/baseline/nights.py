"""Shops that train their model again every night: what it learns from, and how it starts.

A ``Routine`` says what is done each night, ``live`` plays many of them side by side in one shop.
All serve the first day with one network, meet the same visits with the same click uniforms, and
draw the same coins, the same random products and the same seeds of training, so two routines differ
in what they do and in nothing else.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

import numpy as np
from scipy.special import xlogy

from recsys import checks
from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.course import train_together
from recsys.baseline.greedy import ModelPolicy, planned
from recsys.baseline.logistic import LogisticPolicy
from recsys.policies import ScoringPolicy
from recsys.shop import Identifiers, Log, ObservedFeatures, Shop

SEES = {"ids": Identifiers, "features": ObservedFeatures, "logistic": ObservedFeatures}
FEW = 10  # impressions: of a product with fewer of them in its log a model knows next to nothing


@dataclass(frozen=True)
class Routine:
    """What a shop does every night; by default what the loop is feared for.

    Attributes
    ----------
    model : str
        "ids" (Embedding + MLP), "features" (MLP on features) or "logistic".
    source : str
        Whose impressions are learned from: "own", or "rule", those of yesterday's rule on the same
        visits.
    explore : float
        Share of these visits, drawn by a coin, in which a product is drawn uniformly instead.
    warm : bool
        Whether a network starts from last night's weights, or from nothing.
    memory : str
        "day": the last day; "sample": as many impressions, drawn from all days so far; "all": these
        days as they are, the only memory that grows.
    fewest : int
        Products with fewer impressions than that in the log of the night are not shown.
    """

    model: str = "features"
    source: str = "own"
    explore: float = 0.0
    warm: bool = False
    memory: str = "day"
    fewest: int = 0

    def __post_init__(self) -> None:
        checks.one_of("model", self.model, tuple(SEES))
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
    routines: Iterable[Routine],
    days: int,
    visits_a_day: int = 12_000,
    settings: Mapping[str, Mapping[str, object]] | None = None,
) -> dict[Routine, dict[str, np.ndarray]]:
    """Play routines side by side for some days, after a day of yesterday's rule.

    Parameters
    ----------
    shop : Shop
        Its clock moves on by ``days + 1`` times ``visits_a_day``. Trends begin with a day.
    routines : iterable of Routine, all different
    days : int
        Days on which models serve; the night before the first they are trained on the rule's log.
    visits_a_day : int
    settings : mapping, optional
        Of each model by its name: for networks as ``fit_with`` takes them, for "logistic"
        arguments of ``LogisticPolicy``. Seeds are those of the shop and the night.

    Returns
    -------
    dict
        For each routine a mapping to arrays (days,). They are expectations over the visitors of a
        day, exact from the true probabilities, of what the model picks, random products aside:
        "share" of the oracle's clicks; "products", their effective number (``effective_number``);
        "few", the share of the visits in which it picks a product with fewer than ``FEW``
        impressions in the log that it was trained on.

    Raises
    ------
    ValueError
        If a number is out of range, there is no routine, or one twice, or a model lacks settings.
    """
    wanted = list(routines)
    if not wanted or len(set(wanted)) != len(wanted):
        raise ValueError(f"routines: got {wanted!r}, expected at least one, all different")
    days, n = checks.integer("days", days, 1), checks.integer("visits_a_day", visits_a_day, 2)
    how = {model: {} for model in SEES} if settings is None else settings
    if lacking := {routine.model for routine in wanted} - set(how):
        raise ValueError(f"settings: got none for {sorted(lacking)}, expected some for each model")
    logs = dict.fromkeys(wanted, (shop.log(n),))  # of each day so far
    policies: dict[Routine, ScoringPolicy] = {}
    found = {routine: [] for routine in wanted}
    for day in range(days):
        start = shop.now
        last = {routine: learned_from(routine, logs[routine], shop, day) for routine in wanted}
        policies = _trained(shop, last, policies, how, 1_000 * shop.seed + day)
        scored: dict[tuple, np.ndarray] = {}  # what several routines pick alike
        for routine in wanted:
            shop.now = start
            counts = np.bincount(last[routine].products, minlength=shop.n_products)
            same = id(policies[routine]), (counts >= routine.fewest).tobytes()
            if same not in scored:
                scored[same] = chances_of(shop, routine, policies[routine], counts)
            chances = scored[same]
            found[routine].append(picked(shop, chances, counts))
            logs[routine] += (a_day(shop, routine, chances, n),)
    return {
        routine: {name: np.array([day[name] for day in some]) for name in some[0]}
        for routine, some in found.items()
    }


def contrast(
    values: Mapping[Routine, np.ndarray], field: str, high: object, low: object, **fixed: object
) -> np.ndarray:
    """Return the effect of one decision, shop by shop, averaged over all others.

    Parameters
    ----------
    values : mapping from Routine to (S,), a number for each shop
    field : str
        The decision: a field of ``Routine``.
    high, low :
        The effect is that of ``high`` against ``low``.
    fixed : fields of ``Routine``
        Only routines with these values are used.

    Returns
    -------
    ndarray (S,)
        The mean of value(``high``) - value(``low``) over the pairs that differ in nothing else.
    """
    names = tuple(f.name for f in fields(Routine))
    checks.one_of("field", field, names)
    rest = {r: tuple(getattr(r, name) for name in names if name != field) for r in values}
    lower = {rest[r]: value for r, value in values.items() if getattr(r, field) == low}
    pairs = [
        (value, lower[rest[r]])
        for r, value in values.items()
        if getattr(r, field) == high
        and all(getattr(r, name) == wanted for name, wanted in fixed.items())
        and rest[r] in lower
    ]
    if not pairs:
        raise ValueError(f"values: got no pair of {field} {high!r} and {low!r} with {fixed}")
    return np.mean([first - second for first, second in pairs], axis=0)


def learned_from(routine: Routine, logs: tuple[Log, ...], shop: Shop, night: int) -> Log:
    """Return the impressions that a routine learns from in a night, in order of time."""
    if routine.memory == "day" or len(logs) == 1:
        return logs[-1]
    everything = logs[0]
    for log in logs[1:]:
        everything = everything + log
    if routine.memory == "all":
        return everything
    rng = shop.policy_rng(f"memory {night}")
    return everything[np.sort(rng.choice(len(everything), len(logs[-1]), replace=False))]


def chances_of(
    shop: Shop, routine: Routine, policy: ScoringPolicy, counts: np.ndarray
) -> np.ndarray:
    """Return the probability (n_users, K) with which each product is picked for each user.

    ``counts`` (K,) are the impressions of the products in the log of the night.
    """
    users, products = np.arange(shop.n_users)[:, None], np.arange(shop.n_products)
    contexts = SEES[routine.model](shop).rows(users, products, shop.now)
    return policy.probabilities(contexts, counts >= routine.fewest)


def picked(shop: Shop, chances: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """Return what ``live`` tells of a day, for chances (n_users, K) and the counts (K,) before."""
    weights = shop.visit_probabilities(shop.now)
    users, products = np.arange(shop.n_users)[:, None], np.arange(shop.n_products)
    mu = shop.click_probability(users, products, shop.now)
    shown = weights @ chances  # (K,)
    return {
        "share": weights @ (chances * mu).sum(axis=1) / (weights @ mu.max(axis=1)),
        "products": np.exp(-xlogy(shown, shown).sum()),
        "few": shown[counts < FEW].sum(),
    }


def a_day(shop: Shop, routine: Routine, chances: np.ndarray, n: int) -> Log:
    """Return the log of n visits that a routine keeps; the clock moves on by as many.

    What is picked is drawn with chances (n_users, K), or by yesterday's rule; the coin and the
    product that it brings are the same for all routines.
    """
    draws, start = shop.policy_rng(f"day {shop.now}").random((3, n)), shop.now
    visits = shop.visits(start, n)
    if routine.source == "rule":
        chances = shop.logging_propensities(np.arange(shop.n_users))
        products = shop.log(n).products
    else:
        cumulative = np.cumsum(chances, axis=1)[visits.users]
        products = (cumulative <= draws[0, :, None] * cumulative[:, -1:]).sum(axis=1)
    coin = draws[1] < routine.explore
    products = np.where(coin, (draws[2] * shop.n_products).astype(np.int64), products)
    kept = (1 - routine.explore) * chances[visits.users, products]
    propensities = kept + routine.explore / shop.n_products
    shop.now = start + n
    return Log(visits.rounds, visits.users, products, shop.clicks(visits, products), propensities)


def _trained(
    shop: Shop,
    logs: Mapping[Routine, Log],
    before: Mapping[Routine, ScoringPolicy],
    how: Mapping[str, Mapping[str, object]],
    seed: int,
) -> dict[Routine, ScoringPolicy]:
    """Return a policy for each routine: networks of one shape in one array, equal ones once."""
    policies: dict[tuple, ScoringPolicy] = {}
    jobs: list[tuple] = []  # a network that is to be trained, its rows, its clicks, and how
    key_of = {}
    for routine, log in logs.items():
        last = before.get(routine) if routine.warm else None
        key = (routine.model, id(last) if last else 0, log.rounds.tobytes(), log.products.tobytes())
        key_of[routine] = key
        if key in policies:
            continue
        seen = SEES[routine.model](shop)
        if routine.model == "logistic":
            policies[key] = LogisticPolicy(seen, log, **how["logistic"])
            continue
        plan, shape = planned(how[routine.model], seed)
        network = ClickNetwork(seen.vocabularies, seen.n_features, seed=seed, **shape)
        network = copy.deepcopy(last.model) if last else network
        policies[key] = ModelPolicy(network, shop.n_products)
        jobs.append((network, seen.rows(log.users, log.products, log.rounds), log.clicks, plan))
    if jobs:
        train_together(*zip(*jobs, strict=True))
    return {routine: policies[key] for routine, key in key_of.items()}

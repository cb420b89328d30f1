"""Policies against the shop: runs with common random numbers, replicated over seeds.

Every policy meets the same visits and the same click uniforms and draws from a generator of its
own name, so adding a policy to a comparison changes nobody else's rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recsys import checks
from recsys.features import Featurizer
from recsys.parallel import over_seeds
from recsys.policies import EpsilonGreedy, Policy, ScoringPolicy
from recsys.records import Log, Visits
from recsys.simulator import Shop
from recsys.world import ShopConfig

CHUNK = 512  # visits whose contexts are made together

Contestant = Callable[[Shop, np.random.Generator], tuple[Policy, Featurizer]]


@dataclass(frozen=True)
class Trace:
    """What a policy did: arrays (T,), or (S, T) for many worlds or seeds."""

    arms: np.ndarray  # product shown
    rewards: np.ndarray  # 1.0 for a click
    mu: np.ndarray  # true click probability of the product shown
    best: np.ndarray  # true click probability of the best available product

    @property
    def regret(self) -> np.ndarray:
        """Pseudo-regret of each round (``def-regret``): best minus shown, at least 0."""
        return self.best - self.mu


def run(
    shops: Shop | Sequence[Shop],
    policy: Policy,
    featurizers: Featurizer | Sequence[Featurizer],
    start: int,
    n: int,
) -> Trace:
    """Let a policy serve the visits ``start`` to ``start + n - 1``.

    A policy that learns is served round by round and updated after each reward; one that does not
    is served in bulk (one shop only). The clocks of the shops stay.

    Parameters
    ----------
    shops : Shop, or S shops for a policy with ``n_worlds=S``
    policy : Policy
    featurizers : one featurizer for each shop, in the same form
    start, n : int
        First round and number of rounds.

    Returns
    -------
    Trace
        Arrays (n,) for one shop, (S, n) for a sequence of shops.

    Raises
    ------
    ValueError
        If the featurizers do not match the shops, or a policy that does not learn gets many.
    """
    single = isinstance(shops, Shop)
    worlds = [shops] if single else list(shops)
    makers = [featurizers] if isinstance(featurizers, Featurizer) else list(featurizers)
    start, n = checks.integer("start", start, 0), checks.integer("n", n, 1)
    if not worlds or len(makers) != len(worlds):
        raise ValueError(f"featurizers: got {len(makers)}, expected one per shop: {len(worlds)}")
    if not single and not policy.learns:
        raise ValueError(f"shops: got {len(worlds)}, expected one shop for a policy that is fixed")
    arms = np.empty((n, len(worlds)), dtype=np.int64)
    shown, best, rewards = (np.empty((n, len(worlds))) for _ in range(3))
    if not policy.learns:
        arms[:, 0], _ = choose(shops, policy, makers[0], shops.visits(start, n))
    for first in range(0, n, CHUNK):
        size = min(CHUNK, n - first)
        visits = [shop.visits(start + first, size) for shop in worlds]
        mu = np.stack([_truth(s, v) for s, v in zip(worlds, visits, strict=True)], axis=1)
        on_sale = np.stack([s.available(v.rounds) for s, v in zip(worlds, visits, strict=True)], 1)
        uniforms = np.stack([v.uniforms for v in visits], axis=1)  # (size, S)
        rows = slice(first, first + size)
        if policy.learns:
            contexts = np.stack([m(v) for m, v in zip(makers, visits, strict=True)], axis=1)
            parts = (contexts, mu, on_sale, uniforms)
            parts = tuple(part[:, 0] for part in parts) if single else parts
            arms[rows] = _learn(policy, *parts).reshape(size, -1)
        shown[rows] = np.take_along_axis(mu, arms[rows, :, None], axis=-1)[..., 0]
        best[rows] = np.where(on_sale, mu, 0.0).max(axis=-1)
        rewards[rows] = uniforms < shown[rows]
    return Trace(*(a[:, 0] if single else a.T for a in (arms, rewards, shown, best)))


def _learn(
    policy: Policy,
    contexts: np.ndarray,
    mu: np.ndarray,
    on_sale: np.ndarray,
    uniforms: np.ndarray,
) -> np.ndarray:
    """Serve rounds one by one, each reward fed back before the next: arms (rounds, ...)."""
    arms = np.empty(uniforms.shape, dtype=np.int64)
    for t in range(len(arms)):
        arm = policy.select(contexts[t], on_sale[t])
        arms[t] = arm
        shown = np.take_along_axis(mu[t], arms[t][..., None], axis=-1)[..., 0]
        reward = (uniforms[t] < shown).astype(float)
        if contexts.ndim == on_sale.ndim:  # a row of its own for each arm is an axis more
            played = contexts[t]
        else:
            played = np.take_along_axis(contexts[t], arms[t][..., None, None], axis=-2)[..., 0, :]
        policy.update(arm, played, reward)
    return arms


def _truth(shop: Shop, visits: Visits) -> np.ndarray:
    """Click probabilities (visits, K) of all products at each visit."""
    arms = np.arange(shop.n_products)
    return shop.click_probability(visits.users[:, None], arms, visits.rounds[:, None])


def choose(
    shop: Shop, policy: ScoringPolicy | EpsilonGreedy, featurizer: Featurizer, visits: Visits
) -> tuple[np.ndarray, np.ndarray]:
    """Let a policy that is fixed meanwhile serve many visits: products (n,), propensities (n,).

    Each product is drawn from ``policy.probabilities`` by the policy's own generator. Where the
    contexts depend on the user alone, each user is scored once, however often they come.
    """
    n = len(visits.rounds)
    draws = policy.rng.random(n)
    products, propensities = np.empty(n, dtype=np.int64), np.empty(n)
    for rows in shop.stable_parts(visits.rounds, CHUNK if featurizer.depends_on_time else n):
        part = visits[rows]
        who, index = np.arange(len(part.users)), np.arange(len(part.users))
        if not featurizer.depends_on_time:
            _, who, index = np.unique(part.users, return_index=True, return_inverse=True)
        on_sale = shop.available(part.rounds[0])
        users, rounds = part.users[who, None], part.rounds[who, None]
        contexts = featurizer.rows(users, np.arange(shop.n_products), rounds)
        chances = policy.probabilities(contexts, on_sale)  # (distinct, K)
        cumulative = np.cumsum(chances, axis=1)[index]
        below = cumulative <= draws[rows, None] * cumulative[:, -1:]
        products[rows] = below.sum(axis=1)
        propensities[rows] = chances[index, products[rows]]
    return products, propensities


def serve(shop: Shop, policy: ScoringPolicy | EpsilonGreedy, featurizer: Featurizer, n: int) -> Log:
    """Let a policy that is fixed meanwhile serve ``n`` visits from now on; return its log.

    Like ``shop.log`` with ``policy`` in the place of yesterday's: propensities are recorded and
    the clock moves on.
    """
    visits = shop.visits(shop.now, checks.integer("n", n, 1))
    products, propensities = choose(shop, policy, featurizer, visits)
    clicks = shop.clicks(visits, products)
    shop.now += n
    return Log(visits.rounds, visits.users, products, clicks, propensities)


def replicate(
    policies: Mapping[str, Contestant],
    seeds: Iterable[int] = range(20),
    n_rounds: int = 5_000,
    config: ShopConfig | None = None,
    prepare: Callable[[Shop], None] | None = None,
    n_jobs: int = -1,
    progress: bool | None = None,
) -> dict[str, Trace]:
    """Run every policy in a shop of every seed.

    Parameters
    ----------
    policies : mapping from a name to ``contestant(shop, rng) -> (policy, featurizer)``
        Called afresh for every seed, so no agent is used twice.
    seeds : iterable of int
    n_rounds : int
        Rounds from the shop's clock on.
    config : ShopConfig, optional
    prepare : callable, optional
        Called on each new shop before the policies: logs, shocks, churn.
    n_jobs, progress :
        As in ``parallel.over_seeds``.

    Returns
    -------
    dict
        A ``Trace`` of arrays (seeds, n_rounds) for each name.
    """
    if not policies:
        raise ValueError("policies: got none, expected at least one")
    n_rounds = checks.integer("n_rounds", n_rounds, 1)

    def one_seed(seed: int) -> dict[str, Trace]:
        shop = Shop(config, seed)
        if prepare is not None:
            prepare(shop)
        start, traces = shop.now, {}
        for name, contestant in policies.items():
            policy, featurizer = contestant(shop, shop.policy_rng(name))
            traces[name] = run(shop, policy, featurizer, start, n_rounds)
            shop.now = start  # a contestant that read a log moves nobody else
        return traces

    return over_seeds(one_seed, seeds, n_jobs, progress)

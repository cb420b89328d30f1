"""Policies against the shop: seeds, common random numbers, parallel runs.

Every policy meets the same visits and the same click uniforms and draws from a generator of its
own name, so adding a policy to a comparison changes nobody else's rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from recsys import checks
from recsys.features import Featurizer
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


def stack(results: Sequence) -> object:
    """Join results of equal form along a new first axis: traces, mappings, arrays, numbers.

    Other objects (trained models, say) are kept as a list.
    """
    first = results[0]
    if isinstance(first, Trace):
        names = [field.name for field in fields(Trace)]
        return Trace(*(np.stack([getattr(r, name) for r in results]) for name in names))
    if isinstance(first, Mapping):
        return {key: stack([r[key] for r in results]) for key in first}
    if isinstance(first, np.ndarray | np.generic | float | int):
        return np.stack([np.asarray(r) for r in results])
    return list(results)


def over_seeds(
    function: Callable[[int], object],
    seeds: Iterable[int] = range(20),
    n_jobs: int = -1,
    progress: bool | None = None,
) -> object:
    """Call ``function(seed)`` for every seed in parallel and ``stack`` what it returns.

    Parameters
    ----------
    function : callable
        Takes a seed, returns a mapping, a ``Trace`` or an array.
    seeds : iterable of int
    n_jobs : int
        Processes, as joblib counts them; ``joblib.parallel_config`` overrides where they run.
    progress : bool, optional
        Show a progress bar; by default where standard error is a terminal.
    """
    seeds = [checks.integer("seeds", int(seed), 0) for seed in seeds]
    if not seeds:
        raise ValueError("seeds: got none, expected at least one")
    jobs = Parallel(n_jobs=n_jobs, return_as="generator")(delayed(function)(s) for s in seeds)
    bar = tqdm(
        jobs, total=len(seeds), unit="seed", disable=None if progress is None else not progress
    )
    return stack(list(bar))


def play(
    shops: Shop | Sequence[Shop],
    policy: Policy,
    featurizers: Featurizer | Sequence[Featurizer],
    start: int,
    n: int,
) -> Trace:
    """Let a policy serve the visits ``start`` to ``start + n - 1``.

    A policy that learns is served round by round and updated after each reward; one that does
    not is served in bulk. The clocks of the shops stay.

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
    """
    single = isinstance(shops, Shop)
    worlds = [shops] if single else list(shops)
    makers = [featurizers] if isinstance(featurizers, Featurizer) else list(featurizers)
    n = checks.integer("n", n, 1)
    if len(makers) != len(worlds):
        raise ValueError(
            f"featurizers: got {len(makers)}, expected one for each shop: {len(worlds)}"
        )
    parts = []
    for first in range(start, start + n, CHUNK):
        size = min(CHUNK, start + n - first)
        visits = [shop.visits(first, size) for shop in worlds]
        contexts = np.stack([make(v) for make, v in zip(makers, visits, strict=True)], axis=1)
        mu = np.stack([_truth(s, v) for s, v in zip(worlds, visits, strict=True)], axis=1)
        on_sale = np.stack(
            [s.available(v.rounds) for s, v in zip(worlds, visits, strict=True)], axis=1
        )
        uniforms = np.stack([v.uniforms for v in visits], axis=1)  # (rounds, S)
        if single:
            contexts, mu, on_sale, uniforms = (
                contexts[:, 0],
                mu[:, 0],
                on_sale[:, 0],
                uniforms[:, 0],
            )
        arms = np.empty(uniforms.shape, dtype=np.int64)
        if policy.learns:
            for t in range(size):
                arms[t] = policy.select(contexts[t], on_sale[t])
                shown = np.take_along_axis(mu[t], arms[t][..., None], axis=-1)[..., 0]
                reward = (uniforms[t] < shown).astype(float)
                policy.update(arms[t], _played(contexts[t], arms[t], on_sale[t]), reward)
        else:
            arms[:] = policy.select(contexts, on_sale)
        shown = np.take_along_axis(mu, arms[..., None], axis=-1)[..., 0]
        best = np.where(on_sale, mu, 0.0).max(axis=-1)
        parts.append(Trace(arms, (uniforms < shown).astype(float), shown, best))
    joined = (np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Trace))
    return Trace(*(np.moveaxis(array, 0, -1) for array in joined))


def _truth(shop: Shop, visits: Visits) -> np.ndarray:
    """Click probabilities (rounds, K) of all products at each visit."""
    arms = np.arange(shop.n_products)
    return shop.click_probability(visits.users[:, None], arms, visits.rounds[:, None])


def _played(contexts: np.ndarray, arms: np.ndarray, on_sale: np.ndarray) -> np.ndarray:
    """Context rows of the arms played: a shared row as it is, else the arm's own row."""
    if contexts.ndim == on_sale.ndim:
        return contexts
    return np.take_along_axis(contexts, arms[..., None, None], axis=-2)[..., 0, :]


def serve(shop: Shop, policy: ScoringPolicy | EpsilonGreedy, featurizer: Featurizer, n: int) -> Log:
    """Let a policy that is fixed meanwhile serve ``n`` visits from now on; return its log.

    Like ``shop.log`` with ``policy`` in the place of yesterday's: the product is drawn from
    ``policy.probabilities`` by the shop's logging uniforms, the propensity is recorded, and the
    clock moves on.
    """
    visits = shop.visits(shop.now, checks.integer("n", n, 1))
    products, propensities = np.empty(n, dtype=np.int64), np.empty(n)
    for first in range(0, n, CHUNK):
        rows = slice(first, first + CHUNK)
        part = visits[rows]
        chances = policy.probabilities(featurizer(part), shop.available(part.rounds))  # (n, K)
        cumulative = np.cumsum(chances, axis=1)
        draws = shop.logging_uniforms(part.rounds)[:, None] * cumulative[:, -1:]
        products[rows] = (cumulative <= draws).sum(axis=1)
        propensities[rows] = np.take_along_axis(chances, products[rows, None], axis=1)[:, 0]
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
    """Play every policy in a shop of every seed.

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

    Returns
    -------
    dict
        A ``Trace`` of arrays (seeds, n_rounds) for each name.
    """

    def one_seed(seed: int) -> dict[str, Trace]:
        shop = Shop(config, seed)
        if prepare is not None:
            prepare(shop)
        traces = {}
        for name, contestant in policies.items():
            policy, featurizer = contestant(shop, shop.policy_rng(name))
            traces[name] = play(shop, policy, featurizer, shop.now, n_rounds)
        return traces

    return over_seeds(one_seed, seeds, n_jobs, progress)

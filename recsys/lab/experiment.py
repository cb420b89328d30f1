"""Policies against the shop or a data set: runs with common random numbers, over many seeds.

In a shop every policy meets the same visits and the same click uniforms and draws from a generator
of its own name, so adding a policy to a comparison changes nobody else's rewards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from recsys import checks
from recsys.lab.parallel import over_seeds
from recsys.lab.rounds import round_by_round
from recsys.lab.serving import CHUNK, choose
from recsys.lab.table import RewardTable, through_tables
from recsys.policies import Policy
from recsys.shop import Featurizer, Log, Shop, ShopConfig, Trace

CONTEXT_BYTES = 2**24  # of contexts that are made at a time: larger arrays leave the caches

Contestant = Callable[[Shop, np.random.Generator], tuple[Policy, Featurizer]]


def run(
    worlds: Shop | RewardTable | Sequence[Shop] | Sequence[RewardTable],
    policy: Policy,
    featurizers: Featurizer | Sequence[Featurizer] | None = None,
    start: int = 0,
    n: int | None = None,
) -> Trace:
    """Let a policy serve the visits ``start`` to ``start + n - 1`` of a shop or a data set.

    A policy that learns is served round by round and updated after each reward; one that does not
    is served in bulk (one world only). The clocks of shops stay.

    Parameters
    ----------
    worlds : Shop or RewardTable, or S of them for a policy with ``n_worlds=S``
    policy : Policy
    featurizers : one featurizer for each shop, in the same form; none for tables
    start, n : int
        First round and number of rounds; a table is by default played to its end.

    Returns
    -------
    Trace
        Arrays (n,) for one world, (S, n) for a sequence. In a table ``mu`` is the reward.

    Raises
    ------
    ValueError
        If the featurizers do not match the worlds, rounds go beyond a table's end, or a policy that
        does not learn gets many worlds.
    """
    single = isinstance(worlds, Shop | RewardTable)
    all_worlds = [worlds] if single else list(worlds)
    tables = [world for world in all_worlds if isinstance(world, RewardTable)]
    shops = [world for world in all_worlds if isinstance(world, Shop)]
    if not all_worlds or len(all_worlds) not in (len(tables), len(shops)):
        found = ", ".join(sorted({type(world).__name__ for world in all_worlds})) or "none"
        raise ValueError(f"worlds: got {found}, expected shops, or tables: RewardTable(...)")
    start = checks.integer("start", start, 0)
    if not single and not policy.learns:
        raise ValueError(f"worlds: got {len(all_worlds)}, expected one for a policy that is fixed")
    if tables:
        if featurizers is not None:
            raise ValueError("featurizers: got some, expected none: a table's contexts are rows")
        traces = through_tables(tables, policy, start, n, single)
    else:
        makers = [featurizers] if isinstance(featurizers, Featurizer) else list(featurizers or ())
        if len(makers) != len(shops):
            expected = f"one per shop: {len(shops)}"
            raise ValueError(f"featurizers: got {len(makers)}, expected {expected}")
        n = checks.integer("n", n, 1)
        traces = _through_shops(shops, policy, makers, start, n, single)
    return Trace(*(a[:, 0] if single else a.T for a in traces))


def _through_shops(
    shops: list[Shop],
    policy: Policy,
    makers: list[Featurizer],
    start: int,
    n: int,
    single: bool,
) -> tuple[np.ndarray, ...]:
    """Serve all shops: arms, rewards, click probabilities shown and best ones, (n, S) each."""
    arms = np.empty((n, len(shops)), dtype=np.int64)
    shown, best, rewards = (np.empty((n, len(shops))) for _ in range(3))
    if not policy.learns:
        arms[:, 0], _ = choose(shops[0], policy, makers[0], shops[0].visits(start, n))
    chunk = _visits_at_a_time(shops, makers, start) if policy.learns else CHUNK
    for first in range(0, n, chunk):
        size = min(chunk, n - first)
        visits = [shop.visits(start + first, size) for shop in shops]
        pairs = list(zip(shops, visits, strict=True))
        mu = np.stack([shop.click_probabilities(v) for shop, v in pairs], axis=1)
        on_sale = np.stack([shop.available(v.rounds) for shop, v in pairs], axis=1)
        uniforms = np.stack([v.uniforms for v in visits], axis=1)  # (size, S)
        rows = slice(first, first + size)
        if policy.learns:
            contexts = np.stack([m(v) for m, v in zip(makers, visits, strict=True)], axis=1)
            parts = (contexts, mu, on_sale, uniforms)
            parts = tuple(part[:, 0] for part in parts) if single else parts
            arms[rows] = round_by_round(policy, *parts).reshape(size, -1)
        shown[rows] = np.take_along_axis(mu, arms[rows, :, None], axis=-1)[..., 0]
        best[rows] = np.where(on_sale, mu, 0.0).max(axis=-1)
        rewards[rows] = uniforms < shown[rows]
    return arms, rewards, shown, best


def _visits_at_a_time(shops: list[Shop], makers: list[Featurizer], start: int) -> int:
    """Return how many visits to all shops fit into ``CONTEXT_BYTES``: 1 to ``CHUNK``."""
    one = sum(m(s.visits(start, 1)).nbytes for m, s in zip(makers, shops, strict=True))
    return min(max(CONTEXT_BYTES // one, 1), CHUNK)


def read_logs(
    policy: Policy,
    shops: Shop | Sequence[Shop],
    logs: Log | Sequence[Log],
    featurizers: Featurizer | Sequence[Featurizer],
) -> None:
    """Let a policy that learns read what another one did, as if it had chosen so itself.

    Parameters
    ----------
    policy : Policy
        Changed in place: afterwards it has seen what the logs hold.
    shops, featurizers : as for ``run``
    logs : one log for each shop, all of one length

    Raises
    ------
    ValueError
        If the numbers or the lengths of the logs do not match.
    """
    single = isinstance(shops, Shop)
    worlds = [shops] if single else list(shops)
    books = [logs] if isinstance(logs, Log) else list(logs)
    makers = [featurizers] if isinstance(featurizers, Featurizer) else list(featurizers)
    lengths = {len(log) for log in books}
    if not len(worlds) == len(books) == len(makers) or len(lengths) != 1:
        found = f"{len(books)} logs of lengths {sorted(lengths)}, {len(makers)} featurizers"
        raise ValueError(f"logs: got {found}, expected one of each for {len(worlds)} shop(s)")
    triples = zip(makers, books, strict=True)
    rows = np.stack([m.rows(b.users, b.products, b.rounds) for m, b in triples], axis=1)
    arms, rewards = (np.stack([getattr(b, f) for b in books], 1) for f in ("products", "clicks"))
    parts = [part[:, 0] if single else part for part in (arms, rows, rewards)]
    if hasattr(policy, "update_many"):
        policy.update_many(*parts)
        return
    for feedback in zip(*parts, strict=True):
        policy.update(*feedback)


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

"""Races of LinUCB: one decision and one update a round, and many worlds at once.

Everybody plays with λ = 1, the ridge that obp fixes, so that all peers but those noted follow one
formula (``test_linear_equality``). Streams:

- 50 arms, 9 features: the shop of the book, its visits and its clicks.
- other sizes: normal rows with a constant in front; a click has probability σ(θₐᵀx - 2) with θₐ
  drawn for each arm.

Who learns from its own decisions is shown its own clicks. Nobody starts afresh: before the clock
starts, ours has learned 13 to 14 rows of every arm (``PLAYS``), and each repeat goes on from there.
The peers go on from repeat to repeat too, but from an empty start, because their time a round
does not depend on how much they have learned and some would take minutes. River's does, so river
learns the same rows beforehand.

The limit of a round are its products alone, on numbers that are there: one with the state that a
decision has to read, one with the estimates, and the three of an update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
from scipy.linalg.blas import dspmv, dspr
from scipy.special import expit

from linear_peers import (
    Contextualbandits,
    EightLines,
    EightLinesOfRows,
    Gittins,
    Mabwiser,
    Obp,
    Ours,
    Peer,
    River,
    Textbook,
    TextbookAtOnce,
)
from race import Runner
from recsys.linear.linucb import LinUCB
from recsys.shop.features import SharedUserFeatures
from recsys.shop.simulator import Shop

ALPHA, RIDGE = 0.5, 1.0
PLAYS = 13.6  # rows that each arm has learned before ours is timed: 13,600 for 1000 arms
OTHER_FORMULA = "another formula, for speed only"


class Stream:
    """Contexts and clicks, the same for everybody, again from the front when they are used up.

    Parameters
    ----------
    n_arms, d, n : int
        Sizes, and the number of rounds before the stream repeats.
    rows : bool
        Whether each arm has a row of its own.
    """

    def __init__(self, n_arms: int, d: int, n: int, rows: bool = False) -> None:
        rng = np.random.default_rng((n_arms, d))
        self.n_arms, self.d, self.n = n_arms, d, n
        if (n_arms, d, rows) == (50, 9, False):
            shop = Shop(seed=0)
            visits = shop.visits(0, n)
            self.contexts = SharedUserFeatures(shop)(visits)  # (n, 9)
            mu = shop.click_probability(visits.users[:, None], np.arange(n_arms))
            self.clicks = (visits.uniforms[:, None] < mu).astype(float)  # (n, K)
        else:
            self.contexts = rng.normal(size=(n, n_arms, d) if rows else (n, d))
            self.contexts[..., 0] = 1.0
            theta = rng.normal(size=(n_arms, d)) / np.sqrt(d)
            mean = np.vecdot(theta, self.contexts) if rows else self.contexts @ theta.T
            self.clicks = (rng.random((n, n_arms)) < expit(mean - 2.0)).astype(float)
        self.spread = rng.permutation(n_arms)  # the order in which arms are played by force

    def taught(self, t: int, arm: int) -> np.ndarray:
        """Return the row (d,) that the arm's update gets in round t."""
        return self.contexts[t] if self.contexts.ndim == 2 else self.contexts[t, arm]

    def teach(self, peer: Peer, plays: float) -> Peer:
        """Let the peer learn ``plays`` rows of each arm, played in turns."""
        for t in range(round(plays * self.n_arms)):
            arm, at = int(self.spread[t % self.n_arms]), t % self.n
            peer.update(arm, peer.context(self.taught(at, arm)), self.clicks[at, arm])
        return peer


@cache
def stream_of(n_arms: int, d: int, n: int, rows: bool = False) -> Stream:
    """Return the stream of these sizes."""
    return Stream(n_arms, d, n, rows)


def rounds(
    peer: Peer,
    stream: Stream,
    units: int,
    kind: str = "peer",
    note: str = "",
    forced: bool = False,
) -> Runner:
    """Return who plays ``units`` rounds: a decision and an update each.

    With ``forced`` the arms are taught in turns, in the order ``stream.spread``, whatever was
    chosen.
    """
    shared = stream.contexts.ndim == 2
    rows = [peer.context(x) for x in stream.contexts]  # each in the form that the peer takes
    clicks = stream.clicks.tolist()  # plain floats are what all of them like best
    order = stream.spread.tolist()
    clock = _count()

    def run(player: Peer) -> None:
        select, update, n, n_arms = player.select, player.update, stream.n, stream.n_arms
        for _ in range(units):
            t = next(clock)
            at = t % n
            context = rows[at]
            arm = select(context)
            if forced:
                arm = order[t % n_arms]
            update(arm, context if shared else context[arm], clicks[at][arm])

    return Runner(run, units, lambda: peer, kind, note)


def _count() -> Iterator[int]:
    t = 0
    while True:
        yield t
        t += 1


def players(stream: Stream, forced: bool = False, **who: tuple) -> dict[str, Runner]:
    """Return the runners of a table ``name=(maker, units, kind, note)``."""
    made = {name: make(stream.n_arms, stream.d, ALPHA, RIDGE) for name, (make, *_) in who.items()}
    for peer in made.values():
        if isinstance(peer, River):
            stream.teach(peer, PLAYS)  # it makes an arm's matrix only when the arm is first taught
    return {
        name: rounds(made[name], stream, *rest, forced=forced) for name, (_, *rest) in who.items()
    }


def gittins_with_attributes(*size: float) -> Gittins:
    return Gittins(*size, attribute=True)


def products_alone(n_arms: int, d: int, units: int, rows: bool = False) -> dict[str, Runner]:
    """Return the limit: nothing but the products that a round cannot do without."""
    rng = np.random.default_rng(0)
    triangle = d * (d + 1) // 2
    if rows:  # each arm's matrix meets another row
        state, by, note = rng.random((n_arms, d, d)), rng.random((n_arms, d)), "K d d numbers"
    elif PLAYS * d < triangle:
        state, by, note = rng.random((round(PLAYS * n_arms), d)), rng.random(d), "13.6 K d numbers"
    else:
        state, by, note = rng.random((n_arms, triangle)), rng.random(triangle), "triangles"
    theta, x, one = rng.random((n_arms, d)), rng.random(d), rng.random(triangle)

    def run(_: object) -> None:
        for _ in range(units):
            np.matvec(state, by) if rows else state.dot(by)
            theta.dot(x)
            u = dspmv(d, 1.0, one, x, lower=1)
            dspr(d, 1e-9, u, one, lower=1, overwrite_ap=1)
            dspmv(d, 1.0, one, x, lower=1)

    note = f"a decision reads {note}"
    return {"the products alone": Runner(run, units, kind="limit", note=note)}


@pytest.mark.parametrize(("n_arms", "d"), [(2, 10), (50, 9), (50, 32)])
def test_linucb_of_few_arms(race, n_arms, d):
    stream = stream_of(n_arms, d, 2_000)
    ours = stream.teach(Ours(n_arms, d, ALPHA, RIDGE), PLAYS)
    against = {"eight plain lines": (EightLines, 2_000)}
    if n_arms == 50:
        against |= {
            "textbook, every arm inverted": (Textbook, 60),
            "textbook, one call inverts all": (TextbookAtOnce, 60),
            "obp": (Obp, 100),
            "contextualbandits": (Contextualbandits, 40),
            "mabwiser": (Mabwiser, 20),
            "gittins": (Gittins, 300, "other", OTHER_FORMULA),
            "gittins, arms with an attribute": (
                *(gittins_with_attributes, 300, "other"),
                OTHER_FORMULA,
            ),
            "river": (River, 60, "other", OTHER_FORMULA),
        }
    race(
        f"LinUCB, a row that all share, K = {n_arms}, d = {d}",
        "round",
        rounds(ours, stream, 2_000),
        players(stream, **against) | products_alone(n_arms, d, 2_000),
        repeats=9,
    )


@pytest.mark.parametrize(("d", "n"), [(32, 1_000), (128, 500)])
def test_linucb_of_1000_arms(race, d, n):
    stream, units = stream_of(1000, d, n), 30 if d == 32 else 6
    ours = stream.teach(Ours(1000, d, ALPHA, RIDGE), PLAYS)
    against = {"eight plain lines": (EightLines, units), "obp": (Obp, units)}
    if d == 32:
        against |= {
            "contextualbandits": (Contextualbandits, 4),
            "mabwiser": (Mabwiser, 2),
            "gittins": (Gittins, 60, "other", OTHER_FORMULA),
        }
    race(
        f"LinUCB, a row that all share, K = 1000, d = {d}, plays spread evenly",
        "round",
        rounds(ours, stream, 400, forced=True),
        players(stream, forced=True, **against) | products_alone(1000, d, 400),
        repeats=5,
    )


# ------------------------------------------------ a row for each arm


@pytest.mark.parametrize(
    ("n_arms", "d", "n", "units"), [(50, 9, 1_000, 1_000), (1000, 32, 60, 200)]
)
def test_linucb_with_a_row_for_each_arm(race, n_arms, d, n, units):
    stream = stream_of(n_arms, d, n, rows=True)
    ours = stream.teach(Ours(n_arms, d, ALPHA, RIDGE), PLAYS)
    few = 60 if n_arms == 50 else 6
    against = {
        "eight plain lines": (EightLinesOfRows, few),
        "textbook, one call inverts all": (TextbookAtOnce, few),
    }
    race(
        f"LinUCB, a row for each arm, K = {n_arms}, d = {d}",
        "round",
        rounds(ours, stream, units),
        players(stream, **against) | products_alone(n_arms, d, units, rows=True),
        repeats=7,
    )
    stream_of.cache_clear()  # a stream of rows for each arm is large


# ------------------------------------------------ many worlds


@pytest.mark.parametrize("n_worlds", [20, 100])
def test_many_worlds_at_once(race, n_worlds):
    # Worlds are shops of their own. The one-world loops play the first of them.
    n, K, d = 500, 50, 9
    shops = [Shop(seed=seed) for seed in range(n_worlds)]
    visits = [shop.visits(0, n) for shop in shops]
    contexts = np.stack([SharedUserFeatures(s)(v) for s, v in zip(shops, visits, strict=True)], 1)
    clicks = np.empty((n, n_worlds, K))
    for world, (shop, seen) in enumerate(zip(shops, visits, strict=True)):
        mu = shop.click_probability(seen.users[:, None], np.arange(K))
        clicks[:, world] = seen.uniforms[:, None] < mu
    worlds, together = np.arange(n_worlds), LinUCB(K, d, ALPHA, RIDGE, n_worlds=n_worlds)
    alone, plain = LinUCB(K, d, ALPHA, RIDGE), EightLines(K, d, ALPHA, RIDGE)
    lists = clicks[:, 0].tolist()
    order = np.random.default_rng(0).permutation(K)
    for t in range(round(PLAYS * K)):
        arms, at = np.full(n_worlds, order[t % K]), t % n
        together.update(arms, contexts[at], clicks[at, worlds, arms])
        for policy in (alone, plain):
            policy.update(order[t % K], contexts[at, 0], lists[at][order[t % K]])

    def at_once(state: object) -> None:
        for context, click in zip(contexts, clicks, strict=True):
            arms = together.select(context)
            together.update(arms, context, click[worlds, arms])

    def one_world(policy: LinUCB | EightLines) -> Callable[[object], None]:
        def run(state: object) -> None:
            for context, click in zip(contexts[:, 0], lists, strict=True):
                arm = policy.select(context)
                policy.update(arm, context, click[arm])

        return run

    rng = np.random.default_rng(0)
    triangles, products = rng.random((n_worlds, K, 45)), rng.random((n_worlds, 45))
    theta, x, whole = (rng.random((n_worlds, *shape)) for shape in ((K, d), (d,), (d, d)))

    def products_of_all(state: object) -> None:
        for _ in range(n):
            np.matvec(triangles, products)
            np.matvec(theta, x)
            np.matvec(whole, x)
            np.matvec(whole, x)

    units = n * n_worlds
    race(
        f"LinUCB in {n_worlds} worlds at once, K = {K}, d = {d}",
        "round of one world",
        Runner(at_once, units),
        {
            "eight plain lines, one world after the other": Runner(one_world(plain), n),
            "ours, one world after the other": Runner(one_world(alone), n, kind="own"),
            "the products alone": Runner(products_of_all, units, kind="limit"),
        },
        repeats=15,
    )

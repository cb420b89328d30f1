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
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
from scipy.special import expit

from linear_peers import (
    Contextualbandits,
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
    goal: float | None = None,
    note: str = "",
    forced: bool = False,
    fresh: Callable[[], Peer] | None = None,
) -> Runner:
    """Return who plays ``units`` rounds: a decision and an update each.

    With ``forced`` the arms are taught in turns, in the order ``stream.spread``, whatever was
    chosen. With ``fresh`` each repeat plays with a new peer.
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

    return Runner(run, units, fresh or (lambda: peer), goal, note)


def _count() -> Iterator[int]:
    t = 0
    while True:
        yield t
        t += 1


def players(stream: Stream, **who: tuple) -> dict[str, Runner]:
    """Return the runners of a table ``name=(maker, units, goal, note)``."""
    made = {name: make(stream.n_arms, stream.d, ALPHA, RIDGE) for name, (make, *_) in who.items()}
    for peer in made.values():
        if isinstance(peer, River):
            stream.teach(peer, PLAYS)  # it makes an arm's matrix only when the arm is first taught
    return {name: rounds(made[name], stream, *rest) for name, (_, *rest) in who.items()}


def gittins_with_attributes(*size: float) -> Gittins:
    return Gittins(*size, attribute=True)


def test_linucb_50_arms_9_features(race):
    stream = stream_of(50, 9, 2_000)
    ours = stream.teach(Ours(50, 9, ALPHA, RIDGE), PLAYS)
    against = {
        "textbook": (Textbook, 100, 30.0),
        "textbook, one call inverts all": (TextbookAtOnce, 300),
        "obp": (Obp, 200, 15.0),
        "contextualbandits": (Contextualbandits, 40, 80.0),
        "mabwiser": (Mabwiser, 20, 200.0),
        "gittins": (Gittins, 1_000, 1.8, OTHER_FORMULA),
        "gittins, arms with an attribute": (gittins_with_attributes, 1_000, 1.8, OTHER_FORMULA),
        "river": (River, 60, None, OTHER_FORMULA),
    }
    race(
        "LinUCB, a row that all share, K = 50, d = 9",
        "round",
        rounds(ours, stream, 2_000),
        players(stream, **against),
    )


def test_linucb_1000_arms_32_features(race):
    stream = stream_of(1000, 32, 1_000)
    ours = stream.teach(Ours(1000, 32, ALPHA, RIDGE), PLAYS)
    against = {
        "textbook": (Textbook, 6, 250.0),
        "textbook, one call inverts all": (TextbookAtOnce, 10),
        "obp": (Obp, 30, 80.0),
        "contextualbandits": (Contextualbandits, 8, 300.0),
        "mabwiser": (Mabwiser, 3, 900.0),
        "gittins": (Gittins, 80, 30.0, OTHER_FORMULA),
        "gittins, arms with an attribute": (gittins_with_attributes, 80, 30.0, OTHER_FORMULA),
        "river": (River, 8, None, OTHER_FORMULA),
    }
    race(
        "LinUCB, a row that all share, K = 1000, d = 32",
        "round",
        rounds(ours, stream, 1_000),
        players(stream, **against),
        repeats=5,
    )


# ------------------------------------------------ 1000 arms, 128 features, plays spread evenly


def early() -> Ours:
    """Return a fresh policy."""
    return Ours(1000, 128, ALPHA, RIDGE)


@pytest.fixture(scope="module")
def late() -> Ours:
    """Return a policy that has learned 13,600 rows, spread evenly over its arms."""
    return stream_of(1000, 128, 500).teach(early(), PLAYS)


@pytest.fixture(scope="module")
def wide() -> dict[str, Peer]:
    """Return the peers for 1000 arms of 128 features, which take long to make."""
    makers = {
        "textbook": Textbook,
        "textbook, one call inverts all": TextbookAtOnce,
        "obp": Obp,
        "contextualbandits": Contextualbandits,
        "mabwiser": Mabwiser,
    }
    return {name: make(1000, 128, ALPHA, RIDGE) for name, make in makers.items()}


@pytest.mark.parametrize("when", ["from the first round on", "after 13,600 rounds"])
def test_linucb_1000_arms_128_features(race, request, wide, when):
    stream = stream_of(1000, 128, 500)
    stretch = "stretch goal 50"
    units = {
        "textbook": (1, 130.0),
        "textbook, one call inverts all": (1,),
        "obp": (5, 12.0, stretch),
        "contextualbandits": (4, 12.0, stretch),
        "mabwiser": (2, 12.0, stretch),
    }
    if when.startswith("from"):
        ours = rounds(early(), stream, 300, forced=True, fresh=early)
    else:
        ours = rounds(request.getfixturevalue("late"), stream, 300, forced=True)
    race(
        f"LinUCB, a row that all share, K = 1000, d = 128, plays spread evenly, {when}",
        "round",
        ours,
        {name: rounds(wide[name], stream, *rest, forced=True) for name, rest in units.items()},
        repeats=5,
    )


@pytest.mark.parametrize("when", ["after 300 rounds", "after 13,600 rounds"])
def test_scoring_against_reading_the_inverses(race, request, when):
    stream = stream_of(1000, 128, 500)
    if when == "after 300 rounds":
        policy = stream.teach(early(), 0.3).policy
    else:
        policy = request.getfixturevalue("late").policy
    dense = np.random.default_rng(0).random((1000, 128, 128))

    def score(state: object) -> None:
        for x in stream.contexts[:20]:
            policy.ucb(x)

    def read(state: object) -> None:
        for _ in range(5):
            dense.sum()

    note = "NumPy's sum of K d d numbers of 8 bytes"
    race(
        f"Bounds of all arms, K = 1000, d = 128, {when}",
        "decision",
        Runner(score, 20),
        {"reading 1000 dense inverses once": Runner(read, 5, goal=1.0, note=note)},
    )


# ------------------------------------------------ a row for each arm


@pytest.mark.parametrize(
    ("n_arms", "d", "n", "units", "textbook", "goal"),
    [
        (50, 9, 1_000, 1_000, 100, 30.0),
        (50, 32, 1_000, 1_000, 60, 30.0),
        (1000, 32, 60, 300, 6, 100.0),
        (1000, 128, 30, 60, 1, 30.0),
    ],
)
def test_linucb_with_a_row_for_each_arm(race, n_arms, d, n, units, textbook, goal):
    stream = stream_of(n_arms, d, n, rows=True)
    ours = stream.teach(Ours(n_arms, d, ALPHA, RIDGE), PLAYS)
    forced = n_arms == 1000  # plays spread evenly
    size = (n_arms, d, ALPHA, RIDGE)
    race(
        f"LinUCB, a row for each arm, K = {n_arms}, d = {d}" + forced * ", plays spread evenly",
        "round",
        rounds(ours, stream, units, forced=forced),
        {
            "textbook": rounds(Textbook(*size), stream, textbook, goal, forced=forced),
            "textbook, one call inverts all": rounds(
                TextbookAtOnce(*size), stream, textbook, forced=forced
            ),
        },
        repeats=5,
    )
    stream_of.cache_clear()  # a stream of rows for each arm is large


# ------------------------------------------------ many worlds


@pytest.mark.parametrize(("n_worlds", "goal"), [(20, 5.0), (100, 8.0)])
def test_many_worlds_at_once(race, n_worlds, goal):
    # Worlds are shops of their own. The one-world loop plays the first of them.
    n, K, d = 500, 50, 9
    shops = [Shop(seed=seed) for seed in range(n_worlds)]
    visits = [shop.visits(0, n) for shop in shops]
    contexts = np.stack([SharedUserFeatures(s)(v) for s, v in zip(shops, visits, strict=True)], 1)
    clicks = np.empty((n, n_worlds, K))
    for world, (shop, seen) in enumerate(zip(shops, visits, strict=True)):
        mu = shop.click_probability(seen.users[:, None], np.arange(K))
        clicks[:, world] = seen.uniforms[:, None] < mu
    worlds, together = np.arange(n_worlds), LinUCB(K, d, ALPHA, RIDGE, n_worlds=n_worlds)
    alone, lists = LinUCB(K, d, ALPHA, RIDGE), clicks[:, 0].tolist()
    order = np.random.default_rng(0).permutation(K)
    for t in range(round(PLAYS * K)):
        arms, at = np.full(n_worlds, order[t % K]), t % n
        together.update(arms, contexts[at], clicks[at, worlds, arms])
        alone.update(order[t % K], contexts[at, 0], lists[at][order[t % K]])

    def at_once(state: object) -> None:
        for context, click in zip(contexts, clicks, strict=True):
            arms = together.select(context)
            together.update(arms, context, click[worlds, arms])

    def one_world(state: object) -> None:
        for context, click in zip(contexts[:, 0], lists, strict=True):
            arm = alone.select(context)
            alone.update(arm, context, click[arm])

    race(
        f"LinUCB in {n_worlds} worlds at once, K = {K}, d = {d}",
        "round of one world",
        Runner(at_once, n * n_worlds),
        {"one world after the other": Runner(one_world, n, goal=goal, note="our own class")},
    )

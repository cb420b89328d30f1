"""Equality before speed: whoever is called the same formula shows the same arms on one stream.

Everybody reads the same contexts and learns the same rewards of the same arms, which are drawn
beforehand, so one difference does not hide behind another. The later an arm, the later it is played
for the first time; the last two are never played.

Arms that were never played have equal bounds on a shared row, in every round in which two of them
are left. So "the same arm" is not enough to ask, and not always possible. We ask two things in each
round: where a peer tells its scores, all K agree with the textbook's, those of untouched arms
included; and the arm shown is one of the textbook's best, which is a single one in most rounds (a
test of its own says so).
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from linear_peers import (
    Contextualbandits,
    EightLines,
    EightLinesOfRows,
    Mabwiser,
    Obp,
    Ours,
    Textbook,
    TextbookAtOnce,
)
from recsys.linear.linucb import LinUCB

K, D, ROUNDS, ALPHA = 12, 5, 300, 0.5
RIDGES = (0.3, 1.0, 3.0)
EXACT = (Ours, TextbookAtOnce, EightLines, Mabwiser, Contextualbandits)


class Stream:
    """Contexts, arms to play and rewards, equal for everybody."""

    def __init__(self, rows: bool = False) -> None:
        rng = np.random.default_rng(7)
        self.contexts = rng.normal(size=(ROUNDS, K, D) if rows else (ROUNDS, D))
        in_play = 1 + (np.arange(ROUNDS) * (K - 2)) // ROUNDS  # the last two stay untouched
        self.arms = rng.integers(in_play)
        hidden = rng.normal(size=(K, D))
        at = np.arange(ROUNDS)
        self.taught = self.contexts[at, self.arms] if rows else self.contexts
        mean = np.vecdot(hidden[self.arms], self.taught)
        self.rewards = 2.0 + mean + 0.1 * rng.normal(size=ROUNDS)


def test_the_stream_asks_something():
    stream, oracle = Stream(), Textbook(K, D, ALPHA, 3.0)
    unique = with_newcomers = 0
    for t in range(ROUNDS):
        scores = oracle.scores(stream.contexts[t])
        one = np.isclose(scores, scores.max(), rtol=1e-9).sum() == 1
        untouched = ~np.isin(np.arange(K), stream.arms[:t])
        unique += one
        with_newcomers += one and not untouched[scores.argmax()]
        assert untouched.sum() >= 2
        oracle.update(stream.arms[t], stream.taught[t], stream.rewards[t])
    assert unique > 0.7 * ROUNDS
    assert with_newcomers > 0.7 * ROUNDS


def follow(peer, ridge, stream):
    """Assert that the peer agrees with the textbook in every round of the stream."""
    oracle = Textbook(K, D, ALPHA, ridge)
    for t in range(ROUNDS):
        x, taught = stream.contexts[t], stream.taught[t]
        expected = oracle.scores(x)
        if hasattr(peer, "scores"):
            np.testing.assert_allclose(peer.scores(x), expected, rtol=1e-8, atol=1e-10)
        chosen = peer.select(peer.context(x))
        assert expected[chosen] >= expected.max() - 1e-9 * abs(expected.max()), (t, chosen)
        oracle.update(stream.arms[t], taught, stream.rewards[t])
        peer.update(stream.arms[t], peer.context(taught), stream.rewards[t])


@pytest.mark.parametrize("ridge", RIDGES)
@pytest.mark.parametrize("make", EXACT)
def test_the_same_arms_on_a_shared_row(make, ridge):
    follow(make(K, D, ALPHA, ridge), ridge, Stream())


def test_obp_shows_the_same_arms_at_the_ridge_that_it_fixes():
    follow(Obp(K, D, ALPHA), 1.0, Stream())


@pytest.mark.parametrize("ridge", (0.3, 3.0))
def test_obp_shows_other_arms_at_another_ridge(ridge):
    with pytest.raises(AssertionError, match=r"^\(\d+, \d+\)"):
        follow(Obp(K, D, ALPHA), ridge, Stream())


@pytest.mark.parametrize("ridge", RIDGES)
@pytest.mark.parametrize("make", (Ours, TextbookAtOnce, EightLinesOfRows))
def test_the_same_arms_with_a_row_for_each_arm(make, ridge):
    follow(make(K, D, ALPHA, ridge), ridge, Stream(rows=True))


@pytest.mark.parametrize("ridge", RIDGES)
def test_rows_for_each_arm_agree_with_an_independent_peer(ridge):
    # No disjoint peer takes a row for each arm, but mabwiser scores K rows at all K arms: the
    # diagonal of that K x K matrix is what the arms' own rows are worth.
    stream, ours, peer = Stream(rows=True), Ours(K, D, ALPHA, ridge), Mabwiser(K, D, ALPHA, ridge)
    for t in range(ROUNDS):
        if t % 10 == 0:
            diagonal = np.diagonal(peer.scores(stream.contexts[t]))
            np.testing.assert_allclose(ours.scores(stream.contexts[t]), diagonal, rtol=1e-8)
        for policy in (ours, peer):
            taught = policy.context(stream.taught[t])
            policy.update(stream.arms[t], taught, stream.rewards[t])


def test_many_worlds_are_as_many_single_worlds():
    n_worlds, rng = 4, np.random.default_rng(3)
    together = LinUCB(K, D, ALPHA, 0.3, n_worlds=n_worlds)
    alone = [Textbook(K, D, ALPHA, 0.3) for _ in range(n_worlds)]
    for _ in range(ROUNDS):
        rows, arms = rng.normal(size=(n_worlds, D)), rng.integers(K, size=n_worlds)
        rewards = rng.normal(size=n_worlds)
        bounds = [one.scores(row) for one, row in zip(alone, rows, strict=True)]
        np.testing.assert_allclose(together.ucb(rows), bounds, rtol=1e-8)
        together.update(arms, rows, rewards)
        for one, arm, row, reward in zip(alone, arms, rows, rewards, strict=True):
            one.update(arm, row, reward)


# Where others start A⁻¹ at λI instead of I/λ. Only λ = 1 hides it. We report it and do not copy it.


def test_mabwiser_as_it_starts_overrates_newcomers_by_a_factor_of_the_ridge():
    x = np.random.default_rng(0).normal(size=D)
    for ridge in RIDGES:
        expected = Textbook(K, D, ALPHA, ridge).scores(x)
        found = Mabwiser(K, D, ALPHA, ridge, as_it_starts=True).scores(x)
        np.testing.assert_allclose(found[1:], ridge * expected[1:], rtol=1e-12)
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)  # it got a row of zeros


def test_calvera_starts_the_inverse_at_the_ridge():
    calvera = pytest.importorskip("calvera.bandits.linear_ucb_bandit")
    for ridge in RIDGES:
        bandit = calvera.LinearUCBBandit(n_features=D, lambda_=ridge)
        start = bandit.precision_matrix  # in spite of its name what it updates as the inverse
        torch.testing.assert_close(start, ridge * torch.eye(D))

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recsys.shop.streams import STREAMS, STRETCH, Streams
from strategies import modest, refuses

NEAR_AN_EDGE = st.builds(
    lambda block, offset: max(0, block * STRETCH + offset), st.integers(0, 3), st.integers(-3, 3)
)


@modest
@given(rounds=st.lists(NEAR_AN_EDGE, min_size=1, max_size=12), stream=st.sampled_from(STREAMS))
def test_a_rounds_uniform_does_not_depend_on_what_else_was_asked_or_when(
    rounds: list[int], stream: str
):
    together = Streams(5).uniforms(stream, np.array(rounds))
    backwards = Streams(5)
    singly = [float(backwards.uniforms(stream, np.array(r))) for r in reversed(rounds)][::-1]
    assert together.tolist() == singly
    assert all(together[i] == together[rounds.index(r)] for i, r in enumerate(rounds))


def test_every_round_has_its_own_number_across_block_edges():
    drawn = Streams(3).uniforms("clicks", np.arange(3 * STRETCH + 7))
    assert len(np.unique(drawn)) == len(drawn)
    assert drawn.min() >= 0.0
    assert drawn.max() < 1.0


def test_uniforms_keep_the_shape_of_the_rounds():
    streams = Streams(0)
    rounds = np.array([[0, STRETCH], [2 * STRETCH + 1, 4]])
    table = streams.uniforms("arrivals", rounds)
    assert table.shape == (2, 2)
    for place in np.ndindex(2, 2):
        assert table[place] == streams.uniforms("arrivals", rounds[place])


@pytest.mark.parametrize("stream", STREAMS)
def test_the_numbers_of_a_stream_are_uniform_and_free_of_serial_correlation(stream: str):
    drawn = Streams(11).uniforms(stream, np.arange(40_000))
    assert stats.kstest(drawn, "uniform").pvalue > 1e-4
    for lag in (1, 2, STRETCH):
        r = np.corrcoef(drawn[:-lag], drawn[lag:])[0, 1]
        assert abs(r) * np.sqrt(len(drawn) - lag) < 4.5  # r is about N(0, 1/n) without correlation


def test_streams_and_seeds_are_uncorrelated_with_each_other():
    drawn = np.array(
        [Streams(seed).uniforms(s, np.arange(20_000)) for seed in (0, 1) for s in STREAMS]
    )
    r = np.corrcoef(drawn) - np.eye(len(drawn))
    assert np.abs(r).max() * np.sqrt(20_000) < 4.5


def test_generators_are_replayed_and_differ_by_seed_stream_and_key():
    first = {
        (seed, stream, key): tuple(Streams(seed).rng(stream, *key).random(3))
        for seed in (0, 1)
        for stream in STREAMS
        for key in ((), (0,), (1,), (0, 0))
    }
    assert len(set(first.values())) == len(first)
    streams = Streams(0)
    streams.rng("users").random(100)  # earlier use leaves no trace
    assert tuple(streams.rng("users").random(3)) == first[0, "users", ()]


def test_a_policys_generator_depends_on_its_name_and_on_the_seed_only():
    def draws(seed: int, name: str) -> tuple[float, ...]:
        return tuple(Streams(seed).policy_rng(name).random(4))

    streams = Streams(0)
    streams.policy_rng("other").random(9)
    assert tuple(streams.policy_rng("greedy").random(4)) == draws(0, "greedy")
    assert len({draws(0, "greedy"), draws(0, "random"), draws(1, "greedy"), draws(0, "")}) == 4


@pytest.mark.parametrize("seed", [-1, 1.0, True, None, "0", np.nan])
def test_a_bad_seed_is_refused(seed: object):
    with refuses("seed"):
        Streams(seed)


@pytest.mark.parametrize("stream", ["", "user", None, 0])
def test_an_unknown_stream_is_refused(stream: object):
    streams = Streams(0)
    with refuses("stream", streams):
        streams.rng(stream)
    with refuses("stream", streams):
        streams.uniforms(stream, np.arange(3))


@pytest.mark.parametrize("rounds", [[-1], [0.5], [True], ["a"]])
def test_rounds_that_are_no_rounds_are_refused(rounds: list[object]):
    streams = Streams(0)
    with refuses("rounds", streams):
        streams.uniforms("clicks", np.array(rounds))

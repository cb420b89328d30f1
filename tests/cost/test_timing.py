from time import sleep

import pytest

from recsys.cost.timing import take_turns
from strategies import refuses


def test_the_ways_take_turns():
    calls = []
    ways = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    assert list(take_turns(ways, 3)) == ["a", "b"]
    assert calls == ["a", "b"] * 3


def test_the_median_forgives_one_slow_turn():
    naps = iter([0.0, 0.2, 0.0])
    seconds = take_turns({"nap": lambda: sleep(next(naps)), "sleeper": lambda: sleep(0.02)})
    assert seconds["nap"] < 0.1
    assert seconds["sleeper"] >= 0.02


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, None])
def test_no_turn_is_refused(bad: object):
    with refuses("n_turns"):
        take_turns({"a": int}, bad)


def test_no_way_is_refused():
    with refuses("ways"):
        take_turns({})

"""Nothing may cost K² for a catalogue of K arms: every public call, at K and at 2K."""

import importlib

import pytest

import catalogue

K = 2_000
FEWER = {"per_arm_gradients, loop": 100}  # arms of a call that needs minutes for all of them
calls = {room: make() for room, make in catalogue.CALLS.items()}
EVERY = [(room, name) for room, named in calls.items() for name in named]


def test_every_public_name_is_called_or_says_why_not():
    excused = set().union(*catalogue.NOT_CALLED.values())
    for room, named in calls.items():
        face = set(importlib.import_module(f"recsys.{room}").__all__)
        called = {name.split(".")[0].split(",")[0] for name in named}
        assert face - called - excused == set()
        assert called <= face


@pytest.mark.parametrize(("room", "name"), EVERY)
def test_twice_the_arms_take_at_most_twice_the_memory(room: str, name: str):
    n = FEWER.get(name, K)
    first, second = catalogue.peaks(calls[room][name], n)
    assert second < 2.7 * first + 2**17  # with the square it would be 4


def test_what_grows_with_the_square_is_seen():
    square = [catalogue.peak(lambda k=k: [0.0] * k**2) for k in (K, 2 * K)]
    assert square[1] > 3.9 * square[0]

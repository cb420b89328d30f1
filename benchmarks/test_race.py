"""The harness itself: pairing, goals, and how runs are put together. Needs no peers."""

from __future__ import annotations

import copy
import json
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import machine
import table
from race import Fact, Race, Runner


class FakeBenchmark:
    """Stands in for pytest-benchmark's fixture, so that these tests leave no record."""

    def __init__(self) -> None:
        self.group, self.extra_info = None, {}

    def pedantic(self, function: Callable[[], None], rounds: int, iterations: int) -> None:
        """Call the function so many times."""
        assert iterations == 1
        for _ in range(rounds):
            function()


class Clock:
    """A clock that moves when it is told to."""

    now = 0.0

    def perf_counter(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr("race.time", made)
    return made


@pytest.fixture
def race():
    return Race(FakeBenchmark())


def test_a_race_goes_by_turns_and_begins_with_another_each_time(race):
    called = []
    ours, a, b = (Runner(lambda state, name=name: called.append(name)) for name in "oab")
    race("w", "u", ours, {"a": a, "b": b}, repeats=3)
    assert "".join(called) == "abo" + "abo" + "bao" + "abo"  # the first turn warms up


def test_a_race_pairs_the_times_of_one_repeat(race, clock):
    pace = [7.0]  # seconds for our unit: the machine gets slower and slower

    def ours(state: object) -> None:
        clock.now += pace[0]
        pace[0] *= 2

    def theirs(state: object) -> None:
        clock.now += 3 * pace[0] * 5  # three times as long for each of five units

    opponent = Runner(theirs, units=5, goal=2.0, note="made up")
    ratios = race("w", "u", Runner(ours), {"theirs": opponent}, repeats=3)
    assert ratios["theirs"] == pytest.approx(3.0)
    record = race.benchmark.extra_info
    assert record["ours"] == {"seconds": 28.0, "low": 14.0, "high": 56.0}
    (peer,) = record["peers"]
    assert peer["seconds"] == pytest.approx(84.0)
    assert [peer[key] for key in ("ratio_low", "ratio_high")] == pytest.approx([3.0, 3.0])
    assert (peer["goal"], peer["note"]) == (2.0, "made up")
    json.dumps(record)


def test_preparing_is_not_timed_and_its_state_is_handed_on(clock):
    def prepare() -> str:
        clock.now += 100.0
        return "fresh"

    def run(state: str) -> None:
        assert state == "fresh"
        clock.now += 2.0

    assert Runner(run, 4, prepare).seconds() == 0.5


def test_a_race_sets_the_threads_of_torch_too_and_puts_them_back(race):
    before, seen = torch.get_num_threads(), []
    runner = Runner(lambda state: seen.append(torch.get_num_threads()))
    for threads in (1, 2):
        race("w", "u", runner, {}, repeats=1, threads=threads)
    assert seen == [1, 1, 2, 2]
    assert torch.get_num_threads() == before


def test_a_fact_is_written_with_its_goal(race):
    race.fact("peak", 3, at_most=2)
    race("w", "u", Runner(lambda state: None), {}, repeats=1)
    (fact,) = race.benchmark.extra_info["facts"]
    assert fact == {"name": "peak", "value": 3.0, "at_most": 2, "at_least": None, "met": False}


@pytest.mark.parametrize(
    ("value", "goals", "met"),
    [
        (1.0, {}, None),
        (1.0, {"at_most": 1.0}, True),
        (1.1, {"at_most": 1.0}, False),
        (1.0, {"at_least": 1.0}, True),
        (0.9, {"at_least": 1.0}, False),
        (0.9, {"at_least": 0.5, "at_most": 1.0}, True),
        (0.4, {"at_least": 0.5, "at_most": 1.0}, False),
        (1.4, {"at_least": 0.5, "at_most": 1.0}, False),
    ],
)
def test_whether_a_fact_meets_its_goal(value, goals, met):
    assert Fact("peak", value, **goals).met is met


def a_run(ratio, theirs=2.0, peak=5.0):
    """Return what pytest-benchmark would have written of one race."""
    peer = {"name": "peer", "seconds": theirs, "low": theirs - 1, "high": theirs + 1}
    peer |= {"ratio": ratio, "ratio_low": ratio / 2, "ratio_high": ratio * 2, "goal": 10.0}
    fact = {"name": "peak", "value": peak, "at_most": 5.0, "at_least": None, "met": peak <= 5.0}
    extra = {"work": "some work", "unit": "round", "threads": 1, "repeats": 3}
    extra |= {"ours": {"seconds": 0.1, "low": 0.09, "high": 0.2}}
    extra |= {"peers": [peer | {"note": "made up"}], "facts": [fact]}
    return {
        "datetime": "2026-01-02T03:04:05",
        "commit_info": {"id": "abcdef", "dirty": False, "time": ratio},
        "machine_info": {"cpu": "made up", "cores": 2, "blas": ["blas"]},
        "benchmarks": [
            {"fullname": "benchmarks/test_x.py::test_y", "extra_info": extra},
            {"fullname": "benchmarks/test_x.py::test_no_race", "extra_info": {}},
        ],
    }


@pytest.mark.parametrize(("ratios", "met"), [((9, 11, 12), True), ((9, 9.9, 30), False)])
def test_the_median_of_the_runs_decides_about_a_goal(ratios, met):
    (race,) = table.collect([a_run(ratio) for ratio in ratios])["races"]
    ours, peer = race["rows"]
    assert ours == {"who": table.OURS, "seconds": 0.1, "low": 0.09, "high": 0.2}
    assert peer["met"] is met
    assert (peer["ratio_low"], peer["ratio"], peer["ratio_high"]) == ratios
    assert [record["peers"][0]["ratio"] for record in race["records"]] == list(ratios)
    assert race["records"][0]["facts"] == {"peak": 5.0}


def test_seconds_and_facts_over_runs():
    runs = [a_run(11, theirs, peak) for theirs, peak in ((2.0, 4.0), (7.0, 5.5), (3.0, 5.2))]
    (race,) = table.collect(runs)["races"]
    assert [race["rows"][1][key] for key in ("low", "seconds", "high")] == [1.0, 3.0, 8.0]
    assert [race["facts"][0][key] for key in ("low", "value", "high")] == [4.0, 5.2, 5.5]
    assert race["facts"][0]["met"] is False


def test_runs_of_different_machines_commits_or_races_are_refused():
    for change in (
        lambda run: run["machine_info"].update(cores=4),
        lambda run: run["commit_info"].update(id="other"),
        lambda run: run["benchmarks"][0].update(fullname="other"),
    ):
        other = copy.deepcopy(a_run(11))
        change(other)
        with pytest.raises(ValueError, match="expected"):
            table.collect([a_run(11), other])


def test_the_table_says_who_what_and_whether():
    shown = table.text(table.collect([a_run(9), a_run(9.5), a_run(30)]))
    assert "some work (round; 1 thread)" in shown
    assert "goal >= 10: NOT MET" in shown
    assert "[made up]" in shown
    assert "1 of 2 goals met" in shown


def test_the_kept_record_is_json_with_a_race_on_a_line():
    record = table.collect([a_run(10 / 3), a_run(11)])
    kept = table.dumped(record)
    assert json.loads(kept) == table.rounded(record)
    assert sum('"work"' in line for line in kept.splitlines()) == 1


def test_the_machine_is_described_without_names_or_folders():
    found = machine.describe()
    assert found["cpu"]
    assert found["cores"] >= 1
    assert found["versions"]["numpy"] == np.__version__
    assert any("openblas" in name or "mkl" in name for name in found["blas"]), found["blas"]
    told = json.dumps(found)
    for private in (f'"{platform.node()}"', str(Path.home()), ".so"):
        assert private not in told

"""The harness itself: pairing, kinds, and how runs are put together. Needs no peers."""

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
from race import Race, Runner


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

    opponent = Runner(theirs, units=5, kind="limit", note="made up")
    ratios = race("w", "u", Runner(ours), {"theirs": opponent}, repeats=3)
    assert ratios["theirs"] == pytest.approx(3.0)
    record = race.benchmark.extra_info
    assert record["ours"] == {"seconds": 28.0, "low": 14.0, "high": 56.0}
    (peer,) = record["peers"]
    assert peer["seconds"] == pytest.approx(84.0)
    assert [peer[key] for key in ("ratio_low", "ratio_high")] == pytest.approx([3.0, 3.0])
    assert (peer["kind"], peer["note"]) == ("limit", "made up")
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


def test_a_fact_is_written(race):
    race.fact("peak", 3)
    race("w", "u", Runner(lambda state: None), {}, repeats=1)
    assert race.benchmark.extra_info["facts"] == {"peak": 3.0}


def test_an_opponent_of_no_kind_is_refused():
    with pytest.raises(ValueError, match="kind"):
        Runner(lambda state: None, kind="rival")


def a_run(ratio, theirs=2.0, peak=5.0, limit=0.25):
    """Return what pytest-benchmark would have written of one race."""

    def row(name: str, kind: str, ratio: float) -> dict:
        found = {"name": name, "seconds": theirs, "low": theirs - 1, "high": theirs + 1}
        found |= {"ratio": ratio, "ratio_low": ratio / 2, "ratio_high": ratio * 2}
        return found | {"kind": kind, "note": "made up"}

    extra = {"work": "some work", "unit": "round", "threads": 1, "repeats": 3}
    extra |= {"ours": {"seconds": 0.1, "low": 0.09, "high": 0.2}}
    extra |= {"peers": [row("peer", "peer", ratio), row("slow", "peer", 100.0)]}
    extra["peers"] += [row("other", "other", 0.1), row("own", "own", 0.2)]
    extra["peers"] += [row("reading", "limit", limit), row("less", "limit", limit / 2)]
    extra["facts"] = {"peak": peak}
    return {
        "datetime": "2026-01-02T03:04:05",
        "commit_info": {"id": "abcdef", "dirty": False, "time": ratio},
        "machine_info": {"cpu": "made up", "cores": 2, "blas": ["blas"]},
        "benchmarks": [
            {"fullname": "benchmarks/test_x.py::test_y", "extra_info": extra},
            {"fullname": "benchmarks/test_x.py::test_no_race", "extra_info": {}},
        ],
    }


def test_ratios_over_runs_and_the_two_numbers():
    runs = [a_run(9, limit=0.5), a_run(12, limit=0.3), a_run(11, limit=0.4)]
    (race,) = table.collect(runs)["races"]
    ours, peer, *_ = race["rows"]
    assert ours == {"who": table.OURS, "seconds": 0.1, "low": 0.09, "high": 0.2}
    assert (peer["ratio_low"], peer["ratio"], peer["ratio_high"]) == (9, 11, 12)
    assert [record["peers"][0]["ratio"] for record in race["records"]] == [9, 12, 11]
    assert race["records"][0]["facts"] == {"peak": 5.0}
    # neither who computes something else nor another way of ours is the fastest other way
    assert (race["fastest"], race["ahead"]) == ("peer", 11)
    assert (race["limit"], race["share"]) == ("reading", 0.4)


def test_a_race_without_such_rows_has_no_such_number():
    run = a_run(9)
    run["benchmarks"][0]["extra_info"]["peers"] = []
    (race,) = table.collect([run])["races"]
    assert [race[key] for key in ("fastest", "ahead", "limit", "share")] == [None] * 4
    assert "some work" in table.text(table.collect([run]))


def test_seconds_and_facts_over_runs():
    runs = [a_run(11, theirs, peak) for theirs, peak in ((2.0, 4.0), (7.0, 5.5), (3.0, 5.2))]
    (race,) = table.collect(runs)["races"]
    assert [race["rows"][1][key] for key in ("low", "seconds", "high")] == [1.0, 3.0, 8.0]
    assert race["facts"] == [{"name": "peak", "value": 5.2, "low": 4.0, "high": 5.5}]


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


def test_the_table_says_who_what_and_how_far():
    shown = table.text(table.collect([a_run(9), a_run(9.5), a_run(30)]))
    assert "some work (round; 1 thread)" in shown
    assert "9.5 times as fast as peer" in shown
    assert "25 per cent of the limit, reading" in shown
    assert "[made up]" in shown


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

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from recsys.lab.record import RULES, Record, Search
from recsys.lab.tuning import SEARCH_SEEDS, Contestant, grid, tune
from strategies import modest, refuses


def search_of(values: np.ndarray, rule: str = "best", larger: bool = True) -> Search:
    points = tuple({"x": i} for i in range(len(values)))
    seeds = tuple(range(values.shape[1]))
    return Search("all", "y", larger, rule, seeds, {"z": 1}, points, {"y": values})


TABLE = hnp.arrays(float, st.tuples(st.integers(1, 6), st.integers(2, 6)), elements=st.floats(0, 9))


@modest
@given(values=TABLE, larger=st.booleans())
def test_the_best_is_the_best_mean_and_of_equals_the_first(values: np.ndarray, larger: bool):
    means = list(values.mean(axis=1))
    wanted = means.index(max(means) if larger else min(means))
    search = search_of(values, larger=larger)
    assert search.chosen == search.best == wanted
    assert search.settings == {"x": wanted, "z": 1}
    assert search.budget == values.size


@modest
@given(values=TABLE, larger=st.booleans())
def test_the_first_within_the_band_by_a_t_test(values: np.ndarray, larger: bool):
    values = values + np.arange(values.size).reshape(values.shape) ** 2 * 1e-3  # no ties
    search = search_of(values, "first within the band", larger)
    for i in range(search.chosen + 1):
        if i == search.best:
            inside = True
        else:
            difference = values[i] - values[search.best]
            if np.ptp(difference) < 1e-9:
                return
            p = stats.ttest_rel(values[i], values[search.best]).pvalue
            if abs(p - 0.05) < 1e-6:
                return
            inside = p > 0.05
        assert inside == (i == search.chosen)


def test_the_search_finds_the_top_of_a_hill_and_tells_what_it_played():
    def height(settings: dict, seed: int) -> dict[str, float]:
        assert settings["slope"] == 2
        return {"y": -(settings["x"] ** 2) + 0.1 * seed, "other": float(seed)}

    points = grid(x=(-2, -1, 0, 1), w=("a", "b"))
    assert [tuple(p.values()) for p in points] == list(product((-2, -1, 0, 1), "ab"))
    field = {"hill": Contestant(height, points, {"slope": 2})}
    found = tune("hills", field, "y", seeds=(3, 5), n_jobs=1, progress=False)
    assert found["hill"].settings == {"slope": 2, "x": 0, "w": "a"}
    assert found["hill"].outcomes["y"][0].tolist() == pytest.approx([-4 + 0.3, -4 + 0.5])
    assert found["hill"].outcomes["other"].tolist() == [[3.0, 5.0]] * 8
    again = tune("hills", field, "y", seeds=(3, 5), n_jobs=2, progress=False)
    assert (again["hill"].outcomes["y"] == found["hill"].outcomes["y"]).all()


def test_a_search_plays_where_no_page_does():
    assert tuple(range(100, 110)) == SEARCH_SEEDS


def plain(settings: dict, seed: int) -> dict[str, float]:
    return {"y": float(settings["x"] + seed)}


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("points", {"contestants": {k: Contestant(plain, grid(x=range(k))) for k in (1, 2)}}),
        ("points", {"contestants": {"a": Contestant(plain, [{"x": 1}, {"x": 1}])}}),
        ("points", {"contestants": {"a": Contestant(plain, [{"x": 1}, {"w": 1}])}}),
        ("points", {"contestants": {"a": Contestant(plain, [{"x": object()}])}}),
        ("points", {"contestants": {"a": Contestant(plain, [])}}),
        ("contestants", {"contestants": {}}),
        ("rule", {"rule": "whatever wins"}),
        ("objective", {"objective": "z"}),
        ("seeds", {"seeds": (1, 1)}),
        ("seeds", {"seeds": (-1, 1)}),
        ("fixed", {"contestants": {"a": Contestant(plain, grid(x=(1, 2)), {"x": 1})}}),
    ],
)  # fmt: skip
def test_a_search_refuses_what_is_unfair_or_unclear(argument: str, arguments: dict):
    good = {"contestants": {"a": Contestant(plain, grid(x=(1, 2)))}, "objective": "y"}
    good |= {"seeds": (1, 2), "n_jobs": 1, "progress": False}
    assert tune("c", **good)
    with refuses(argument):
        tune("c", **{**good, **arguments})


def test_a_search_refuses_shifted_worlds(monkeypatch: pytest.MonkeyPatch):
    field = {"a": Contestant(plain, grid(x=(1, 2)))}
    monkeypatch.setenv("RECSYS_WORLDS", "1000")
    with refuses("RECSYS_WORLDS"):
        tune("c", field, "y", seeds=(1, 2), n_jobs=1, progress=False)
    monkeypatch.setenv("RECSYS_WORLDS", "0")
    assert tune("c", field, "y", seeds=(1, 2), n_jobs=1, progress=False)


def test_contestants_of_a_comparison_are_searched_alike():
    values = np.random.default_rng(0).normal(size=(3, 4))
    assert len(Record({"a": search_of(values), "b": search_of(values + 1)})) == 2
    with refuses("budget"):
        Record({"a": search_of(values), "b": search_of(values[:2])})
    with refuses("rule"):
        Record({"a": search_of(values), "b": search_of(values, "first within the band")})
    with refuses("larger"):
        Record({"a": search_of(values), "b": search_of(values, larger=False)})
    with refuses("searches"):
        Record({})


@pytest.mark.parametrize("rule", RULES)
def test_a_record_comes_back_as_it_was(rule: str, tmp_path: Path):
    values = np.random.default_rng(1).normal(size=(3, 4))
    record = Record({"a": search_of(values, rule), "b": search_of(values**2, rule)})
    record.write(tmp_path / "settings.json")
    back = Record.read(tmp_path / "settings.json")
    assert back.settings == record.settings
    for name, search in record.items():
        assert (back[name].outcomes["y"] == search.outcomes["y"]).all()
    text = (tmp_path / "settings.json").read_text("utf-8")
    back.write(tmp_path / "settings.json")
    assert (tmp_path / "settings.json").read_text("utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]
    low, mean, high = json.loads(text)["a"]["points"][1]["band"]["y"]
    interval = stats.t.interval(0.95, 3, loc=values[1].mean(), scale=stats.sem(values[1]))
    assert (low, mean, high) == pytest.approx((interval[0], values[1].mean(), interval[1]))


def changed(place: Path, change: object) -> None:
    plain = json.loads(place.read_text("utf-8"))
    change(plain["a"])
    place.write_text(json.dumps(plain), "utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.update(chosen=(a["chosen"] + 1) % 3),  # a winner by hand
        lambda a: a.update(budget=99),
        lambda a: a["points"][0]["values"]["y"].__setitem__(0, 9.0),
        lambda a: a["points"][0]["band"]["y"].__setitem__(2, 9.0),
        lambda a: a.pop("rule"),
        lambda a: a.update(rule="mine"),
    ],
)
def test_a_record_that_was_changed_by_hand_is_refused(change: object, tmp_path: Path):
    place = tmp_path / "settings.json"
    Record({"a": search_of(np.random.default_rng(1).normal(size=(3, 4)))}).write(place)
    assert Record.read(place)
    changed(place, change)
    with pytest.raises(ValueError, match=r"path|rule"):
        Record.read(place)


def test_what_is_no_record_is_refused(tmp_path: Path):
    for text in ("", "[]", "{}", '{"a": 1}', '{"a": {"points": []}}'):
        (tmp_path / "a.json").write_text(text, "utf-8")
        with refuses("path" if text != "{}" else "searches"):
            Record.read(tmp_path / "a.json")

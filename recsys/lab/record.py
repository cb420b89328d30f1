"""The record of a search: what was tried, in which worlds, and what was chosen by which rule.

It keeps the outcome of every point in every world, so that anybody can compute any of them again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recsys import archive, checks
from recsys.lab.bands import Estimate, band, paired_band

RULES = {
    "best": "the best mean; of equals the one that is listed first",
    "first within the band": (
        "the first in the list whose difference to the best mean, world by world, has a 95 % band "
        "that includes zero"
    ),
}

Settings = Mapping[str, object]


@dataclass(frozen=True)
class Search:
    """What one contestant tried, and what was chosen.

    Parameters
    ----------
    comparison : str
        Contestants of one comparison have the same budget, objective and rule.
    objective : str
        Which outcome decides.
    larger : bool
        Whether a larger outcome is the better one.
    rule : str
        A key of ``RULES``.
    seeds : tuple of int
        The worlds (S,).
    fixed : dict
        Settings that all points share.
    points : tuple of dict
        The settings that were tried (n,), in the order of preference.
    outcomes : dict
        For each outcome its values (n, S), a row for each point.
    """

    comparison: str
    objective: str
    larger: bool
    rule: str
    seeds: tuple[int, ...]
    fixed: dict[str, object]
    points: tuple[dict[str, object], ...]
    outcomes: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        checks.one_of("rule", self.rule, tuple(RULES))
        checks.one_of("objective", self.objective, tuple(self.outcomes))
        distinct(self.points)
        if twice := set(self.fixed) & set(self.points[0]):
            raise ValueError(f"fixed: got {sorted(twice)}, expected no setting that points vary")
        several(self.seeds)
        for name, values in self.outcomes.items():
            checks.finite(f"outcomes[{name!r}]", values, (len(self.points), len(self.seeds)))

    @property
    def budget(self) -> int:
        """How many outcomes were computed: points times worlds."""
        return len(self.points) * len(self.seeds)

    @property
    def settings(self) -> dict[str, object]:
        """The chosen settings, those that all points share among them."""
        return {**self.fixed, **self.points[self.chosen]}

    @property
    def best(self) -> int:
        """The point with the best mean; of equals the one that is listed first."""
        means = self.outcomes[self.objective].mean(axis=1)
        return int(np.argmax(means if self.larger else -means))

    @property
    def chosen(self) -> int:
        """The point that the rule chooses."""
        if self.rule == "best":
            return self.best
        return next(
            i for i in range(len(self.points)) if i == self.best or not self.behind(i).excludes_zero
        )

    def estimate(self, point: int, outcome: str | None = None) -> Estimate:
        """Return the band of an outcome of a point, by default of the objective."""
        return band(self.outcomes[outcome or self.objective][point])

    def behind(self, point: int) -> Estimate:
        """Return by how much a point is behind the best one in the objective, world by world."""
        values = self.outcomes[self.objective]
        better, worse = (self.best, point) if self.larger else (point, self.best)
        return paired_band(values[better], values[worse])

    def _plain(self) -> dict[str, object]:
        """Return what a record writes."""
        points = []
        for i, settings in enumerate(self.points):
            bands = {name: self.estimate(i, name) for name in self.outcomes}
            points.append(
                {
                    "settings": settings,
                    "values": {name: rows[i].tolist() for name, rows in self.outcomes.items()},
                    "band": {name: [e.low, e.mean, e.high] for name, e in bands.items()},
                }
            )
        return {
            "comparison": self.comparison,
            "objective": self.objective,
            "larger is better": self.larger,
            "rule": self.rule,
            "rule in words": RULES[self.rule],
            "seeds": list(self.seeds),
            "budget": self.budget,
            "fixed": self.fixed,
            "points": points,
            "chosen": self.chosen,
        }

    @classmethod
    def _of(cls, plain: Mapping) -> Search:
        """Return what ``_plain`` wrote."""
        points = plain["points"]
        outcomes = {
            name: np.array([point["values"][name] for point in points], dtype=float)
            for name in points[0]["values"]
        }
        return cls(
            *(plain[name] for name in ("comparison", "objective", "larger is better", "rule")),
            tuple(plain["seeds"]),
            plain["fixed"],
            tuple(point["settings"] for point in points),
            outcomes,
        )


class Record(Mapping):
    """The searches of a chapter by the names of their contestants.

    Parameters
    ----------
    searches : mapping
        A ``Search`` for each name. Those of one comparison must agree in budget, worlds, objective
        and rule.

    Raises
    ------
    ValueError
        If two contestants of a comparison were not searched alike.
    """

    def __init__(self, searches: Mapping[str, Search]) -> None:
        if not searches:
            raise ValueError("searches: got none, expected at least one")
        self._searches = dict(searches)
        first: dict[str, tuple[str, Search]] = {}
        for name, search in self._searches.items():
            other, like = first.setdefault(search.comparison, (name, search))
            if search.budget != like.budget:
                found = f"{search.budget} for {name} and {like.budget} for {other}"
                raise ValueError(f"budget: got {found}, expected one budget for a comparison")
            for what in ("seeds", "objective", "larger", "rule"):
                if getattr(search, what) != getattr(like, what):
                    found = f"{getattr(search, what)!r} for {name}"
                    raise ValueError(f"{what}: got {found}, expected {getattr(like, what)!r}")

    def __getitem__(self, name: str) -> Search:
        return self._searches[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._searches)

    def __len__(self) -> int:
        return len(self._searches)

    @property
    def settings(self) -> dict[str, dict[str, object]]:
        """The chosen settings of every contestant."""
        return {name: search.settings for name, search in self.items()}

    def write(self, path: str | Path) -> None:
        """Write the record as JSON, whole or not at all."""
        plain = {name: search._plain() for name, search in self.items()}
        text = json.dumps(plain, indent=1, sort_keys=True, allow_nan=False) + "\n"
        with archive.beside(path) as place:
            place.write_text(text, "utf-8")

    @classmethod
    def read(cls, path: str | Path) -> Record:
        """Read what ``write`` wrote, or refuse what was changed since.

        Raises
        ------
        ValueError
            If the file is no record, or its bands, budget or choice do not follow from its values.
        """
        try:
            written = json.loads(Path(path).read_text("utf-8"))
            record = cls({name: Search._of(plain) for name, plain in written.items()})
        except (
            json.JSONDecodeError,
            UnicodeDecodeError,
            KeyError,
            TypeError,
            IndexError,
            AttributeError,
        ) as error:
            raise ValueError(f"path: got {str(path)!r}, expected a record of searches") from error
        for name, search in record.items():
            follows = json.loads(json.dumps(search._plain()))
            for part in ("points", "budget", "chosen", "rule in words"):
                if not _close(written[name][part], follows[part]):
                    found = f"{part} of {name} that do not follow from its values"
                    raise ValueError(f"path: got {found} in {str(path)!r}, expected a whole record")
        return record


def several(seeds: Sequence[int]) -> tuple[int, ...]:
    """Return seeds, or refuse fewer than two, or one that occurs twice."""
    checked = tuple(checks.integer("seeds", seed, 0) for seed in seeds)
    if len(checked) < 2 or len(set(checked)) != len(checked):
        raise ValueError(f"seeds: got {checked!r}, expected two or more, all different")
    return checked


def distinct(points: Sequence[Settings]) -> None:
    """Refuse points that are equal, or do not name the same settings."""
    if not len(points):
        raise ValueError("points: got none, expected at least one")
    try:
        texts = [json.dumps(dict(point), sort_keys=True, allow_nan=False) for point in points]
    except (TypeError, ValueError) as error:
        raise ValueError(f"points: {error}, expected what has a form in JSON") from error
    if len(set(texts)) != len(texts):
        raise ValueError("points: got one twice, expected different ones")
    if any(set(point) != set(points[0]) for point in points):
        raise ValueError("points: got different names of settings, expected the same in each")


def _close(one: object, other: object) -> bool:
    """Tell whether two pieces of JSON are equal up to the rounding of their numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, float) or isinstance(other, float):
        return bool(np.isclose(one, other, rtol=1e-9, atol=1e-12))
    return one == other

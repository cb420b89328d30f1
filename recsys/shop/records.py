"""What is written down: visits as they come, what was shown and clicked, and what it was worth."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np


class Columns:
    """Base of records: columns of one shape, as arrays; others are refused when they are made."""

    def __post_init__(self) -> None:
        shapes = {}
        for field in fields(self):
            column = getattr(self, field.name)
            shapes[field.name] = np.shape(column)
            if shapes[field.name]:  # a single number stays what it is
                object.__setattr__(self, field.name, np.asarray(column))
        first, *rest = shapes.items()
        for name, shape in rest:
            if shape != first[1]:
                raise ValueError(f"{name}: got shape {shape}, expected {first[1]}, as {first[0]}")


@dataclass(frozen=True)
class Visits(Columns):
    """One visit (scalars) or many (arrays of one length): who came, and the click's uniform."""

    rounds: np.ndarray  # (n,) or scalar
    users: np.ndarray  # (n,) or scalar
    uniforms: np.ndarray  # (n,) or scalar in [0, 1): the visit ends in a click if it is below mu

    def __getitem__(self, rows: int | slice | np.ndarray) -> Visits:
        return Visits(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Log(Columns):
    """Impressions in order of time, as a shop would store them."""

    rounds: np.ndarray  # (n,) increasing
    users: np.ndarray  # (n,) ids
    products: np.ndarray  # (n,) ids
    clicks: np.ndarray  # (n,) 0.0 or 1.0
    propensities: np.ndarray  # (n,) probability with which the product was chosen

    def __len__(self) -> int:
        return len(self.rounds)

    def __getitem__(self, rows: slice | np.ndarray) -> Log:
        return Log(*(getattr(self, field.name)[rows] for field in fields(self)))

    def __add__(self, later: Log) -> Log:
        pairs = ((getattr(self, f.name), getattr(later, f.name)) for f in fields(self))
        return Log(*(np.concatenate(pair) for pair in pairs))


@dataclass(frozen=True)
class Trace(Columns):
    """What a policy did: arrays (T,), or (S, T) for many worlds or seeds."""

    arms: np.ndarray  # product shown
    rewards: np.ndarray  # 1.0 for a click
    mu: np.ndarray  # true click probability of the product shown
    best: np.ndarray  # true click probability of the best available product

    @property
    def regret(self) -> np.ndarray:
        """Pseudo-regret of each round (``def-regret``): best minus shown, at least 0."""
        return self.best - self.mu

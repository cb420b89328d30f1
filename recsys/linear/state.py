"""The state of a memory by name: to write it down, to take it over, to make room for more models.

Shapes: M models; S worlds add a leading axis.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Self

import numpy as np

from recsys import checks

SPREAD = 1e8  # largest over smallest eigenvalue from which a width keeps less than half its digits


class KeptState(checks.Checked):
    """Base of the memories: names what is kept, and watches how exact it can be."""

    fixed = ("n_features", "ridge", "shape", "window", "gamma")
    forgetting: tuple[str, ...] = ()  # arguments of the constructor besides those of all memories
    of_models: tuple[str, ...] = ()  # arrays with an entry for each model
    of_rounds: tuple[str, ...] = ()  # what else ``add`` changes
    in_a_row = False  # whether the models of all worlds stand in one axis
    shape: tuple[int, ...]
    n_features: int
    ridge: float
    _warned = False
    _apart = 0.0  # factor between eigenvalues from which digits were lost; 0 as long as none were

    def state(self) -> dict[str, np.ndarray]:
        """Return everything that ``add`` has changed, by name; arrays are views."""
        return {name: np.asarray(getattr(self, name)) for name in self.of_models + self.of_rounds}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Take over the state of another memory of the same form and settings."""
        own = KeptState.state(self)
        found, expected = ({k: v.shape for k, v in s.items() if k in own} for s in (state, own))
        if found != expected:
            raise ValueError(f"state: got arrays {found}, expected {expected}")
        for name in own:
            if isinstance(getattr(self, name), np.ndarray):
                getattr(self, name)[...] = state[name]
            else:
                setattr(self, name, state[name].item())

    def with_models(self, n: int) -> Self:
        """Return a memory that knows what this one knows, and n models more that know nothing."""
        *worlds, n_models = self.shape
        n_worlds = worlds[0] if worlds else None
        settings = {name: getattr(self, name) for name in self.forgetting}
        more = type(self)(n_models + n, self.n_features, self.ridge, n_worlds, **settings)
        for name in self.of_models:
            old, new = self._by_model(getattr(self, name)), more._by_model(getattr(more, name))
            new[(*[slice(None)] * len(worlds), slice(n_models))] = old
        for name in self.of_rounds:
            value = getattr(self, name)
            setattr(more, name, value.copy() if isinstance(value, np.ndarray) else value)
        more._warned, more._apart = self._warned, self._apart
        return more

    def _by_model(self, values: np.ndarray) -> np.ndarray:
        """Return an array of all models with their axes (..., M) first; a view."""
        rest = values.shape[1 if self.in_a_row else len(self.shape) :]
        return values.reshape(*self.shape, *rest)

    def _watch(self, least: float, largest: float) -> None:
        """Note eigenvalues that are so far apart that a width loses half of its digits."""
        if largest > SPREAD * least:
            self._apart = largest / max(least, largest * np.finfo(float).eps)

    def tell(self) -> None:
        """Warn of what was noted, once; asked when a row has been learned as a whole."""
        if not self._apart or self._warned:
            return
        self._warned, apart = True, self._apart
        warnings.warn(
            f"contexts: rows and ridge ({self.ridge:g}) differ in size by a factor of "
            f"{apart:.0e} between directions, so widths keep less than half of their digits. "
            "Bring the features to comparable size (mean 0, standard deviation 1), leave out one "
            "of two that say the same, or take a larger ridge",
            checks.PrecisionWarning,
            stacklevel=3,
        )

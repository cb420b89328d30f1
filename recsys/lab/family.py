"""Several comparisons at once: verdicts and bands that hold together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr

from recsys import checks
from recsys.lab import columns
from recsys.lab.bands import LEVEL, LONGEST, Estimate, band


@dataclass(frozen=True)
class Verdict:
    """What one comparison of a family shows.

    Attributes
    ----------
    difference : mean difference with its simultaneous band: with the probability of the level all
        bands of the family cover what they estimate (Bonferroni)
    p : p-value of the paired t-test, adjusted for the family after Holm
    differs : whether zero is excluded; with the probability of the level no verdict of the
        family says so where there is no difference
    """

    difference: Estimate
    p: float
    differs: bool


def holm(
    samples: Mapping[str, ArrayLike],
    against: ArrayLike | Mapping[str, ArrayLike] | None = None,
    level: float = LEVEL,
) -> dict[str, Verdict]:
    """Return the verdict of each comparison of a family that was stated before it was looked at.

    Holm's verdict is never weaker than that of the simultaneous band, and may say that two differ
    where the band still covers zero.

    Parameters
    ----------
    samples : for each name (S,) one difference for each seed, S >= 2
    against : what is subtracted first, seed by seed: (S,) for all names, or a mapping with the
        same names
    level : float
        Probability in (0, 1) with which the family holds no false verdict.
    """
    found = _differences(samples, against)
    family = {
        name: band(values, 1 - (1 - _level(level)) / len(found)) for name, values in found.items()
    }
    p = dict(zip(found, adjusted([_p_value(values) for values in found.values()]), strict=True))
    return {name: Verdict(family[name], p[name], p[name] <= 1 - level) for name in found}


def adjusted(p_values: ArrayLike) -> list[float]:
    """Return p-values (m,) adjusted after Holm: of rank k times m - k + 1, never falling."""
    p_values = checks.probabilities("p_values", columns.numbers("p_values", p_values, (None,)))
    order, m = np.argsort(p_values, kind="stable"), len(p_values)
    result = np.empty(m)
    result[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(m, 0, -1)))
    return result.tolist()


def _level(level: float) -> float:
    if not 0.0 < checks.number("level", level, 0.0, 1.0) < 1.0:
        raise ValueError(f"level: got {level!r}, expected a number strictly between 0 and 1")
    return level


def _differences(
    samples: Mapping[str, ArrayLike], against: ArrayLike | Mapping[str, ArrayLike] | None
) -> dict[str, np.ndarray]:
    if not isinstance(samples, Mapping) or not samples:
        raise ValueError(f"samples: got {samples!r}, expected names with a sample each")
    if isinstance(against, Mapping) and against.keys() != samples.keys():
        raise ValueError(f"against: got {sorted(against)}, expected the names {sorted(samples)}")
    found = {}
    for name, values in samples.items():
        values = columns.numbers(f"samples[{name!r}]", values, (None,), True, LONGEST)
        if against is not None:
            other = against[name] if isinstance(against, Mapping) else against
            columns.same_rows(samples[name], other, "against")
            values = values - columns.numbers("against", other, values.shape, True, LONGEST)
        if len(values) < 2:
            raise ValueError(f"samples[{name!r}]: got {len(values)} seed(s), expected at least 2")
        found[name] = values
    return found


def _p_value(values: np.ndarray) -> float:
    """Return the two-sided p-value of Student's test that the mean is zero."""
    mean, n = values.mean(), len(values)
    error = values.std(ddof=1) / np.sqrt(n)
    if error == 0:
        return float(mean == 0)
    return float(2 * stdtr(n - 1, -abs(mean / error)))

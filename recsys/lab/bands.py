"""Means over seeds and their confidence bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from recsys import checks
from recsys.lab import columns

LEVEL = 0.95  # confidence level of every band of the book
LONGEST = 1e150  # of all samples: the square of what is longer is beyond every float


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its Student-t confidence band (``eq-band``)."""

    mean: float
    low: float
    high: float
    n: int  # seeds

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole band lies on one side of zero."""
        return self.low > 0 or self.high < 0


def band(samples: ArrayLike, level: float = LEVEL) -> Estimate:
    """Return the mean of one number per seed with its confidence band.

    Parameters
    ----------
    samples : (S,) one value for each seed, S >= 2; a boolean counts as 0 or 1
    level : float
        Confidence level in (0, 1).
    """
    samples = columns.numbers("samples", samples, (None,), booleans=True)
    mean, half = band_curve(samples[:, None], level)
    return Estimate(
        float(mean[0]), float(mean[0] - half[0]), float(mean[0] + half[0]), len(samples)
    )


def band_curve(samples: ArrayLike, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (T,) and half-width (T,) of the band at each point of curves (S, T)."""
    samples = columns.numbers("samples", samples, (None, None), True, LONGEST)
    if not 0.0 < checks.number("level", level, 0.0, 1.0) < 1.0:
        raise ValueError(f"level: got {level!r}, expected a number strictly between 0 and 1")
    n = len(samples)
    if n < 2:
        raise ValueError(f"samples: got {n} seed(s), expected at least 2")
    quantile = stdtrit(n - 1, 0.5 + level / 2)  # of Student's t
    return samples.mean(axis=0), quantile * samples.std(axis=0, ddof=1) / np.sqrt(n)


def paired_band(first: ArrayLike, second: ArrayLike, level: float = LEVEL) -> Estimate:
    """Return the band of the mean difference first - second, seed by seed.

    The two are played on the same seeds with common random numbers, so what the seeds share
    cancels; "better" is said only where this band excludes zero.
    """
    columns.same_rows(first, second, "second")
    first = columns.numbers("first", first, (None,), True, LONGEST)
    second = columns.numbers("second", second, first.shape, True, LONGEST)
    return band(first - second, level)

"""Do predictions mean what they say: of the rows with a prediction near q, a share q clicks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks
from recsys.lab import columns


def reliability(
    predicted: ArrayLike, outcome: ArrayLike, bins: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean prediction, mean outcome and count in bins of equal size by prediction.

    Rows with the same prediction share the mean of their outcomes first, so it does not matter
    which of them fall on which side of an edge: the bins depend on no order of rows.

    Parameters
    ----------
    predicted : (n,) probabilities
    outcome : (n,) clicks, or true probabilities where they are known
    bins : int
        At most n.

    Returns
    -------
    mean, rate, count : ndarray (bins,)

    Raises
    ------
    ValueError
        If a column holds no probabilities, or the two are not of one length.
    """
    columns.same_rows(predicted, outcome)
    predicted = columns.probabilities("predicted", predicted)
    outcome = columns.outcomes("outcome", outcome)
    columns.same_shape(predicted, outcome)
    if predicted.ndim != 1:
        raise ValueError(f"predicted: got shape {predicted.shape}, expected (n,)")
    bins = checks.integer("bins", bins, 1, predicted.size)
    _, tie, size = np.unique(predicted, return_inverse=True, return_counts=True)
    shared = (np.bincount(tie, weights=outcome) / size)[tie]
    groups = np.array_split(np.argsort(predicted, kind="stable"), bins)
    pairs = [(predicted[g].mean(), shared[g].mean(), len(g)) for g in groups]
    return tuple(np.array(column) for column in zip(*pairs, strict=True))


def calibration_error(predicted: ArrayLike, outcome: ArrayLike, bins: int = 10) -> float:
    """Return the mean absolute gap between prediction and outcome over equal-size bins.

    As for ``reliability``; it is 0 where all rows with one prediction click as often as it says.
    """
    mean, rate, count = reliability(predicted, outcome, bins)
    return float(np.average(np.abs(mean - rate), weights=count))

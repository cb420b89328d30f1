"""What a measure takes: columns of numbers whose rows belong together, in any order."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks


def numbers(
    name: str,
    values: ArrayLike,
    shape: tuple[int | None, ...] | None = None,
    booleans: bool = False,
    longest: float = np.inf,
) -> np.ndarray:
    """Return finite floats as ``checks.finite`` does, but only of what holds numbers.

    Raises
    ------
    ValueError
        If the values are texts, dates or objects, booleans that nobody asked for, or hidden by a
        mask.
    """
    array = _array(name, values)
    kinds = "fiub" if booleans or not array.size else "fiu"
    if array.dtype.kind not in kinds:
        raise ValueError(f"{name}: got dtype {array.dtype}, expected finite numbers")
    return checks.finite(name, array, shape, longest)


def _array(name: str, values: ArrayLike) -> np.ndarray:
    parts = values if isinstance(values, list | tuple) else [values]
    if any(np.ma.is_masked(part) for part in parts if isinstance(part, np.ma.MaskedArray)):
        raise ValueError(f"{name}: got masked values, expected none: leave them out")
    try:
        return np.asarray(values)
    except (ValueError, TypeError, RuntimeError) as error:  # as a tensor that takes gradients
        raise ValueError(f"{name}: got {error}, expected an array of numbers") from error


def probabilities(name: str, values: ArrayLike) -> np.ndarray:
    """Return finite floats in ``[0, 1]``, else raise ``ValueError``."""
    return checks.probabilities(name, numbers(name, values))


def outcomes(name: str, values: ArrayLike) -> np.ndarray:
    """Return clicks, as numbers or as booleans, or probabilities; else raise ``ValueError``."""
    return checks.probabilities(name, numbers(name, values, booleans=True))


def clicks(name: str, values: ArrayLike) -> np.ndarray:
    """Return zeros and ones, which may come as booleans, as floats; else raise ``ValueError``."""
    return checks.binary(name, numbers(name, values, booleans=True))


def ids(name: str, values: ArrayLike, upper: int) -> np.ndarray:
    """Return a column (n,) of ids in ``[0, upper)``, else raise ``ValueError``."""
    column = checks.ids(name, _array(name, values), upper)
    if column.ndim != 1:
        raise ValueError(f"{name}: got shape {column.shape}, expected (n,)")
    return column


def same_rows(first: ArrayLike, second: ArrayLike, name: str = "predicted") -> None:
    """Refuse two columns of tables whose labels differ: place by place they do not belong together.

    A column of a table, as of pandas, carries an ``index``, of which NumPy knows nothing.
    """
    labels = [getattr(column, "index", None) for column in (first, second)]
    if any(label is None or callable(label) for label in labels):  # a list has a method "index"
        return
    if not np.array_equal(*(np.asarray(label) for label in labels)):
        raise ValueError(f"{name}: got columns with different indexes, expected the same rows")


def same_shape(first: np.ndarray, second: np.ndarray, name: str = "predicted") -> None:
    """Refuse two arrays of different shapes."""
    if first.shape != second.shape:
        raise ValueError(
            f"{name}: got shapes {first.shape} and {second.shape}, expected the same shape"
        )

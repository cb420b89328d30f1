"""Argument checks: refuse bad input with the argument's name, what came and what was expected.

Every public function of the package checks before it changes anything, so a refused call leaves
the state as it was.
"""

from __future__ import annotations

import numbers

import numpy as np
from numpy.typing import ArrayLike

from recsys import worlds

FLOAT = np.dtype(float)


class PrecisionWarning(UserWarning):
    """Numbers of so different size meet that a result keeps less than half of its digits."""


class Checked:
    """Base of objects whose settings are public: what may be set later is checked, the rest fixed.

    A class names in ``fixed`` what its state was made for, and checks the others in
    ``_checked_setting``, which is asked whenever an attribute is set, in the constructor too.
    """

    fixed: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.fixed and name in self.__dict__:
            found = f"{name}: got {value!r}, expected {self.__dict__[name]!r}"
            raise ValueError(f"{found}, which cannot change after construction")
        super().__setattr__(name, self._checked_setting(name, value))

    def _checked_setting(self, name: str, value: object) -> object:
        """Return the value that an attribute gets, or raise ``ValueError``."""
        return value


def integer(name: str, value: object, minimum: int, maximum: int | None = None) -> int:
    """Return ``value`` as an ``int`` in ``[minimum, maximum]``, else raise ``ValueError``."""
    expected = f"an integer >= {minimum}" + ("" if maximum is None else f" and <= {maximum}")
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise ValueError(f"{name}: got {value!r}, expected {expected}")
    if value < minimum or (maximum is not None and value > maximum):
        raise ValueError(f"{name}: got {value!r}, expected {expected}")
    return int(value)


def number(name: str, value: object, minimum: float, maximum: float = np.inf) -> float:
    """Return ``value`` as a finite ``float`` in ``[minimum, maximum]``, else raise."""
    expected = f"a finite number in [{minimum}, {maximum}]"
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise ValueError(f"{name}: got {value!r}, expected {expected}")
    try:
        value = float(value)
    except OverflowError as error:
        raise ValueError(f"{name}: got a number beyond every float, expected {expected}") from error
    if not np.isfinite(value) or not minimum <= value <= maximum:
        raise ValueError(f"{name}: got {value!r}, expected {expected}")
    return value


def ids(name: str, values: ArrayLike, upper: int | None) -> np.ndarray:
    """Return integer ids in ``[0, upper)`` as ``int64``, else raise ``ValueError``.

    ``None`` for ``upper`` takes every id that ``int64`` can hold.
    """
    upper = 2**63 if upper is None else upper
    if type(values) is int and 0 <= values < upper:  # the usual case, at a third of the time
        return np.asarray(values, dtype=np.int64)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{name}: got rows of unequal length, expected an array") from error
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name}: got dtype {array.dtype}, expected integers in [0, {upper})")
    if (
        array.dtype == np.int64  # one pass is enough: seen as unsigned, a negative id is large
        and array.ndim
        and array.size
        and np.maximum.reduce(array.view(np.uint64), axis=None) < upper
    ):
        return array
    if array.size:
        low, high = (array.min(), array.max()) if array.ndim else (int(array), int(array))
        if low < 0 or high >= upper:
            found = f"ids from {low} to {high}"
            raise ValueError(f"{name}: got {found}, expected integers in [0, {upper})")
    return array.astype(np.int64, copy=False)


def whole(name: str, values: np.ndarray, upper: int) -> np.ndarray:
    """Return ids in ``[0, upper)`` that come as floats as ``int64``, else raise ``ValueError``."""
    if values.size and not (values.min() >= 0 and values.max() < upper):
        found = f"ids from {values.min()} to {values.max()}"
        raise ValueError(f"{name}: got {found}, expected ids in [0, {upper})")
    whole_numbers = values.astype(np.int64)
    if not np.array_equal(whole_numbers, values):
        raise ValueError(f"{name}: got ids with a fraction, expected whole numbers")
    return whole_numbers


def finite(
    name: str,
    values: ArrayLike,
    shape: tuple[int | None, ...] | None = None,
    longest: float = np.inf,
) -> np.ndarray:
    """Return finite floats of the given shape (``None`` matches any length), else raise.

    ``None`` for the whole tuple leaves the shape free. The root of the sum of all squares must be
    less than ``longest``.
    """
    if type(values) is float and not shape and abs(values) < longest:  # a usual case, quickly
        return np.asarray(values)
    try:
        if type(values) is np.ndarray and values.dtype is FLOAT:
            array = values
        else:
            if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
                raise TypeError("masked values, which would count as numbers")
            array = np.asarray(values)
            if array.dtype.kind in "cSUmM":
                raise TypeError("complex numbers, texts or dates")
            array = array.astype(float, copy=False)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise ValueError(f"{name}: got {type(values).__name__}, expected real numbers") from error
    if shape is not None and array.shape != shape:
        fits = array.ndim == len(shape) and all(
            want is None or want == have for want, have in zip(shape, array.shape, strict=True)
        )
        if not fits:
            wanted = tuple("any" if want is None else want for want in shape)
            raise ValueError(f"{name}: got shape {array.shape}, expected {wanted}")
    # One product shows that all is well; only if it does not is each value looked at. It may
    # overflow without a warning, and NaN is less than nothing.
    if not np.vdot(array, array) < longest**2:
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: got NaN or infinity, expected finite numbers")
        if longest < np.inf:
            raise ValueError(f"{name}: got a length of {longest} or more, expected a smaller one")
    return array


def probabilities(name: str, values: ArrayLike) -> np.ndarray:
    """Return floats in ``[0, 1]``, else raise ``ValueError``."""
    array = finite(name, values)
    if array.size and (array.min() < 0 or array.max() > 1):
        raise ValueError(f"{name}: got values from {array.min()} to {array.max()}, expected [0, 1]")
    return array


def binary(name: str, values: ArrayLike) -> np.ndarray:
    """Return an array of zeros and ones as floats, else raise ``ValueError``."""
    array = finite(name, values)
    if not np.isin(array, (0.0, 1.0)).all():
        raise ValueError(f"{name}: got values other than 0 and 1, expected clicks (0 or 1)")
    return array


def generator(name: str, value: object, seed: int = 0) -> np.random.Generator:
    """Return a generator, a new one with the seed for ``None``; else raise ``ValueError``."""
    if value is None:
        return worlds.generator(seed)
    if not isinstance(value, np.random.Generator):
        expected = "a numpy.random.Generator, such as numpy.random.default_rng(0), or None"
        raise ValueError(f"{name}: got {value!r}, expected {expected}")
    return value


def one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``allowed``, else raise ``ValueError``."""
    if value not in allowed:
        raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(allowed)}")
    return str(value)

"""Which worlds are drawn: one setting shifts every seed of the package.

What was found in the worlds of the seeds 0 to 19 is a claim about worlds as such only if it holds
in others. With the environment variable ``RECSYS_WORLDS`` set to an integer, that number is
added to every seed from which ``recsys`` draws a shop, a synthetic world, the order of a log, the
start of a network, the batches of a training or the draws of a policy. Code that asks for the
seeds 0 to 19 stays as it is and gets worlds that nobody has looked at. Processes that are started
later inherit the setting; a generator that was made before keeps its draws.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

VARIABLE = "RECSYS_WORLDS"
LARGEST = 2**32  # a larger shift is refused: seeds stay far below 2**64, which torch takes


def shift() -> int:
    """Return what is added to every seed: the integer of ``RECSYS_WORLDS``, or 0 where it is unset.

    Raises
    ------
    ValueError
        If the variable holds anything but an integer from 0 to ``LARGEST``.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and int(text) <= LARGEST):
        raise ValueError(f"{VARIABLE}: got {text!r}, expected an integer from 0 to {LARGEST}")
    return int(text)


def shifted(seed: int) -> int:
    """Return the seed from which to draw where ``seed`` is asked for."""
    return seed + shift()


def generator(seed: int | Sequence[int]) -> np.random.Generator:
    """Return a generator of the shifted seed; of several numbers the first one is shifted.

    Parameters
    ----------
    seed : int or sequence of int
        Not negative, as for ``numpy.random.default_rng``.

    Raises
    ------
    ValueError
        If it is no integer, and no sequence of them, or one is negative.
    """
    parts = list(seed) if isinstance(seed, Sequence | np.ndarray) else [seed]
    whole = all(isinstance(p, int | np.integer) and not isinstance(p, bool) for p in parts)
    if isinstance(seed, str) or not (parts and whole and min(parts) >= 0):
        raise ValueError(f"seed: got {seed!r}, expected non-negative integers, one or several")
    first, *rest = (int(part) for part in parts)
    return np.random.default_rng([shifted(first), *rest] if rest else shifted(first))

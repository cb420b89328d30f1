"""Chapter 2: LinUCB and its relatives."""

from recsys.linear.linucb import (
    DiscountedLinUCB,
    LinearThompson,
    LinUCB,
    SharedLinUCB,
    SlidingWindowLinUCB,
)
from recsys.linear.memory import RidgeMemory
from recsys.linear.unknown_noise import NormalInverseGammaThompson

__all__ = [
    "DiscountedLinUCB",
    "LinUCB",
    "LinearThompson",
    "NormalInverseGammaThompson",
    "RidgeMemory",
    "SharedLinUCB",
    "SlidingWindowLinUCB",
]

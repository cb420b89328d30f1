"""The two verbs of every policy, the simple policies, and the ways to explore."""

from recsys.policies.base import Policy, ScoringPolicy, argmax_random_ties
from recsys.policies.exploration import EpsilonGreedy, ThompsonSampling, UpperConfidence
from recsys.policies.late import LateFeedback
from recsys.policies.simple import MostPopular, Oracle, RandomPolicy

__all__ = [
    "EpsilonGreedy",
    "LateFeedback",
    "MostPopular",
    "Oracle",
    "Policy",
    "RandomPolicy",
    "ScoringPolicy",
    "ThompsonSampling",
    "UpperConfidence",
    "argmax_random_ties",
]

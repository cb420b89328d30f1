"""Bugs to plant: the kind that other books have published, each with the test that must notice.

To add one: name the file of recsys, a piece of its code that occurs exactly once there, what stands
in its place in the bug, and the node id of one test that fails then. For example:

    Mutant(
        name="gradient-without-sign",
        file="baseline.py",
        before="return sigmoid(logit) - label",
        after="return sigmoid(logit) + label",
        killed_by="tests/test_theorems.py::test_prop_bce_gradient_matches_autograd",
    ),
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One planted bug."""

    name: str
    file: str  # inside recsys/
    before: str  # occurs exactly once in the file
    after: str
    killed_by: str  # the node id of a test


MUTANTS: list[Mutant] = []

"""Chapter 3: the gradient of every arm's score, at once."""

from recsys.gradients.backprop import Factors, backpropagate, gradient_factors
from recsys.gradients.few import FewFactors, few_factors
from recsys.gradients.jacobian import METHODS, per_arm_gradients
from recsys.gradients.mlp import Mlp, Scale, StackedLinear, affine, take_apart
from recsys.gradients.rows import all_finite, chunks, n_rows_within

__all__ = [
    "METHODS",
    "Factors",
    "FewFactors",
    "Mlp",
    "Scale",
    "StackedLinear",
    "affine",
    "all_finite",
    "backpropagate",
    "chunks",
    "few_factors",
    "gradient_factors",
    "n_rows_within",
    "per_arm_gradients",
    "take_apart",
]

"""Chapter 3: the gradient of every arm's score, at once."""

from recsys.gradients.backprop import Factors, backpropagate, gradient_factors
from recsys.gradients.jacobian import METHODS, per_arm_gradients
from recsys.gradients.mlp import take_apart

__all__ = [
    "METHODS",
    "Factors",
    "backpropagate",
    "gradient_factors",
    "per_arm_gradients",
    "take_apart",
]

"""Chapter 3: NeuralUCB and its relatives."""

from recsys.neural.bonus import FORMS, exploration_bonus
from recsys.neural.diagonal_memory import DiagonalMemory
from recsys.neural.dual_memory import DualMemory, KernelMemory
from recsys.neural.growing import GrowingCholesky
from recsys.neural.memory import FullMemory
from recsys.neural.network import score_network
from recsys.neural.neuralucb import NeuralUCB
from recsys.neural.pruning import contenders
from recsys.neural.relatives import NeuralLinear, NeuralThompson
from recsys.neural.schedule import Schedule
from recsys.neural.training import objective_gradient

__all__ = [
    "FORMS",
    "DiagonalMemory",
    "DualMemory",
    "FullMemory",
    "GrowingCholesky",
    "KernelMemory",
    "NeuralLinear",
    "NeuralThompson",
    "NeuralUCB",
    "Schedule",
    "contenders",
    "exploration_bonus",
    "objective_gradient",
    "score_network",
]

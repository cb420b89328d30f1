"""Chapter 1: click models that are trained on a log, and the greedy policies they make."""

from recsys.baseline.click_network import ClickNetwork, ModelPolicy, fit
from recsys.baseline.logistic import LogisticPolicy
from recsys.baseline.nightly import nightly_network
from recsys.baseline.training import History, Training, train

__all__ = [
    "ClickNetwork",
    "History",
    "LogisticPolicy",
    "ModelPolicy",
    "Training",
    "fit",
    "nightly_network",
    "train",
]

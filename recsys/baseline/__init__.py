"""Chapter 1: click models that are trained on a log, and the greedy policies they make."""

from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.closed_form import ClosedFormStep
from recsys.baseline.course import train, train_together
from recsys.baseline.greedy import ModelPolicy, fit, fit_together, fit_with
from recsys.baseline.logistic import LogisticPolicy
from recsys.baseline.newcomers import with_borrowed_rows, with_fresh_rows
from recsys.baseline.nightly import nightly_network
from recsys.baseline.nights import Routine, contrast, live
from recsys.baseline.season import (
    N_LOG,
    NEW_PRODUCTS,
    NEW_USERS,
    TODAY,
    FrozenModels,
    frozen_field,
    shop_with_newcomers,
    train_models,
)
from recsys.baseline.training import AutogradStep, History, Training

__all__ = [
    "NEW_PRODUCTS",
    "NEW_USERS",
    "N_LOG",
    "TODAY",
    "AutogradStep",
    "ClickNetwork",
    "ClosedFormStep",
    "FrozenModels",
    "History",
    "LogisticPolicy",
    "ModelPolicy",
    "Routine",
    "Training",
    "contrast",
    "fit",
    "fit_together",
    "fit_with",
    "frozen_field",
    "live",
    "nightly_network",
    "shop_with_newcomers",
    "train",
    "train_models",
    "train_together",
    "with_borrowed_rows",
    "with_fresh_rows",
]

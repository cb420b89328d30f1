"""Experiments: policies against the shop or a data set, over many seeds, and what came out."""

from recsys.lab.arena import DAY, LOG, informed, open_shops
from recsys.lab.bands import LEVEL, Estimate, band, band_curve, paired_band
from recsys.lab.calibration import calibration_error, reliability
from recsys.lab.coverage import ManyLogs, many_logs
from recsys.lab.experiment import read_logs, replicate, run
from recsys.lab.family import Verdict, holm
from recsys.lab.limits import best_linear_fit, linear_limit
from recsys.lab.linear_world import LinearPlay, play_linear_world
from recsys.lab.metrics import (
    auc,
    effective_number,
    excess_loss,
    expected_log_loss,
    ips_rates,
    irreducible_loss,
    naive_rates,
    normalised_entropy,
)
from recsys.lab.parallel import over_cases, over_seeds
from recsys.lab.record import RULES, Record, Search
from recsys.lab.serving import judge, retrain, serve
from recsys.lab.table import RewardTable
from recsys.lab.tuning import SEARCH_SEEDS, Contestant, grid, tune
from recsys.lab.weighting import (
    LogEstimate,
    chances_of_shown,
    effective_sample_size,
    estimate_value,
)
from recsys.worlds import generator

__all__ = [
    "DAY",
    "LEVEL",
    "LOG",
    "RULES",
    "SEARCH_SEEDS",
    "Contestant",
    "Estimate",
    "LinearPlay",
    "LogEstimate",
    "ManyLogs",
    "Record",
    "RewardTable",
    "Search",
    "Verdict",
    "auc",
    "band",
    "band_curve",
    "best_linear_fit",
    "calibration_error",
    "chances_of_shown",
    "effective_number",
    "effective_sample_size",
    "estimate_value",
    "excess_loss",
    "expected_log_loss",
    "generator",
    "grid",
    "holm",
    "informed",
    "ips_rates",
    "irreducible_loss",
    "judge",
    "linear_limit",
    "many_logs",
    "naive_rates",
    "normalised_entropy",
    "open_shops",
    "over_cases",
    "over_seeds",
    "paired_band",
    "play_linear_world",
    "read_logs",
    "reliability",
    "replicate",
    "retrain",
    "run",
    "serve",
    "tune",
]

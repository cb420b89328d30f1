"""Experiments: policies against the shop, over many seeds, and what came out."""

from recsys.lab.arena import DAY, LOG, informed, open_shops
from recsys.lab.bands import Estimate, band, paired_band
from recsys.lab.experiment import read_logs, replicate, run
from recsys.lab.metrics import (
    auc,
    calibration_error,
    effective_number,
    excess_loss,
    expected_log_loss,
    ips_rates,
    irreducible_loss,
    naive_rates,
    reliability,
)
from recsys.lab.parallel import over_cases, over_seeds
from recsys.lab.serving import judge, retrain, serve, truth

__all__ = [
    "DAY",
    "LOG",
    "Estimate",
    "auc",
    "band",
    "calibration_error",
    "effective_number",
    "excess_loss",
    "expected_log_loss",
    "informed",
    "ips_rates",
    "irreducible_loss",
    "judge",
    "naive_rates",
    "open_shops",
    "over_cases",
    "over_seeds",
    "paired_band",
    "read_logs",
    "reliability",
    "replicate",
    "retrain",
    "run",
    "serve",
    "truth",
]

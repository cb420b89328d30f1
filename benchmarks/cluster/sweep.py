"""How fast should LinUCB forget? A sweep for which a cluster is worth it.

In a shop with a market shock we play discounted LinUCB for a grid of widths α, discounts γ and
strengths of the shock, 200 seeds each. With γ = 1 nothing is forgotten: that is LinUCB, and every
other setting is compared with it on the same seeds. A shock of strength 0 is the control: what
forgetting costs where there is nothing to forget.

    python benchmarks/cluster/sweep.py                                 # processes of this machine
    python benchmarks/cluster/sweep.py --address tcp://scheduler:8786  # workers of a Dask scheduler

The two print the same table. A task, that is a case of ``over_cases``, is one setting on a block of
20 seeds: ``LinUCB(n_worlds=20)`` plays 20 shops in one array, several times as fast a shop as one
by one, and a task of some seconds is long beside what it costs to send. With ``--seeds 40 --before
1000 --after 1000 --alphas 0.1`` it is over in a minute.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import product

import joblib
import numpy as np

from recsys.lab import band, over_cases, paired_band, run
from recsys.linear import DiscountedLinUCB
from recsys.shop import SharedUserFeatures, Shop

ALPHAS = (0.05, 0.1, 0.2, 0.5)
GAMMAS = (1.0, 0.9999, 0.9997, 0.999)
STRENGTHS = (0.0, 0.25, 0.5, 1.0)
SEEDS, SEEDS_A_TASK = 200, 20
BEFORE = AFTER = 10_000  # rounds
RIDGE = 0.3

Setting = tuple[float, float, float]  # α, γ, strength of the shock
Case = tuple[float, float, float, int]  # and the number of the block of seeds


def player(seeds: int, before: int, after: int) -> Callable[[Case], np.ndarray]:
    """Return the function that plays one case; a local one, so it travels by value.

    A cluster needs ``recsys`` and not this file.
    """

    def play(case: Case) -> np.ndarray:
        alpha, gamma, strength, block = case
        first = block * SEEDS_A_TASK
        shops = [Shop(seed=seed) for seed in range(first, min(first + SEEDS_A_TASK, seeds))]
        for shop in shops:
            shop.shock(at=before, strength=strength)
        rng = np.random.default_rng(block)  # breaks ties, the same for all settings
        arms, worlds = shops[0].n_products, len(shops)
        policy = DiscountedLinUCB(arms, 9, alpha, RIDGE, worlds, rng, gamma=gamma)
        trace = run(shops, policy, [SharedUserFeatures(s) for s in shops], 0, before + after)
        return np.stack([trace.mu[:, before:].sum(axis=1), trace.best[:, before:].sum(axis=1)])

    return play


def sweep(
    alphas: Sequence[float] = ALPHAS,
    gammas: Sequence[float] = GAMMAS,
    strengths: Sequence[float] = STRENGTHS,
    seeds: int = SEEDS,
    before: int = BEFORE,
    after: int = AFTER,
    progress: bool | None = None,
) -> dict[Setting, np.ndarray]:
    """Play every setting in a shop of every seed, where ``joblib.parallel_config`` says.

    Returns
    -------
    dict
        For each (α, γ, strength) an array (2, seeds): the expected clicks after the shock, and
        those of the best products.
    """
    settings = list(product(alphas, gammas, strengths))
    blocks = range(-(-seeds // SEEDS_A_TASK))
    cases = [(*setting, block) for setting in settings for block in blocks]
    parts = over_cases(player(seeds, before, after), cases, progress=progress)
    return {s: np.concatenate([parts[(*s, b)] for b in blocks], axis=1) for s in settings}


def table(results: dict[Setting, np.ndarray]) -> str:
    """Return a line for each setting: share of the best products' clicks, and clicks won.

    Clicks won are those of the setting minus those of LinUCB with the same α, seed by seed. Each
    band stands for itself: of twenty bands about nothing, one excludes zero.
    """
    lines = [
        "Expected clicks after the shock, means over seeds with 95 % bands",
        f"{'shock':>6}{'alpha':>7}{'gamma':>8}  {'% of the best products':>24}"
        f"  {'clicks won against LinUCB':>30}",
    ]
    for alpha, gamma, strength in sorted(results, key=lambda s: (s[2], s[0], -s[1])):
        clicks, best = results[alpha, gamma, strength]
        share = band(100 * clicks / best)
        line = f"{strength:6g}{alpha:7g}{gamma:8g}  {share.mean:8.1f}"
        line += f"{f'({share.low:.1f} to {share.high:.1f})':>16}"
        if gamma != 1.0 and (alpha, 1.0, strength) in results:
            won = paired_band(clicks, results[alpha, 1.0, strength][0])
            mark = " *" if won.excludes_zero else ""
            line += f"  {won.mean:10.1f}{f'({won.low:.1f} to {won.high:.1f})':>20}{mark}"
        lines.append(line)
    return "\n".join([*lines, "* the band excludes zero"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the sweep that the command line asks for and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--address", help="of a Dask scheduler; without it, local processes")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--before", type=int, default=BEFORE, help="rounds before the shock")
    parser.add_argument("--after", type=int, default=AFTER, help="rounds after it")
    for name, values in (("alphas", ALPHAS), ("gammas", GAMMAS), ("strengths", STRENGTHS)):
        parser.add_argument(f"--{name}", type=float, nargs="+", default=values)
    options = vars(parser.parse_args(arguments))
    address = options.pop("address")
    with ExitStack() as stack:
        if address:
            from distributed import Client

            stack.enter_context(Client(address))
            stack.enter_context(joblib.parallel_config(backend="dask"))
        results = sweep(**options)
    print(table(results))


if __name__ == "__main__":
    main()

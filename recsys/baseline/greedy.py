"""From a log to a network, and from a network to the policy that shows the best prediction.

A log is a featurizer and its ``Log``, or plain arrays of somebody's own (``own_log``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import ArrayLike

from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.course import train, train_together
from recsys.baseline.own_log import Rows, described
from recsys.baseline.training import History, Training
from recsys.policies import ScoringPolicy
from recsys.shop import Featurizer, Log


class ModelPolicy(ScoringPolicy):
    """Greedy on a trained click network, which it never changes.

    The scores are logits: probabilities near 1 tie where their logits do not.

    Parameters
    ----------
    model : ClickNetwork
    n_arms : int, optional
        Number of arms K; ``None`` takes any number, and another one in every round.
    rng : numpy.random.Generator, optional
    """

    counts_arms = False
    shares_rows = False

    def __init__(
        self,
        model: ClickNetwork,
        n_arms: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(n_arms, rng=rng)
        self.model = model

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the logits (..., K) of the arms."""
        return self.model.logits(contexts)

    def predict(self, contexts: ArrayLike) -> np.ndarray:
        """Return click probabilities (...,) for context rows (..., columns)."""
        return self.model.predict(contexts)


def fit(
    rows: Featurizer | ArrayLike,
    clicks: Log | ArrayLike,
    training: Training | None = None,
    progress: bool = False,
    device: str | None = None,
    *,
    vocabularies: Sequence[int] | None = None,
    sample_weight: ArrayLike | None = None,
    **settings: object,
) -> tuple[ClickNetwork, History]:
    """Return a click network trained on a log.

    Parameters
    ----------
    rows : (n, m + d) rows in order of time, or a Featurizer
        The m id columns come first. A featurizer describes the impressions of a ``Log``.
    clicks : (n,) zeros and ones, or a Log
    training : Training, optional
        Its seed also draws the initial parameters.
    progress : bool
        Print one line an epoch.
    device : str, optional
        Where to train, such as "cuda"; the model stays there.
    vocabularies : m integers, optional
        How many ids each id column of ``rows`` may take, from 0 on; () without ids, as by default.
        A featurizer has its own.
    sample_weight : (n,), optional
        As for ``train``.
    settings :
        Further settings of ``ClickNetwork``.

    Raises
    ------
    ValueError
        If rows, clicks or weights do not fit together, or a setting is impossible.
    """
    training = Training() if training is None else training
    log = described(rows, clicks, vocabularies)
    model = _new(log, training, settings)
    return model, train(model, log.rows, log.clicks, training, progress, device, sample_weight)


def fit_with(
    settings: Mapping[str, object], rows: Featurizer | ArrayLike, clicks: Log | ArrayLike, seed: int
) -> tuple[ClickNetwork, History]:
    """Return what ``fit`` returns, with settings of training and of the network in one mapping.

    Parameters
    ----------
    settings : mapping
        Fields of ``Training`` and arguments of ``ClickNetwork`` by name, as a ``lab.Record`` keeps
        them.
    rows, clicks :
        As for ``fit``.
    seed : int
        Of the initial parameters and the order of the batches.
    """
    training, of_network = planned(settings, seed)
    return fit(rows, clicks, training, **of_network)


def planned(settings: Mapping[str, object], seed: int) -> tuple[Training, dict[str, object]]:
    """Return the training and the network's arguments that settings in one mapping ask for."""
    names = {field.name for field in fields(Training)} - {"seed"}
    if unknown := set(settings) - names - {"embedding_dim", "hidden", "embedding_scale"}:
        raise ValueError(
            f"settings: got {sorted(unknown)}, expected names of training or of a network"
        )
    training = Training(**{k: v for k, v in settings.items() if k in names}, seed=seed)
    return training, {k: v for k, v in settings.items() if k not in names}


def fit_together(
    rows: Sequence[Featurizer | ArrayLike],
    clicks: Sequence[Log | ArrayLike],
    trainings: Sequence[Training],
    *,
    vocabularies: Sequence[int] | None = None,
    sample_weight: Sequence[ArrayLike | None] | None = None,
    **settings: object,
) -> list[tuple[ClickNetwork, History]]:
    """Return a click network for each log, as ``fit`` does, all trained at once.

    ``vocabularies`` are those of all logs.

    Raises
    ------
    ValueError
        As from ``fit``, or if the numbers of rows, logs, trainings and weights differ.
    """
    rows, clicks, trainings = list(rows), list(clicks), list(trainings)
    weights = [None] * len(trainings) if sample_weight is None else list(sample_weight)
    if not len(rows) == len(clicks) == len(trainings) == len(weights):
        found = f"{len(clicks)} logs, {len(rows)} of rows, {len(trainings)} trainings"
        raise ValueError(
            f"logs: got {found} and {len(weights)} of weights, expected one for every network"
        )
    logs = [described(*pair, vocabularies) for pair in zip(rows, clicks, strict=True)]
    models = [_new(log, t, settings) for log, t in zip(logs, trainings, strict=True)]
    columns = [[log.rows for log in logs], [log.clicks for log in logs]]
    histories = train_together(models, *columns, trainings, weights)
    return list(zip(models, histories, strict=True))


def _new(log: Rows, training: Training, settings: dict[str, object]) -> ClickNetwork:
    """Return a network for what the rows hold, with the training's seed."""
    if not isinstance(training, Training):
        raise ValueError(f"training: got {type(training).__name__}, expected a Training")
    return ClickNetwork(log.vocabularies, log.n_features, seed=training.seed, **settings)

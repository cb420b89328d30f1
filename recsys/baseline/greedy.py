"""A click network serves: trained on a log as a featurizer describes it, then greedy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.course import train, train_together
from recsys.baseline.training import History, Training
from recsys.policies import ScoringPolicy
from recsys.shop import Featurizer, Log


class ModelPolicy(ScoringPolicy):
    """Greedy on a trained click network, which it never changes."""

    def __init__(
        self, model: ClickNetwork, n_arms: int, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__(n_arms, rng=rng)
        self.model = model

    def scores(self, contexts: np.ndarray) -> np.ndarray:
        """Return the predicted click probabilities (..., K)."""
        return self.model.predict(contexts)


def fit(
    featurizer: Featurizer,
    log: Log,
    training: Training | None = None,
    progress: bool = False,
    device: str | None = None,
    **settings: object,
) -> tuple[ClickNetwork, History]:
    """Return a click network trained on a log as the featurizer describes it.

    Parameters
    ----------
    featurizer : Featurizer
        Says which columns are ids and which are features.
    log : Log
        Impressions in order of time.
    training : Training, optional
        Its seed also draws the initial parameters.
    progress : bool
        Print one line an epoch.
    device : str, optional
        Where to train, such as "cuda"; the model stays there.
    settings :
        Further settings of ``ClickNetwork``.
    """
    training = training or Training()
    model = _new(featurizer, training, settings)
    return model, train(model, _rows(featurizer, log), log.clicks, training, progress, device)


def fit_together(
    featurizers: Sequence[Featurizer],
    logs: Sequence[Log],
    trainings: Sequence[Training],
    **settings: object,
) -> list[tuple[ClickNetwork, History]]:
    """Return a click network for each log, as ``fit`` does, all trained at once.

    Raises
    ------
    ValueError
        If the numbers of featurizers, logs and trainings differ.
    """
    if not len(featurizers) == len(logs) == len(trainings):
        found = f"{len(logs)} logs, {len(featurizers)} featurizers and {len(trainings)} trainings"
        raise ValueError(f"logs: got {found}, expected one of each for every network")
    models = [_new(f, t, settings) for f, t in zip(featurizers, trainings, strict=True)]
    rows = [_rows(f, log) for f, log in zip(featurizers, logs, strict=True)]
    histories = train_together(models, rows, [log.clicks for log in logs], trainings)
    return list(zip(models, histories, strict=True))


def _new(featurizer: Featurizer, training: Training, settings: dict[str, object]) -> ClickNetwork:
    """Return a network for what the featurizer shows, with the training's seed."""
    return ClickNetwork(
        featurizer.vocabularies, featurizer.n_features, seed=training.seed, **settings
    )


def _rows(featurizer: Featurizer, log: Log) -> np.ndarray:
    """Return a log's impressions (n, columns) as a featurizer describes them."""
    return featurizer.rows(log.users, log.products, log.rounds)

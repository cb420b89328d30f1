"""A click network serves: trained on a log as a featurizer describes it, then greedy."""

from __future__ import annotations

import numpy as np

from recsys.baseline.click_network import ClickNetwork
from recsys.baseline.training import History, Training, train
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
    model = ClickNetwork(
        featurizer.vocabularies, featurizer.n_features, seed=training.seed, **settings
    )
    rows = featurizer.rows(log.users, log.products, log.rounds)
    return model, train(model, rows, log.clicks, training, progress, device)

"""A linear policy beyond one run: reads a log at once, takes new arms, goes to disk and back.

Shapes: K arms, d features, n rounds; S worlds add a leading axis.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from recsys import archive
from recsys.linear.memory import LinearMemory
from recsys.policies import UpperConfidence


class PersistentPolicy(UpperConfidence):
    """Base: a policy whose past is a memory of ridge regressions."""

    memory: LinearMemory
    disjoint: bool
    arrays: tuple[str, ...] = ()  # what the policy itself keeps of each arm, (..., K)

    def _settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor, all but the generator."""
        names = ("n_arms", "n_features", "alpha", "n_worlds")
        forgetting = {name: getattr(self.memory, name) for name in self.memory.forgetting}
        own = {name: getattr(self, name) for name in names}
        return own | {"ridge": self.memory.ridge} | forgetting

    def read(self, contexts: ArrayLike, rewards: ArrayLike, arms: ArrayLike | None = None) -> None:
        """Learn at once from rounds that somebody else chose, such as a shop's log.

        Parameters
        ----------
        contexts : (n, d)
            The rows that were shown, in order of time; (S, n, d) for S worlds.
        rewards : (n,)
            What they earned; (S, n) for S worlds.
        arms : (n,)
            The arms that were shown; (S, n) for S worlds. Where all arms share one model they may
            be left out.

        Raises
        ------
        ValueError
            If a shape is wrong, a number is not finite, or an arm is none; nothing is learned then.
        """
        contexts, rewards = self.checked_rounds(contexts, rewards)
        if arms is None and self.disjoint:
            raise ValueError("arms: got None, expected the arm of each round, one model each")
        arms = np.zeros(rewards.shape, np.int64) if arms is None else np.asarray(arms)
        if arms.shape != rewards.shape:
            raise ValueError(f"arms: got shape {arms.shape}, expected {rewards.shape}")
        first = len(self.worlds)  # the axis of rounds
        self.update_many(*(np.moveaxis(part, first, 0) for part in (arms, contexts, rewards)))

    def _make_room(self, n: int) -> None:
        if not self.disjoint:
            return
        grown = {"memory": self.memory.with_models(n)}
        for name in self.arrays:
            old = getattr(self, name)
            grown[name] = np.concatenate([old, np.zeros((*old.shape[:-1], n))], axis=-1)
        vars(self).update(grown)

    def save(self, path: str | Path) -> None:
        """Write everything the policy knows to an ``.npz`` archive of plain arrays."""
        state = self.memory.state()
        settings = {
            "kind": type(self).__name__,
            "settings": self._settings(),
            "rng": archive.generator_state(self.rng),
            "memory": list(state),
        }
        own = {"policy": [getattr(self, name) for name in self.arrays]}
        archive.save(path, settings, {"memory": list(state.values())} | own)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what ``save`` wrote, to go on as if nothing had happened.

        Nothing is unpickled, so no code can run.
        """
        settings, groups = archive.load(path)
        archive.kind_of(path, settings, cls.__name__)
        policy = cls(**settings["settings"], rng=archive.generator(settings["rng"]))
        policy.memory.restore(dict(zip(settings["memory"], groups["memory"], strict=True)))
        for name, values in zip(policy.arrays, groups.get("policy", ()), strict=True):
            getattr(policy, name)[...] = values
        return policy

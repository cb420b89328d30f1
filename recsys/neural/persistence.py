"""A neural policy on disk: all it knows, to go on as if nothing had happened.

What is written are the settings, the generators' states and every tensor; ``archive`` says how.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch

from recsys import archive
from recsys.neural.memory import GradientMemory
from recsys.neural.schedule import Schedule
from recsys.neural.training import Replay
from recsys.policies import UpperConfidence


class PersistentPolicy(UpperConfidence):
    """Base: a policy with a network, a replay and a memory of gradients.

    Its constructor takes the ``settings``, ``schedule`` and ``rng`` by name.
    """

    settings: dict[str, Any]  # all other arguments of the constructor
    schedule: Schedule
    model: torch.nn.Module
    memory: GradientMemory | None
    replay: Replay
    rounds: int

    def save(self, path: str | Path) -> None:
        """Write everything the policy knows to an ``.npz`` archive of plain arrays."""
        numbers = {
            "kind": type(self).__name__,
            "schedule": asdict(self.schedule),
            "rounds": self.rounds,
            "alpha": self.alpha,
            "rng": archive.generator_state(self.rng),
            "batches": archive.generator_state(self.replay.batches),
            "steps": self.replay.steps,
        }
        archive.save(path, {"settings": self.settings, **numbers}, self._state())

    @classmethod
    def load(cls, path: str | Path, device: str | None = None) -> Self:
        """Read what ``save`` wrote, to go on as if nothing had happened.

        Nothing is unpickled, so no code can run. ``device`` is another one than before.
        """
        numbers, arrays = archive.load(path)
        archive.kind_of(path, numbers, cls.__name__)
        groups = {name: [torch.from_numpy(a) for a in group] for name, group in arrays.items()}
        settings = numbers["settings"] | ({} if device is None else {"device": device})
        schedule = Schedule(**numbers["schedule"])
        policy = cls(**settings, schedule=schedule, rng=archive.generator(numbers["rng"]))
        policy.rounds = numbers["rounds"]
        policy.alpha = numbers.get("alpha", policy.alpha)  # it may have been set since
        policy.replay.restore(groups, archive.generator(numbers["batches"]), numbers["steps"])
        policy._restore(groups)
        return policy

    def _state(self) -> dict[str, list[torch.Tensor]]:
        """Return all tensors that make the state."""
        memory = [] if self.memory is None else self.memory.state()
        return {"model": list(self.model.parameters()), "memory": memory, **self.replay.state()}

    def _restore(self, groups: dict[str, list[torch.Tensor]]) -> None:
        for value, saved in zip(self.model.parameters(), groups["model"], strict=True):
            value.copy_(saved)
        if self.memory is not None:
            self.memory.restore(groups.get("memory", []), self.rounds)

"""Randomness in separate, replayable streams: the basis of common random numbers.

Each stream is a child of the shop's ``SeedSequence``; its uniforms are indexed by the round, so
any round can be asked for at any time and always gives the same number.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import ArrayLike

from recsys import checks, worlds

STREAMS = ("users", "products", "arrivals", "clicks", "logging", "churn", "drift", "ties")
HORIZON = 2**62  # no round comes later
STRETCH = 8_192  # rounds whose numbers are drawn together


class Streams:
    """The random streams of one shop.

    Parameters
    ----------
    seed : int
        Equal seeds give equal streams; streams of different names are independent.
    """

    def __init__(self, seed: int) -> None:
        self.seed = checks.integer("seed", seed, 0)
        children = np.random.SeedSequence(worlds.shifted(self.seed)).spawn(len(STREAMS))
        self._children = dict(zip(STREAMS, children, strict=True))
        self._drawn: dict[tuple[str, int], np.ndarray] = {}

    def rng(self, stream: str, *key: int) -> np.random.Generator:
        """Return a fresh generator of the stream, or of its child with the given key."""
        parent = self._children[checks.one_of("stream", stream, STREAMS)]
        child = np.random.SeedSequence(parent.entropy, spawn_key=(*parent.spawn_key, *key))
        return np.random.default_rng(child)

    def policy_rng(self, name: str) -> np.random.Generator:
        """Return the generator of a policy's own draws: a stream for each name."""
        return self.rng("ties", zlib.crc32(str(name).encode()))

    def uniforms(self, stream: str, rounds: ArrayLike) -> np.ndarray:
        """Return the uniforms in [0, 1) of the rounds, in the shape of ``rounds``."""
        rounds = checks.ids("rounds", rounds, HORIZON)
        if rounds.size:  # the usual case: rounds that stand together are a piece of the stream
            first, last = rounds.min() // STRETCH, rounds.max() // STRETCH
            if (last - first) * STRETCH <= rounds.size:
                piece = [self._stretch(stream, int(part)) for part in range(first, last + 1)]
                return np.concatenate(piece)[rounds - first * STRETCH]
        stretches, offsets = np.divmod(rounds, STRETCH)
        wanted, inverse = np.unique(stretches, return_inverse=True)
        drawn = np.stack([self._stretch(stream, int(part)) for part in wanted])
        return drawn[inverse.reshape(stretches.shape), offsets]

    def _stretch(self, stream: str, part: int) -> np.ndarray:
        if (stream, part) not in self._drawn:
            self._drawn[stream, part] = self.rng(stream, part).random(STRETCH)
        return self._drawn[stream, part]

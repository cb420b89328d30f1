"""When NeuralUCB's network is trained, and how: a form to fill, checked when it is filled."""

from __future__ import annotations

from dataclasses import dataclass

from recsys import checks


@dataclass(frozen=True)
class Schedule:
    """When the network is trained, and how.

    Every round until 2,000, then every 100, and never after 50,000, is
    ``Schedule(every=1, until=2_000, then=100, last=50_000)``.

    The defaults are the paper's algorithm: from θ₀, on all rounds, after every round. A step costs
    what its rounds cost, so long runs need ``every``, ``batch_size`` or both.
    """

    steps: int = 100  # J, of a training
    every: int = 1  # rounds from one training to the next, up to round until where there is one
    first: int = 1  # round of the first training
    learning_rate: float = 1.0  # see step
    step: str = "theory"  # η = learning_rate / (mλ + mLn), the order of the theorem; or "constant"
    batch_size: int | None = None  # rounds of a step, drawn uniformly; None: all
    restart: bool = True  # each training from θ₀; False: from where the last one ended
    towards: str = "initial"  # the penalty pulls to θ₀; or "zero": weight decay
    loss: str = "sum"  # over the rounds; or "mean", which makes the penalty n times as strong
    replay: str = "all"  # rounds that are kept; or "trained": only those that end in a training
    gradient_at: str = "before"  # gradient that enters Z: before the training, or "after"
    optimiser: str = "gd"  # or "adam", which always has a constant step
    seed: int = 0  # of the batches, the same in every world
    until: int | None = None  # last round of the span in which ``every`` counts; None: all
    then: int | None = None  # rounds from one training to the next after it, counted from it
    last: int | None = None  # round after which there is no more training
    tolerance: float | None = None  # a training ends when the objective falls by no more than
    # this share of itself in a step, or in a pass over all rounds where there are batches

    def __post_init__(self) -> None:
        for name in ("steps", "every", "first"):
            self._set(name, checks.integer(name, getattr(self, name), 1))
        for name, least in (("batch_size", 1), ("until", self.first), ("then", 1)):
            if (value := getattr(self, name)) is not None:
                self._set(name, checks.integer(name, value, least))
        if self.last is not None:
            self._set("last", checks.integer("last", self.last, self.first))
        if (self.until is None) != (self.then is None):
            missing = "until" if self.until is None else "then"
            raise ValueError(f"{missing}: got None, expected until and then, or neither")
        rate = checks.number("learning_rate", self.learning_rate, 1e-9, 1e3)
        self._set("learning_rate", rate)
        if self.tolerance is not None:
            self._set("tolerance", checks.number("tolerance", self.tolerance, 0.0, 1.0))
        if not isinstance(self.restart, bool):
            raise ValueError(f"restart: got {self.restart!r}, expected True or False")
        checks.one_of("step", self.step, ("theory", "constant"))
        checks.one_of("towards", self.towards, ("initial", "zero"))
        checks.one_of("loss", self.loss, ("sum", "mean"))
        checks.one_of("replay", self.replay, ("all", "trained"))
        checks.one_of("gradient_at", self.gradient_at, ("before", "after"))
        checks.one_of("optimiser", self.optimiser, ("gd", "adam"))
        self._set("seed", checks.integer("seed", self.seed, 0))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # plain numbers, which have a form on disk

    def due(self, rounds: int) -> bool:
        """Return whether the network is trained after that many rounds."""
        if rounds < self.first or (self.last is not None and rounds > self.last):
            return False
        if self.until is not None and rounds > self.until:
            return (rounds - self.until) % self.then == 0
        return (rounds - self.first) % self.every == 0

    def refuse_worlds(self) -> None:
        """Refuse to train many worlds at once, as ``tolerance`` ends each at another step."""
        if self.tolerance is not None:
            raise ValueError(
                f"tolerance: got {self.tolerance}, expected None with n_worlds, where every world "
                "takes the same steps"
            )

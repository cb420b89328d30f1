"""All per-arm gradients of an MLP d-100-100-1 in single precision, as one K×p array."""

import pytest
import torch
from torch import nn

from neural_peers import LIBRARIES, Way, by_loop
from race import Runner
from recsys.cost.tally import Tally
from recsys.gradients.jacobian import per_arm_gradients

LARGEST = 1.5e9  # bytes of a result beyond which a point is left out; none of those below is


pytestmark = pytest.mark.filterwarnings("ignore")  # those of other people's code


def network(d: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(d, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 1)
    )


@pytest.mark.parametrize(("k", "d"), [(50, 9), (50, 256), (500, 9), (500, 256), (5_000, 9)])
def test_per_arm_gradients(race, k: int, d: int):
    model, X = network(d), torch.randn(k, d, generator=torch.Generator().manual_seed(1))
    p = sum(value.numel() for value in model.parameters())
    if 4 * k * p > LARGEST:
        pytest.skip(f"the result alone takes {4e-9 * k * p:.1f} GB")
    ours, buffer = torch.empty(k, p), torch.empty(k, p)  # the others share one
    few = 10
    times = max(1, 200 // k)  # calls in one measurement

    def repeated(way: Way) -> Way:
        def run(_: object) -> None:
            for _ in range(times):
                way()

        return run

    def run_ours() -> torch.Tensor:
        return per_arm_gradients(model, X, out=ours)

    run_ours()
    assert torch.equal(per_arm_gradients(model, X), ours)
    against = {}
    for name, make in LIBRARIES.items():
        way = make(model, X, buffer)
        way()
        assert torch.allclose(buffer, ours, rtol=1e-4, atol=1e-6), name
        buffer.zero_()
        against[name] = Runner(repeated(way), times * k)
    loop = by_loop(model, X[:few], buffer)
    loop()
    assert torch.allclose(buffer[:few], ours[:few], rtol=1e-4, atol=1e-6)
    note = f"{few} rows"
    against["loop of forward and backward"] = Runner(lambda _: loop(), few, note=note)
    against["writing K×p numbers"] = Runner(
        repeated(lambda: buffer.fill_(1.5)), times * k, kind="limit"
    )
    against["ours, into a new array"] = Runner(
        repeated(lambda: per_arm_gradients(model, X)), times * k, kind="own"
    )
    pieces = LIBRARIES["torch.func vmap(grad)"](model, X, None)
    against["vmap(grad), a tensor a parameter"] = Runner(
        repeated(pieces), times * k, kind="other", note="no K×p array"
    )
    with Tally() as tally:
        per_arm_gradients(model, X)
    race.fact("peak memory / result", tally.peak / (4 * k * p))
    race(
        f"all gradients, K = {k:,}, p = {p:,}, float32",
        "arm",
        Runner(repeated(run_ours), times * k),
        against,
        repeats=3 if k >= 5_000 else 7 if k >= 500 else 15,
    )

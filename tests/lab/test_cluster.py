"""The same sweeps on a real Dask cluster: a scheduler and two worker processes on loopback."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import fields
from pathlib import Path

import joblib
import numpy as np
import pytest
from distributed import Client
from distributed.scheduler import KilledWorker

import efficiency
import sweep
from loopback import Loopback
from recsys.lab.experiment import replicate
from recsys.lab.parallel import over_cases, over_seeds
from recsys.linear.linucb import DiscountedLinUCB, LinUCB
from recsys.policies.exploration import EpsilonGreedy
from recsys.policies.simple import MostPopular, Oracle
from recsys.shop.features import Featurizer, JointFeatures, SharedUserFeatures, Truth
from recsys.shop.records import Trace
from recsys.shop.simulator import Shop
from recsys.shop.world import ShopConfig

PATIENCE = 25.0  # seconds that anything may take
kills = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no such signal")


def contestants() -> dict[str, Callable]:
    """Return policies that learn, explore at random and know the truth."""

    def epsilon(shop: Shop, rng: np.random.Generator) -> tuple[EpsilonGreedy, Featurizer]:
        greedy = MostPopular(shop.n_products, rng=rng)
        return EpsilonGreedy(greedy, 0.2, rng), JointFeatures(shop)

    def linear(kind: type[LinUCB], **forgetting: float) -> Callable:
        def make(shop: Shop, rng: np.random.Generator) -> tuple[LinUCB, Featurizer]:
            policy = kind(shop.n_products, 9, 0.2, 0.3, rng=rng, **forgetting)
            return policy, SharedUserFeatures(shop)

        return make

    return {
        "epsilon": epsilon,
        "linucb": linear(LinUCB),
        "discounted": linear(DiscountedLinUCB, gamma=0.99),
        "oracle": lambda shop, rng: (Oracle(shop.n_products, rng=rng), Truth(shop)),
    }


def play(entries: dict[str, Callable], seeds: range = range(6)) -> dict[str, Trace]:
    """Run the sweep that every test compares, wherever joblib is told to."""

    def prepare(shop: Shop) -> None:  # a local function: the workers cannot import this file
        shop.log(50)
        shop.shock(at=130)

    config = ShopConfig(n_users=40, n_products=8)
    return replicate(entries, seeds, 200, config, prepare, n_jobs=2, progress=False)


def assert_same_bits(first: dict[str, Trace], second: dict[str, Trace]) -> None:
    assert list(first) == list(second)
    for name, trace in first.items():
        for field in fields(Trace):
            one, other = getattr(trace, field.name), getattr(second[name], field.name)
            assert one.dtype == other.dtype
            assert np.array_equal(one, other), f"{name}: {field.name}"


def in_background(work: Callable[[], object]) -> Future:
    """Start work in a thread that cannot keep the tests from ending."""
    future: Future = Future()

    def body() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=body, daemon=True).start()
    return future


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.02)


class Cluster:
    """Two workers and the client to which joblib sends its tasks."""

    def __init__(self, processes: Loopback, client: Client) -> None:
        self.processes, self.client = processes, client

    def two_workers(self) -> None:
        """Replace the workers that a test has killed."""
        for _ in range(2 - len(self.living())):
            self.processes.add_worker()
        pids = {worker.pid for worker in self.living()}
        wait_until(lambda: set(self.client.run(os.getpid).values()) == pids, "two workers")

    def living(self) -> list[subprocess.Popen]:
        """Return the workers that have not ended, the oldest first."""
        return [worker for worker in self.processes.workers if worker.poll() is None]

    def start(self, work: Callable[[], object]) -> Future:
        """Do in the background what a caller does: the same call inside ``parallel_config``."""

        def with_dask() -> object:
            with joblib.parallel_config(backend="dask"):
                return work()

        return in_background(with_dask)

    def __call__(self, work: Callable[[], object]) -> object:
        """Return what the work returns on the cluster, within ``PATIENCE``."""
        return self.start(work).result(PATIENCE)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with (
        Loopback(2, tmp_path_factory.mktemp("cluster")) as processes,
        Client(processes.address, timeout=PATIENCE) as client,
    ):
        yield Cluster(processes, client)
    assert not [w for w in processes.workers if w.poll() is None]


@pytest.fixture
def cluster(running: Cluster) -> Cluster:
    running.two_workers()
    return running


@pytest.fixture(scope="module")
def local() -> dict[str, Trace]:
    """Return the sweep's result from two processes of joblib's own."""
    return play(contestants())


def test_a_sweep_runs_in_the_processes_of_the_workers_one_thread_each(cluster: Cluster):
    def where(seed: int) -> dict:
        import time  # a global of this file would not travel

        import torch
        from threadpoolctl import threadpool_info

        time.sleep(0.1)  # so that no worker can do it all
        threads = [pool["num_threads"] for pool in threadpool_info()]
        return {"pid": os.getpid(), "threads": max([*threads, torch.get_num_threads()])}

    found = cluster(lambda: over_seeds(where, range(8), n_jobs=1, progress=False))
    assert set(found["pid"]) == {worker.pid for worker in cluster.living()}
    assert len(set(found["pid"])) == 2  # whatever n_jobs says
    assert os.getpid() not in found["pid"]
    assert (found["threads"] == 1).all()


def test_the_cluster_returns_the_bits_that_local_processes_return(
    cluster: Cluster, local: dict[str, Trace]
):
    remote = cluster(lambda: play(contestants()))
    assert local["linucb"].arms.shape == (6, 200)
    assert len({trace.rewards.tobytes() for trace in local.values()}) == len(local)
    assert_same_bits(remote, local)


@kills
def test_a_worker_killed_in_mid_sweep_costs_time_and_no_result(
    cluster: Cluster, local: dict[str, Trace], tmp_path: Path
):
    gate, marks = tmp_path / "gate", tmp_path / "marks"
    marks.mkdir()
    entries = contestants()

    def reaches_the_gate(shop: Shop, rng: np.random.Generator) -> tuple[LinUCB, Featurizer]:
        """Leave a mark when half of a seed is played; from the third seed on, wait there."""
        import time

        (marks / f"{shop.seed}-{os.getpid()}").touch()
        end = time.monotonic() + PATIENCE
        while shop.seed >= 2 and not gate.exists():
            assert time.monotonic() < end, "the gate stayed shut"
            time.sleep(0.01)
        return linucb(shop, rng)

    linucb, entries["linucb"] = entries["linucb"], reaches_the_gate

    def seen() -> dict[int, list[int]]:
        """Return the seeds that each process has begun."""
        by_pid: dict[int, list[int]] = {}
        for mark in marks.iterdir():
            seed, pid = map(int, mark.name.split("-"))
            by_pid.setdefault(pid, []).append(seed)
        return {pid: sorted(seeds) for pid, seeds in by_pid.items()}

    def both_wait() -> bool:
        return len(seen()) == 2 and all(seeds[-1] >= 2 for seeds in seen().values())

    result = cluster.start(lambda: play(entries))
    # Both workers are in the middle of a task. They have one thread and take the seeds in order, so
    # the seeds 0 and 1 are done.
    wait_until(lambda: both_wait() or result.done(), "two workers in the middle of a task")
    assert not result.done()
    assert {0, 1} <= {seed for seeds in seen().values() for seed in seeds}
    victim = cluster.living()[0]
    addresses = {pid: address for address, pid in cluster.client.run(os.getpid).items()}
    assert cluster.client.processing()[addresses[victim.pid]], "no task was in flight there"
    lost = seen()[victim.pid][-1]
    victim.send_signal(signal.SIGKILL)
    assert victim.wait(PATIENCE) == -signal.SIGKILL
    wait_until(lambda: len(cluster.client.ncores()) == 1, "the scheduler to miss the worker")
    assert not result.done()
    gate.touch()
    assert_same_bits(result.result(PATIENCE), local)
    (survivor,) = cluster.living()
    assert lost in seen()[survivor.pid], "the task that was lost was not repeated"


def test_a_failing_seed_is_not_passed_over_on_the_cluster(cluster: Cluster):
    def fails(seed: int) -> int:
        if seed == 2:
            raise ArithmeticError("seed 2")
        return seed

    with pytest.raises(ArithmeticError, match="seed 2"):
        cluster(lambda: over_seeds(fails, range(4), progress=False))


def test_a_function_that_the_cluster_cannot_import_is_reported(cluster: Cluster):
    def here(case: str) -> float:
        return wait_until and PATIENCE  # globals of this file, which the cluster does not have

    with pytest.raises(RuntimeError, match="different environments"):
        cluster(lambda: over_cases(here, "ab", progress=False))


@kills
def test_a_task_that_kills_its_workers_ends_the_sweep_with_an_error(cluster: Cluster):
    def allow(failures: int) -> None:
        def change(dask_scheduler: object) -> None:
            dask_scheduler.allowed_failures = failures

        cluster.client.run_on_scheduler(change)

    def dies(case: str) -> str:
        if case == "b":
            os.kill(os.getpid(), signal.SIGKILL)
        return case

    allow(0)  # by default three deaths are forgiven, and four workers would have to die here
    try:
        with pytest.raises(KilledWorker):
            cluster(lambda: over_cases(dies, "abc", progress=False))
    finally:
        allow(3)
    assert len(cluster.living()) == 1


def test_the_example_prints_the_same_table_here_and_on_the_cluster(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
):
    small = "--seeds 23 --before 40 --after 60 --alphas 0.1 0.5 --gammas 1 0.99 --strengths 1"
    sweep.main(small.split())
    here = capsys.readouterr().out
    sweep.main([*small.split(), "--address", cluster.processes.address])
    assert capsys.readouterr().out == here
    assert here.count("to") >= 4


def test_the_package_does_not_need_what_only_a_cluster_needs():
    code = "import sys, recsys.lab, recsys.cost; print('distributed' in sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    assert out.stdout.strip() == "False"


# ---------------------------------------------------------------------- what the README says


SMALL = {
    "sweep": "--seeds 2 --before 5 --after 5 --alphas 0.1 --gammas 1 0.9 --strengths 1",
    "efficiency": "--rounds 4 --repeats 1 --trial",
}


@pytest.mark.parametrize(("script", "prints"), [("sweep", "0.9"), ("efficiency", "Measured")])
def test_a_script_runs_from_the_root_as_the_readme_writes_it(script: str, prints: str):
    root = efficiency.README.parent
    before = efficiency.README.read_bytes(), efficiency.RECORD.read_bytes()
    done = subprocess.run(
        [sys.executable, f"benchmarks/cluster/{script}.py", *SMALL[script].split()],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},  # and no folder of the benchmarks
        capture_output=True,
        encoding="utf-8",
        timeout=8 * PATIENCE,
        check=True,
    )
    assert prints in done.stdout
    assert (efficiency.README.read_bytes(), efficiency.RECORD.read_bytes()) == before


RECORD = json.loads(efficiency.RECORD.read_text("utf-8"))


def test_the_readme_says_what_was_measured():
    written = efficiency.PARAGRAPH.findall(efficiency.README.read_text("utf-8"))
    assert written == [efficiency.paragraph(RECORD)]


def test_the_record_follows_from_its_times():
    measured, estimated, task = RECORD["measured"], RECORD["estimated"], RECORD["task"]
    one, two = (np.array(measured["seconds"][f"{n}"]) for n in ("one_worker", "two_workers"))
    assert len(one) == len(two) == measured["repeats"]
    assert measured["efficiency"] == pytest.approx(np.median(one / (2 * two)))
    assert measured["efficiency_low"] == pytest.approx((one / (2 * two)).min())
    assert measured["efficiency_high"] == pytest.approx((one / (2 * two)).max())
    assert task["seconds"] == pytest.approx(np.median(one) / measured["tasks"])
    grid = len(sweep.ALPHAS) * len(sweep.GAMMAS) * len(sweep.STRENGTHS)
    assert estimated["tasks"] == grid * sweep.SEEDS // sweep.SEEDS_A_TASK
    assert (task["rounds"], task["seeds"]) == (sweep.BEFORE + sweep.AFTER, sweep.SEEDS_A_TASK)
    sent = measured["start_seconds"] + estimated["tasks"] * measured["send_seconds"]
    rounds_of_tasks = -(-estimated["tasks"] // estimated["workers"])
    assert estimated["seconds"] == pytest.approx(sent + rounds_of_tasks * task["seconds"])
    alone = sent + estimated["tasks"] * task["seconds"]
    assert estimated["seconds_on_one"] == pytest.approx(alone)
    assert estimated["efficiency"] == pytest.approx(
        alone / (estimated["workers"] * estimated["seconds"])
    )


def test_the_estimate_counts_what_the_workers_wait_for():
    free = {"send": 0.0, "start": 0.0}
    assert efficiency.estimated_seconds(4, 8, 1.0, **free) == 2.0
    assert efficiency.estimated_seconds(4, 9, 1.0, **free) == 3.0  # three wait for the ninth
    assert efficiency.estimate(8, 1.0, **free, n=4)["efficiency"] == 1.0
    assert efficiency.estimate(8, 1.0, 0.0, 2.0, n=4)["efficiency"] == 10 / (4 * 4)
    assert efficiency.estimated_seconds(4, 8, 1.0, 0.5, 3.0) == 9.0


@pytest.mark.parametrize("name", ["cluster.json", "../results.json"])
def test_a_record_names_no_machine_and_no_folder(name: str):
    text = (efficiency.HERE / name).read_text("utf-8")
    assert not re.search(r"""(?:^|[\s"'=])(?:/|~|[A-Z]:\\)\w""", text, re.M)
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)
    assert set(json.loads(text)["machine"]) >= {"cpu", "cores", "memory_gb", "system", "python"}

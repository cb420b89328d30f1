"""The workflows, as far as that is possible without the service that runs them."""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from test_pins import SERIES

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / ".ci"))

import package  # noqa: E402  # the command of the matrix, which is no part of recsys

PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
SYSTEMS = {"ubuntu", "macos", "windows"}
PUBLISHES = {"pages", "id-token", "contents", "deployments", "packages"}
TEXTS = {
    path.name: path.read_text("utf-8") for path in sorted(ROOT.glob(".github/workflows/*.yml"))
}


def jobs(text: str) -> dict[str, dict[str, Any]]:
    """Return the jobs of a workflow by their names."""
    return yaml.safe_load(text)["jobs"]


def commands(text: str) -> Iterator[str]:
    """Yield what the steps run."""
    for job in jobs(text).values():
        yield from (step["run"] for step in job["steps"] if "run" in step)


def entries(job: dict[str, Any]) -> list[dict[str, str]]:
    """Return the entries of a job's matrix; one without values where it has none."""
    matrix = dict(job.get("strategy", {}).get("matrix", {}))
    included = matrix.pop("include", [])
    return [dict(zip(matrix, values, strict=True)) for values in product(*matrix.values())] + (
        included
    )


def filled(command: str, entry: dict[str, str]) -> str:
    """Return the command with an entry's values, and a number for the run's."""
    command = re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda found: entry.get(found[1], ""), command)
    return command.replace("${{ github.run_number }}", "12")


def problems(text: str) -> list[str]:
    """Return what is wrong with a workflow."""
    found = []
    if yaml.safe_load(text).get("permissions") != {"contents": "read"}:
        found.append("permissions")
    used = re.findall(r"uses: *(.*)$", text, re.M)
    found += [f"not pinned: {action}" for action in used if not PINNED.match(action)]
    for name, job in jobs(text).items():
        if "timeout-minutes" not in job:
            found.append(f"no timeout: {name}")
        runs = " ".join(step.get("run", "") for step in job["steps"])
        scripts = re.findall(r"(?:\.ci|book|benchmarks|tests)/[\w./-]+", runs)
        found += [f"no script: {script}" for script in scripts if not (ROOT / script).is_file()]
        for entry in entries(job):
            for line in runs.split("python .ci/package.py")[1:]:
                try:
                    package.parser().parse_args(shlex.split(filled(line, entry)))
                except SystemExit:
                    found.append(f"no such option: {filled(line, entry).strip()}")
    return found


def test_there_are_four():
    assert set(TEXTS) == {"book.yml", "package.yml", "latest.yml", "replicate.yml"}


@pytest.mark.parametrize("name", TEXTS)
def test_a_workflow_is_sound(name: str):
    assert problems(TEXTS[name]) == []


GOOD = TEXTS["package.yml"]


@pytest.mark.parametrize(
    ("piece", "other", "found"),
    [
        ("@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "@v5", "not pinned"),
        ("    timeout-minutes: 60\n", "", "no timeout"),
        ("contents: read", "contents: write", "permissions"),
        ("python .ci/package.py", "python .ci/packages.py", "no script"),
        ("order: [listed]", "order: [sorted]", "no such option"),
        ("--seed", "--seeds", "no such option"),
    ],
)
def test_a_fault_in_a_workflow_is_found(piece: str, other: str, found: str):
    assert piece in GOOD
    assert any(problem.startswith(found) for problem in problems(GOOD.replace(piece, other)))


def test_the_worlds_of_the_week_are_tried_by_a_schedule_and_nothing_is_published():
    text = TEXTS["replicate.yml"]
    assert "cron:" in text and "pages:" not in text and ".ci/run" not in text
    assert any(command == "bash .ci/replicate --by-date" for command in commands(text))
    assert "bash .ci/replicate\n" in (ROOT / ".ci" / "test").read_text("utf-8")


def test_an_action_is_the_same_everywhere():
    used = {line for text in TEXTS.values() for line in re.findall(r"uses: *(.*)$", text, re.M)}
    assert len({line.split("@")[0] for line in used}) == len(used)


def test_the_package_is_tested_on_every_system_and_every_series_that_it_states():
    tried = {
        (entry["os"].split("-")[0], entry["python"], entry["order"])
        for entry in entries(jobs(GOOD)["test"])
    }
    assert {(system, series) for system, series, _ in tried} >= set(product(SYSTEMS, SERIES))
    assert {order for _, _, order in tried} == set(package.ORDERS)


def test_every_file_runs_alone_in_a_shuffled_order_on_three_series():
    shuffled = {
        entry["python"]
        for entry in entries(jobs(GOOD)["test"])
        if entry["order"] == "shuffled" and entry.get("extent") == "--everything"
    }
    assert shuffled >= set(SERIES[:3])


def test_the_newest_versions_are_tried_weekly_and_publish_nothing():
    text = TEXTS["latest.yml"]
    (schedule,) = yaml.safe_load(text)[True]["schedule"]  # YAML reads "on" as a truth
    minute, hour, day, month, weekday = schedule["cron"].split()
    assert minute.isdigit()
    assert hour.isdigit()
    assert (day, month) == ("*", "*")
    assert weekday in "0123456"
    assert any("--latest" in command for command in commands(text))
    rights = {right for job in jobs(text).values() for right in job.get("permissions", {})}
    assert rights == {"issues"}
    used = re.findall(r"uses: *([\w/-]+)@", text)
    assert set(used) == {"actions/checkout", "actions/setup-python"}
    warn = jobs(text)["warn"]
    assert warn["needs"] == "test"
    assert "gh issue create" in warn["steps"][0]["run"]


def test_only_the_book_that_passed_is_published():
    for name, text in TEXTS.items():
        for job, steps in jobs(text).items():
            publishes = PUBLISHES & set(steps.get("permissions", {}))
            assert not publishes or (name, job) == ("book.yml", "deploy")
    assert jobs(TEXTS["book.yml"])["deploy"]["needs"] == "test"


# ---------------------------------------------------------------------- the matrix's command


def test_the_command_finds_every_test_file_that_needs_no_build():
    files = package.test_files(everything=True)
    assert {"tests/lab/test_experiment.py", "tests/test_checks.py", *package.BOOK} <= set(files)
    assert not [file for file in files if file.startswith(("tests/site", "tests/bugs"))]
    assert set(files) - set(package.test_files()) == set(package.BOOK)
    assert "tests/book/test_theorems.py" in package.test_files()


def test_an_order_holds_every_file_once():
    files = package.test_files()
    assert package.in_order(files, "listed", 0) == files
    assert package.in_order(files, "reversed", 0) == files[::-1]
    shuffled = package.in_order(files, "shuffled", 3)
    assert (
        shuffled == package.in_order(files, "shuffled", 3) != package.in_order(files, "shuffled", 4)
    )
    assert sorted(shuffled) == files


def test_what_is_installed_is_pinned_except_where_the_newest_is_wanted():
    assert package.wanted(everything=True, latest=False) == ["-r", "requirements.txt"]
    assert package.wanted(everything=False, latest=False)[:2] == ["-c", ".ci/constraints.txt"]
    assert package.wanted(everything=False, latest=True) == ["-e", ".[cluster,test]"]


def test_the_user_s_own_settings_take_no_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    for name in ("PYTHONPATH", "PYTHONHOME", "MPLCONFIGDIR", "CI"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("LANG", "C")
    env = package.surroundings(tmp_path)
    assert "mine" not in env.values()
    assert env["LANG"] == "C"
    assert env["PYTHONNOUSERSITE"] == "1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--latest", "--everything"], "--latest"),
        (["tests/test_none.py"], "files: got"),
        (["--environment", "."], "--environment: got"),
        (["--environment", "none", "--keep"], "--keep: got"),
        (["--order", "sorted"], "--order"),
    ],
)
def test_the_command_refuses_and_touches_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    kept = tmp_path / "kept"
    kept.write_text("mine", "utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refusal:
        package.main(arguments)
    assert refusal.value.code == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_failing_file_is_named_and_the_others_run(tmp_path: Path):
    good, bad = tmp_path / "test_good.py", tmp_path / "test_bad.py"
    good.write_text("def test_it():\n    assert True\n", "utf-8")
    bad.write_text("def test_it():\n    assert False\n", "utf-8")
    files = [str(bad), str(good)]
    env = package.surroundings(tmp_path)
    assert package.run_tests(sys.executable, files, ["-c", os.devnull], env) == [str(bad)]

"""The environment is the pinned one, and every pin installs on each Python that is promised."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PROMISED = SpecifierSet(PROJECT["requires-python"])
(MINIMUM,) = (Version(clause.version) for clause in PROMISED)
SERIES = [line.split()[-1] for line in PROJECT["classifiers"] if ":: Python :: 3." in line]
# The first release of each series, and Debian 12's.
PYTHONS = [*(f"{series}.0" for series in SERIES), "3.11.2"]


def pins(file: Path) -> dict[str, str]:
    """Return the pinned version of every package that the file names."""
    lines = [line.split("#")[0].strip() for line in file.read_text("utf-8").splitlines()]
    requirements = [Requirement(line) for line in lines if line and not line.startswith("-")]
    for requirement in requirements:
        assert str(requirement.specifier).startswith("=="), f"{requirement} is not pinned"
    return {canonicalize_name(r.name): str(r.specifier)[2:] for r in requirements}


DIRECT = pins(ROOT / "requirements.txt")
ALL = pins(ROOT / ".ci" / "constraints.txt")


@pytest.mark.parametrize("name", DIRECT)
def test_installed_is_what_is_pinned(name: str):
    assert ALL[name] == DIRECT[name]
    assert Version(version(name)).public == DIRECT[name]  # without a local part such as +cpu


def test_python_is_one_that_is_promised():
    assert PROMISED.contains(Version("{}.{}.{}".format(*sys.version_info)))


def test_the_first_series_is_the_minimum():
    assert Version(SERIES[0]) == min(map(Version, SERIES)) == MINIMUM


def requires_python(names: Mapping[str, str]) -> dict[str, str]:
    """Return which Pythons the installed packages say that they run on; "" where nothing is said.

    A package that this system has no use for is not installed, and left out.
    """
    said = {}
    for name in names:
        try:
            said[name] = metadata(name).get("Requires-Python") or ""
        except PackageNotFoundError:
            continue
    return said


def refused(said: Mapping[str, str], python: str) -> list[str]:
    """Return the packages that pip would not install on a version of Python."""
    return [
        f"{name}: {asked}"
        for name, asked in said.items()
        if not SpecifierSet(asked).contains(Version(python))
    ]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_pin_installs_on_each_promised_python(python: str):
    said = requires_python(ALL)
    assert len(said) > 0.9 * len(ALL)
    assert refused(said, python) == []


def test_a_pin_that_an_early_release_cannot_install_is_found():
    said = {"soupsieve": ">=3.11.5", "locket": ">=2.7, !=3.0.*", "pexpect": "", "old": ">=3,<3.14"}
    assert refused(said, "3.11.2") == ["soupsieve: >=3.11.5"]
    assert refused(said, "3.12.0") == []
    assert refused(said, "3.14.0") == ["old: >=3,<3.14"]


def test_every_installed_pin_is_the_one_of_the_constraints():
    found = {name: Version(version(name)).public for name in requires_python(ALL)}
    assert {name: at for name, at in ALL.items() if name in found} == found


# Where the minimum is stated for people and for tools: the text before the version.
STATED = {
    "README.md": r"need Python (\S+) or newer",
    "CONTRIBUTING.md": r"need Python (\S+) or newer",
    "book/index.md": r"Python `(\S+)` or newer",
    ".ci/build": r"[Nn]eeds Python (\S+) or newer",
    ".ci/environment": r"[Nn]eeds Python (\S+) or newer",
    "benchmarks/run": r"needs Python (\S+) or newer",
}


@pytest.mark.parametrize("file", STATED)
def test_the_minimum_is_the_same_wherever_it_is_stated(file: str):
    stated = re.findall(STATED[file], (ROOT / file).read_text("utf-8"))
    assert stated
    assert set(stated) == {str(MINIMUM)}


def test_the_tools_take_the_same_minimum():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert settings["tool"]["ruff"]["target-version"] == f"py{MINIMUM}".replace(".", "")
    build = (ROOT / ".ci" / "environment").read_text("utf-8")
    assert f"sys.version_info < {MINIMUM.release}" in build


def third_party(source: str) -> Iterator[str]:
    """Yield the top-level names that the code imports and Python does not bring."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        yield from {name.split(".")[0] for name in names} - sys.stdlib_module_names


def not_named(folders: Mapping[str, set[str]]) -> list[str]:
    """Return what the code of the folders imports beyond the packages named for it."""
    files = {folder: list((ROOT / folder).rglob("*.py")) for folder in folders}
    homes = ("tests", "book", "benchmarks", ".ci")
    own = {"recsys"} | {file.stem for home in homes for file in (ROOT / home).rglob("*.py")}
    made_by = packages_distributions()
    return sorted(
        f"{file.relative_to(ROOT).as_posix()}: {name}"
        for folder, named in folders.items()
        for file in files[folder]
        for name in third_party(file.read_text("utf-8"))
        if name not in own
        and not {canonicalize_name(made) for made in made_by.get(name, [])} & named
    )


def test_everything_that_is_imported_is_named_and_not_left_to_another_package():
    named = {canonicalize_name(Requirement(r).name) for r in PROJECT["dependencies"]}
    assert not_named({"recsys": named, "tests": set(DIRECT), "book/_ext": set(DIRECT)}) == []


def test_what_the_package_and_its_tests_ask_for_is_pinned():
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in (Requirement(line) for group in groups for line in group):
        at = ALL[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(at), f"{requirement} does not allow {at}"

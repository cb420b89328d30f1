"""The environment is the pinned one, and the package's imports run one way."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent

# A module of recsys imports only from layers above its own line.
LAYERS = [
    {"archive", "checks", "growing", "records", "stacked", "tally"},
    {"few_rows", "mlp", "parallel", "streams", "training", "world"},
    {"simulator"},
    {"factors", "features", "policies", "score_network"},
    {"gradient_memory", "linear_memory", "replay"},
    {"dual_memory", "forgetful_memory", "persistent", "pruning"},
    {"baseline", "gradients", "linucb", "logistic", "neuralucb"},
    {"neural_relatives", "serving"},
    {"experiment"},
    {"evaluation"},
    {"figures", "scaling"},
    {"literate"},
]


def pins(file: Path) -> dict[str, str]:
    """Return the pinned version of every package that the file names."""
    lines = [line.split("#")[0].strip() for line in file.read_text("utf-8").splitlines()]
    requirements = [Requirement(line) for line in lines if line and not line.startswith("-")]
    for requirement in requirements:
        assert str(requirement.specifier).startswith("=="), f"{requirement} is not pinned"
    return {canonicalize_name(r.name): str(r.specifier)[2:] for r in requirements}


DIRECT = pins(ROOT / "requirements.txt")


@pytest.mark.parametrize("name", DIRECT)
def test_installed_is_what_is_pinned(name: str):
    assert pins(ROOT / ".ci" / "constraints.txt")[name] == DIRECT[name]
    assert Version(version(name)).public == DIRECT[name]  # without a local part such as +cpu


def test_package_comes_from_this_checkout():
    import recsys

    assert Path(recsys.__file__).parent == ROOT / "recsys"


def test_python_is_new_enough():
    assert sys.version_info >= (3, 11)


def imported(source: str) -> Iterator[str]:
    """Yield the dotted names of everything that the code imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = ".".join(["recsys"] * bool(node.level) + [node.module] * bool(node.module))
            yield from (f"{module}.{alias.name}" for alias in node.names)


def wrong_imports(module: str, source: str, layers: list[set[str]]) -> list[str]:
    """Return what the module imports although its layer may not."""
    depth = next((n for n, layer in enumerate(layers) if module in layer), None)
    if depth is None:
        return [f"{module} is in no layer"]
    allowed = set().union(*layers[:depth])
    problems = []
    for name in imported(source):
        parts = name.split(".")
        higher = parts[0] == "recsys" and (len(parts) == 1 or parts[1] not in allowed)
        if higher or parts[0] in ("book", "tests"):
            problems.append(f"{module} imports {name}")
    return problems


@pytest.mark.parametrize("path", sorted(ROOT.glob("recsys/*.py")), ids=lambda path: path.stem)
def test_imports_run_one_way(path: Path):
    if path.stem != "__init__":
        assert wrong_imports(path.stem, path.read_text("utf-8"), LAYERS) == []


def test_wrong_imports_are_reported():
    layers = [{"low"}, {"left", "right"}]
    assert wrong_imports("left", "from recsys.low import f\nimport numpy", layers) == []
    assert wrong_imports("left", "from recsys import low", layers) == []
    assert wrong_imports("left", "from .low import f", layers) == []
    assert wrong_imports("low", "from recsys.left import f", layers)
    assert wrong_imports("left", "def f():\n    import recsys.right", layers)
    assert wrong_imports("left", "from . import right", layers)
    assert wrong_imports("left", "import recsys", layers)
    assert wrong_imports("left", "from book import page", layers)
    assert wrong_imports("new", "", layers) == ["new is in no layer"]

"""The package's imports run one way, and what it is made of comes from this checkout."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePath, PureWindowsPath

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parent.parent

# A room of recsys imports only from layers above its own line; offpolicy is to come.
LAYERS = [
    {"worlds"},
    {"archive", "checks"},
    {"gradients", "shop"},
    {"policies"},
    {"baseline", "lab", "linear", "neural", "offpolicy"},
    {"cost", "pages"},
]
# What a page with the light rooms alone need not wait for.
HEAVY = {"torch", "sklearn", "joblib", "scipy.stats", "scipy.optimize", "scipy.sparse"}


def test_package_comes_from_this_checkout():
    import recsys

    assert Path(recsys.__file__).parent == ROOT / "recsys"


def test_the_tests_of_a_checkout_that_may_only_be_read_can_pass(tmp_path: Path):
    file, test = tmp_path / "file", tmp_path / "test_one.py"
    file.write_text("no folder", "utf-8")
    test.write_text("def test_it():\n    pass\n", "utf-8")
    options = ["-c", str(ROOT / "pyproject.toml"), "-o", f"cache_dir={file / 'cache'}"]
    command = [sys.executable, "-m", "pytest", *options, f"--rootdir={tmp_path}", str(test)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "could not create cache path" in done.stdout


@cache
def nodes(source: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(source)))


def imported(source: str, package: str) -> Iterator[str]:
    """Yield the dotted names of everything that the code imports, wherever in it."""
    for node in nodes(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")
            base = base[: len(base) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def private(name: object) -> bool:
    return isinstance(name, str) and name.startswith("_") and not name.startswith("__")


def names_read(source: str) -> Iterator[str]:
    """Yield the private names that the code asks an object for."""
    for node in nodes(source):
        if isinstance(node, ast.Attribute) and private(node.attr):
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
            yield from (
                a.value for a in node.args if isinstance(a, ast.Constant) and private(a.value)
            )


def names_made(source: str) -> Iterator[str]:
    """Yield the private names of functions, classes, variables and attributes of the code."""
    for node in nodes(source):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and private(node.name):
            yield node.name
        elif isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.attr if isinstance(node, ast.Attribute) else node.id
            yield from [name] if private(name) else []


def face(source: str) -> set[str]:
    """Return what a room's face names."""
    for node in nodes(source):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


def wrong_import(room: str, name: str, layers: list[set[str]], faces: dict[str, set[str]]) -> bool:
    """Return whether a module of a room must not import that name."""
    top, *rest = name.split(".")
    if top in ("book", "tests", "benchmarks"):
        return True
    if top != "recsys":
        return False
    if not rest:  # the map, which holds nothing
        return True
    depth = next(n for n, layer in enumerate(layers) if room in layer)
    other, names = rest[0], rest[1:]
    if other == room:  # a module asks another one, not the face that is made of both
        return not names or names[0] in faces.get(room, set()) or private(names[-1])
    if other not in set().union(*layers[:depth]):
        return True
    if other in faces:  # through the face, name by name
        return len(names) != 1 or names[0] not in faces[other]
    return len(names) > 1 or any(map(private, names))  # a module on the ground


def modules() -> dict[Path, str]:
    """Return the code of every module of recsys at any depth, by its place in recsys."""
    package = ROOT / "recsys"
    return {path.relative_to(package): path.read_text("utf-8") for path in package.rglob("*.py")}


def layer_problems(sources: dict[PurePath, str], layers: list[set[str]] = LAYERS) -> list[str]:
    """Return what is wrong with the imports of the modules, wherever in their code."""
    rooms = {path: path.parts[0].removesuffix(".py") for path in sources}
    faces = {
        path.parts[0]: face(source)
        for path, source in sources.items()
        if len(path.parts) == 2 and path.name == "__init__.py"
    }
    made: dict[str, set[str]] = {}
    for path, source in sources.items():
        made.setdefault(rooms[path], set()).update(names_made(source))
    problems = []
    for path, source in sorted(sources.items()):
        room, here = rooms[path], ".".join(["recsys", *path.parent.parts])
        shown = path.as_posix()  # as it is written everywhere, also on Windows
        if room == "__init__":
            problems += [f"{shown} imports {name}" for name in imported(source, here)]
            continue
        if not any(room in layer for layer in layers):
            problems.append(f"{shown} is in no layer")
            continue
        problems += [
            f"{shown} imports {name}"
            for name in imported(source, here)
            if wrong_import(room, name, layers, faces)
        ]
        others = set().union(*(names for other, names in made.items() if other != room))
        strange = set(names_read(source)) & others - made[room]
        problems += [f"{shown} reads {name}" for name in sorted(strange)]
    return problems


def test_imports_run_one_way_and_through_the_faces():
    assert layer_problems(modules()) == []


PLANTED = {
    # at the top, in a function, relative; upwards, sideways, past a face, private, the map itself
    ("shop/deep/er.py", "from recsys.policies import Policy"): "recsys.policies.Policy",
    ("shop/deep/er.py", "def f():\n    from ...lab import run"): "recsys.lab.run",
    ("neural/deep/er.py", "from ...linear import LinUCB"): "recsys.linear.LinUCB",
    ("gradients/mlp.py", "class A:\n    def f(self):\n        import recsys.lab"): "recsys.lab",
    ("gradients/mlp.py", "from ..policies import base"): "recsys.policies.base",
    ("linear/memory.py", "from recsys.neural import NeuralUCB"): "recsys.neural.NeuralUCB",
    ("lab/serving.py", "if True:\n    from recsys.pages import line"): "recsys.pages.line",
    ("policies/base.py", "from recsys.shop.world import PERSONAS"): "recsys.shop.world.PERSONAS",
    ("policies/base.py", "from recsys.shop import simulator"): "recsys.shop.simulator",
    ("policies/base.py", "import recsys.shop.world as world"): "recsys.shop.world",
    ("neural/memory.py", "from recsys.gradients.jacobian import _leaves"): "_leaves",
    ("neural/memory.py", "from recsys.neural.pruning import _majorant"): "_majorant",
    ("linear/linucb.py", "from recsys.linear import RidgeMemory"): "recsys.linear.RidgeMemory",
    ("linear/linucb.py", "from . import RidgeMemory"): "recsys.linear.RidgeMemory",
    ("lab/bands.py", "import recsys"): "recsys",
    ("lab/bands.py", "from recsys import __version__"): "__version__",
    ("lab/bands.py", "import importlib\nimportlib.import_module('recsys.cost')"): "recsys.cost",
    ("checks.py", "from recsys import archive"): "recsys.archive",
    ("checks.py", "def f():\n    from .shop import Shop"): "recsys.shop.Shop",
    ("pages/figures.py", "from tests import strategies"): "tests.strategies",
    ("pages/figures.py", "def f():\n    import book.page"): "book.page",
    ("__init__.py", "from recsys.shop import Shop"): "recsys.shop.Shop",
    ("lab/serving.py", "def f(shop):\n    return shop._log_affinity"): "_log_affinity",
    ("linear/linucb.py", "def f(shop):\n    return getattr(shop, '_phase')"): "_phase",
    ("neural/relatives.py", "class B(A):\n    def f(self):\n        self._each"): "_each",
    ("new/room.py", "import numpy"): "in no layer",
}


@pytest.mark.parametrize(("file", "code"), PLANTED, ids=lambda text: text.replace("\n", " "))
def test_a_misplaced_import_is_found_at_any_depth(file: str, code: str):
    sources = modules()
    sources[Path(file)] = f"{sources.get(Path(file), '')}\n{code}\n"
    (problem,) = layer_problems(sources)
    assert problem.startswith(file)
    assert problem.endswith(PLANTED[file, code])


def test_a_misplaced_import_is_written_the_same_on_windows():
    sources = {PureWindowsPath(path): source for path, source in modules().items()}
    sources[PureWindowsPath("shop/deep/er.py")] = "from recsys.policies import Policy\n"
    assert layer_problems(sources) == ["shop/deep/er.py imports recsys.policies.Policy"]


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("linear/deep/er.py", "import numpy\nfrom recsys.policies import Policy"),
        ("linear/deep/er.py", "from ..memory import RidgeMemory\nfrom ...shop import Shop"),
        ("neural/memory.py", "def f():\n    from recsys.neural import growing"),
        ("lab/bands.py", "from recsys import checks\nfrom recsys.checks import finite"),
        ("cost/tally.py", "from ..neural import FORMS\nfrom recsys.lab import band"),
        ("offpolicy/log.py", "from recsys.policies import Policy"),
        ("linear/linucb.py", "def f(memory):\n    return memory._age, memory.__dict__"),
    ],
)
def test_what_runs_one_way_is_let_through(file: str, code: str):
    sources = modules()
    sources[Path(file)] = f"{sources.get(Path(file), '')}\n{code}\n"
    assert layer_problems(sources) == []


def rooms() -> list[str]:
    return sorted(path.parent.name for path in ROOT.glob("recsys/*/__init__.py"))


def test_who_imports_a_light_room_waits_for_nothing_heavy():
    light = ["checks", "archive", "shop", "policies", "linear", "lab", "offpolicy"]
    light = [name for name in light if name in {"checks", "archive", *rooms()}]
    code = "import importlib, sys\n"
    code += f"for name in {[*light, 'pages']}:\n"
    code += "    importlib.import_module(f'recsys.{name}')\n"
    code += f"    print(name, sorted({HEAVY} & set(sys.modules)))\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.splitlines() == [f"{name} []" for name in [*light, "pages"]]


def test_a_face_names_what_it_imports_in_order_and_nothing_private():
    for room in rooms():
        source = (ROOT / "recsys" / room / "__init__.py").read_text("utf-8")
        names = [name.rsplit(".", 1)[1] for name in imported(source, f"recsys.{room}")]
        assert sorted(names) == sorted(face(source)), room
        assert not any(map(private, names)), room


def test_the_map_of_the_package_names_every_file_of_every_room():
    source = (ROOT / "recsys" / "__init__.py").read_text("utf-8")
    assert list(imported(source, "recsys")) == []
    named = re.findall(r"^``([a-z_.]+)`` ", ast.get_docstring(ast.parse(source)), re.M)
    files = [".".join(path.with_suffix("").parts) for path in modules() if path.stem != "__init__"]
    assert sorted(named) == sorted(files)


def test_a_wheel_holds_every_room():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found = find_packages(str(ROOT), **settings["tool"]["setuptools"]["packages"]["find"])
    folders = {path.parent.relative_to(ROOT) for path in ROOT.glob("recsys/**/*.py")}
    assert sorted(found) == sorted(".".join(folder.parts) for folder in folders)
    assert {f"recsys.{room}" for room in rooms()} < set(found)

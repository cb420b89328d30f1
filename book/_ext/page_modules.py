"""Tell which modules of `recsys` a page's code depends on, from the sources alone.

A room's face imports everything in the room, so a name is followed through the face to the module
that defines it, and from there through that module's own imports.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = "recsys"


class Package:
    """The sources of the package at one moment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.parsed = cache(self._parsed)

    def file(self, module: str) -> Path | None:
        """Return the file of a module by its dotted name, or None if there is no such module."""
        base = self.root.joinpath(*module.split("."))
        candidates = (base / "__init__.py", base.with_suffix(".py"))
        return next((path for path in candidates if path.is_file()), None)

    def _parsed(self, module: str) -> ast.Module:
        file = self.file(module)
        assert file is not None
        return ast.parse(file.read_text("utf-8"))

    def is_face(self, module: str) -> bool:
        """Tell whether the module only names what others define."""
        file = self.file(module)
        return file is not None and file.name == "__init__.py"

    def named(self, tree: ast.AST, within: str = "") -> Iterator[tuple[str, str | None]]:
        """Yield every module of the package that the code imports, with the name taken from it."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] == PACKAGE:
                        yield alias.name, None
            elif isinstance(node, ast.ImportFrom):
                above = (
                    within.split(".")[: len(within.split(".")) - node.level] if node.level else []
                )
                module = ".".join([*above, *([node.module] if node.module else [])])
                if module.split(".")[0] == PACKAGE:
                    for alias in node.names:
                        yield module, alias.name

    def defining(self, module: str, name: str | None) -> set[str]:
        """Return the modules that define a name taken from a module, or all that a face names."""
        if name is not None and self.file(f"{module}.{name}"):
            return {f"{module}.{name}"}
        if not self.is_face(module):
            return {module}
        known = list(self.named(self.parsed(module), f"{module}.__init__"))
        chosen = [(m, n) for m, n in known if name in (None, "*", n)]
        return {module}.union(*(self.defining(m, n) for m, n in chosen if m != module))

    def used_by(self, sources: Iterable[str]) -> set[str]:
        """Return every module that the code needs, directly or through other modules."""
        waiting = [pair for source in sources for pair in self.named(ast.parse(source))]
        found: set[str] = set()
        while waiting:
            for module in self.defining(*waiting.pop()):
                if module not in found and self.file(module) is not None:
                    found.add(module)
                    if not self.is_face(module):
                        waiting += self.named(self.parsed(module), module)
        return found

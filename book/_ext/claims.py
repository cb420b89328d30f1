"""The claims of a page: the statements in its cells tagged ``claim`` that assert something.

A claim is named by its page and by its own text, so the same name means the same claim.
"""

import ast
from collections import Counter

from nbformat import NotebookNode

TAG = "claim"


def asserts(statement: ast.stmt) -> bool:
    """Tell whether something is asserted anywhere in the statement."""
    return any(isinstance(node, ast.Assert) for node in ast.walk(statement))


def is_claim(cell: NotebookNode) -> bool:
    """Tell whether the cell holds claims."""
    return cell.cell_type == "code" and TAG in cell.metadata.get("tags", [])


def claims(notebook: NotebookNode) -> list[str]:
    """Return the name of every claim of a page, in order; equal texts are numbered."""
    texts = [
        ast.unparse(statement)
        for cell in notebook.cells
        if is_claim(cell)
        for statement in ast.parse(cell.source).body
        if asserts(statement)
    ]
    seen, names = Counter(), []
    for text in texts:
        seen[text] += 1
        names.append(text if seen[text] == 1 else f"{text}  # {seen[text]}")
    return names

"""A book of tiny pages, built by the real configuration and extensions in a folder of its own.

It has all that numbering, folding and execution must cope with: pages whose order is not that of
their names, results, figures, tables, equations and exercises on each, lettered appendices, a
folded proof, glued numbers, and pages that use different modules of `recsys`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = (".github/book.png", "_config.yml", "requirements.txt", "pyproject.toml")
FILES += ("tests/book/nbval_glue.py",)  # beside nbval, for the second run

TOC = """\
format: jb-book
root: book/index
parts:
  - caption: Chapters
    numbered: true
    chapters:
      - file: book/01-first/index
        sections:
          - file: book/01-first/zebra
          - file: book/01-first/ant
      - file: book/02-second/index
        sections:
          - file: book/02-second/only
  - caption: Appendices
    numbered: true
    style: alphaupper
    chapters:
      - file: book/appendices/a-algebra
      - file: book/appendices/c-verification
  - caption: Reference
    chapters:
      - file: book/appendices/notation
      - file: book/bibliography
"""

FRONT = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
myst:
  html_meta:
    description: A page of the small book.
---

"""

REFERENCES = """\
@book{key2007, title = {A Book}, author = {Writer, Anna}, year = {2007}, publisher = {House}}
"""


def page(name: str, module: str, title: str, more: str = "") -> str:
    """Return a page with one of each numbered thing, that imports a module of recsys."""
    return f"""{FRONT}# {title}

```{{opening}}
What does the page {name} ask?

A number, {name}.
```

```{{code-cell}} ipython3
:tags: [hide-input]

import matplotlib.pyplot as plt

import recsys.{module}
from recsys.pages import glue_numbers, use_book_style

use_book_style()
```

(sec-{name})=
## A section of {name}

See {{cite:t}}`key2007`, {{numref}}`fig-{name}`, {{numref}}`tab-{name}`, {{eq}}`eq-{name}`,
{{prf:ref}}`thm-{name}` and {{glue:text}}`{name}-number:.1f`.

```{{code-cell}} ipython3
---
mystnb:
  figure:
    name: fig-{name}
    caption: A rise.
  image:
    alt: A line that rises.
---
fig, ax = plt.subplots()
ax.plot([0, 1])
plt.show()
```

```{{code-cell}} ipython3
:tags: [remove-cell, nbval-ignore-output]
glue_numbers({name}_number=2.0)
```

```{{code-cell}} ipython3
---
tags: [claim, hide-input]
---
assert 1 < 2
```

```{{prf:theorem}} Of {name}
:label: thm-{name}
It holds that

$$
1 < 2.
$$ (eq-{name})
```

```{{prf:proof}}
:class: dropdown

Count. The unfolded{name} word is in a folded proof.
```

```{{list-table}} A table
:header-rows: 1
:name: tab-{name}

* - a
  - b
* - 1
  - 2
```

{more}

## Exercises

```{{exercise}} Warm up
:label: ex-{name}
Do it.
```

```{{solution-start}} ex-{name}
:class: dropdown
```

```{{code-cell}} ipython3
1 + 1
```

```{{solution-end}}
```
"""


def index(title: str) -> str:
    """Return the opening of a chapter."""
    return f"""---
myst:
  html_meta:
    description: A chapter of the small book.
---

# {title}

What does the chapter ask?

```{{chapter-map}}
```

After this chapter you can count.
"""


ACROSS = (
    "On other pages: {numref}`fig-ant`, {eq}`eq-zebra`, {prf:ref}`thm-only`, {ref}`ex-ant`, "
    "{ref}`sec-zebra`, {numref}`tab-algebra`, {prf:ref}`thm-algebra`, {eq}`eq-algebra` and "
    "{doc}`../01-first/ant`."
)

# A table that a cell returns, in the place of one that stands in the text.
LIST_TABLE = """\
```{list-table} A table
:header-rows: 1
:name: tab-ant

* - a
  - b
* - 1
  - 2
```
"""
CELL_TABLE = """\
```{code-cell} ipython3
---
mystnb:
  figure:
    name: tab-ant
    caption: A table of {glue:text}`ant-number:.0f` columns.
---
from recsys.lab import Estimate
from recsys.pages import table

table(["policy", "lead"], [["LinUCB", Estimate(-2.0, -3.0, -1.0, 20)], ["none", 10]])
```
"""

PAGES = {
    "index": FRONT + "# The small book\n\nBegin with [chapter 1](01-first/index).\n",
    "01-first/index": index("The First Chapter"),
    "01-first/zebra": page("zebra", "shop.world", "The Zebra"),
    "01-first/ant": page("ant", "shop.records", "The Ant").replace(LIST_TABLE, CELL_TABLE),
    "02-second/index": index("The Second Chapter"),
    "02-second/only": page("only", "shop.records", "The Only Page", ACROSS),
    "appendices/a-algebra": page("algebra", "checks", "Linear Algebra").replace(
        "```{opening}\nWhat does the page algebra ask?\n\nA number, algebra.\n```\n", ""
    ),
    "appendices/c-verification": FRONT + "# Verification\n\nThis is checked.\n",
    "appendices/notation": FRONT + "# Notation\n\n$x$ is a number.\n",
    "bibliography": FRONT + "# Bibliography\n\n```{bibliography}\n```\n",
}


def write_book(folder: Path) -> Path:
    """Write the small book, with copies of the real configuration, extensions and package."""
    for name in ("book/_ext", "book/_static", ".ci", "recsys"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "_toc.yml").write_text(TOC, "utf-8")
    (folder / "book" / "references.bib").write_text(REFERENCES, "utf-8")
    for name, text in PAGES.items():
        path = folder / "book" / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the folder of the small book, with its own copy of the package."""
    surroundings = os.environ | {
        "PYTHONPATH": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        **environment,
    }
    return subprocess.run(
        command, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=600
    )


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the small book as `.ci/build` builds the real one; nothing is printed as PDF."""
    return run(folder, "jupyter-book", "build", ".", "-W", "-n", "--keep-going", CHROMIUM="none")


if __name__ == "__main__":
    print(write_book(Path(sys.argv[1])))

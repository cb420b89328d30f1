"""What a page's kernel gets from the machine: nothing that could change what the page shows.

A kernel would inherit the user's own settings: another checkout's `recsys` on PYTHONPATH, start-up
files, the IPython profile, figure settings, a kernel of the same name in the home folder, an
optimised Python, which skips assertions. The build and the second run both take this instead.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

ROOT = Path(__file__).resolve().parents[2]  # this checkout
PACKAGE = "recsys"
HARMLESS = {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
DROPPED = ("PYTHON", "IPYTHON", "MPL", "MATPLOTLIB", "RECSYS")
# Names every file from which a kernel has imported the package.
ASK = f"""\
__import__("sys").stdout.write("\\n".join(sorted(
    str(path)
    for name, module in __import__("sys").modules.items()
    if name.split(".")[0] == "{PACKAGE}"
    for path in [module.__file__ or "no file", *getattr(module, "__path__", [])]
)))"""


def surroundings(build: Path, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a kernel.

    Parameters
    ----------
    build
        The folder of the build, which keeps the caches of IPython and matplotlib.
    inherited
        The environment of the process that starts the kernel.
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if name in HARMLESS or not name.startswith(DROPPED)
    }
    return kept | {
        "PYTHONPATH": str(ROOT),  # before whatever else is installed: this checkout's package
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",  # no output depends on it
        "IPYTHONDIR": str(build / ".ipython"),
        "MPLCONFIGDIR": str(build / ".matplotlib"),
    }


class OwnKernel(AsyncKernelManager):
    """Starts the Python that runs the build, whatever kernels are installed by its name.

    What passes between both is encrypted: a kernel warns of anything else.
    """

    def __init__(self, **settings: object) -> None:
        super().__init__(**({"transport_encryption": "auto"} | settings))

    @property
    def kernel_spec(self) -> KernelSpec:
        """Return how the kernel is started."""
        return KernelSpec(**get_kernel_dict())


def question() -> NotebookNode:
    """Return the cell that tells from which files a kernel has imported the package."""
    return new_code_cell(ASK)


def foreign(answer: NotebookNode, root: Path = ROOT) -> list[str]:
    """Return the files, in the answer to `question`, that are not of this checkout's package."""
    said = "".join(output.get("text", "") for output in answer.outputs)
    home = root.resolve() / PACKAGE
    return [line for line in said.splitlines() if not Path(line).resolve().is_relative_to(home)]


def use_own_package() -> None:
    """Let this process, too, import the package from this checkout.

    Raises
    ------
    ExtensionError
        If it has been imported from elsewhere already.
    """
    if str(ROOT) not in sys.path[:1]:
        sys.path.insert(0, str(ROOT))
    known = sys.modules.get(PACKAGE)
    if known is not None and (known.__file__ is None or ROOT not in Path(known.__file__).parents):
        raise ExtensionError(
            f"{PACKAGE} was imported from {known.__file__}; expected {ROOT / PACKAGE}, "
            "of the same checkout as the pages"
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register as the first of the book's extensions; others import the package."""
    use_own_package()
    return {"parallel_read_safe": True, "parallel_write_safe": True}

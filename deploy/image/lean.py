"""Removes what an image does not need at run time. `lean.py` cleans the Python that runs it; `lean.py FOLDER` a virtual
environment.

From a Python it removes pip and the packages that build packages, with the wheels of pip that `ensurepip` holds. From an
environment it removes tests, sources of compiled modules and type stubs, and compiles the rest, because nothing can be
compiled later on a read-only root file system.
"""

from __future__ import annotations

import compileall
import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

BUILDERS = ("pip", "setuptools", "pkg_resources", "wheel", "_distutils_hack", "ensurepip")
SOURCES = {".c", ".cpp", ".h", ".hpp", ".pxd", ".pxi", ".pyi", ".pyx", ".a"}


def clean_python() -> None:
    """Removes pip and its kind from the Python that runs this script."""
    for name in BUILDERS:
        found = importlib.util.find_spec(name)
        for place in (found.submodule_search_locations or []) if found is not None else []:
            shutil.rmtree(place)
            for described in Path(place).parent.glob(f"{name}-*.dist-info"):
                shutil.rmtree(described)
    for script in Path(sysconfig.get_path("scripts")).glob("pip*"):
        script.unlink()


def clean_environment(folder: Path) -> None:
    """Removes from a virtual environment what no program imports."""
    for tests in [path for path in folder.rglob("tests") if path.is_dir()]:
        shutil.rmtree(tests, ignore_errors=True)  # a folder `tests` within another one is gone already
    for path in folder.rglob("*"):
        if path.suffix in SOURCES:
            path.unlink()
    (packages,) = folder.glob("lib/python3*/site-packages")
    compileall.compile_dir(packages, quiet=1, workers=0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        clean_environment(Path(sys.argv[1]))
    else:
        clean_python()

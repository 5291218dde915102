"""The layout of the code: one place for each thing, and a README that names every file. Import contracts hold the rest."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = ("agents", "netcenter", "schemas", "sinks", "streams")
#: Folders whose README names every file and folder in them.
NAMED = (
    "netcenter",
    "netcenter/commands",
    "netcenter/files",
    "netcenter/replay",
    "netcenter/runtime",
    "netcenter/tools",
)


def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module, by its full name."""
    found = {}
    for room in CODE:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text())
    return found


@pytest.mark.parametrize("folder", NAMED)
def test_a_readme_names_every_file_of_its_folder(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text()
    names = [p.name for p in (ROOT / folder).iterdir() if p.suffix == ".py" and p.name != "__init__.py"]
    names += [f"[{p.name}/]" for p in (ROOT / folder).iterdir() if (p / "__init__.py").exists()]
    assert [name for name in sorted(names) if name not in text] == []


def test_the_path_of_the_default_policy_stands_in_one_place() -> None:
    folders = [ROOT / folder for folder in (*CODE, "bench", "tests")]
    files = {path for folder in folders for path in folder.rglob("*.py")} - {Path(__file__)}
    found = [path.relative_to(ROOT).as_posix() for path in files if "default.toml" in path.read_text()]
    assert found == ["netcenter/policies/__init__.py"]


def test_exit_codes_are_named_and_their_numbers_stand_in_one_place() -> None:
    found = []
    for name, tree in modules().items():
        for node in ast.walk(tree):
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id="exit_code")], value=ast.Constant(value=int()))
                    | ast.keyword(arg="exit_code", value=ast.Constant(value=int()))
                    | ast.Call(func=ast.Attribute(attr="exit" | "_exit"), args=[ast.Constant(value=int())])
                ):
                    found.append(f"{name}:{getattr(node, 'lineno', '')}")
    assert found == []

"""One place for each thing: the path of the default policy, and the exit codes."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = ("agents", "netcenter", "schemas", "sinks", "streams")


def modules() -> dict[str, ast.Module]:
    """The syntax tree of every module, by its full name."""
    found = {}
    for room in CODE:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = ast.parse(path.read_text())
    return found


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

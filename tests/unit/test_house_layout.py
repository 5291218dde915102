"""Rules for the layout of the code: short functions, names that mean one thing, and READMEs that name every file."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.unit.test_house import CODE, ROOT, modules, project_files

LONGEST = 50
"""Lines of a function, from `def` to its last line."""
MOST_BRANCHES = 20
"""Cyclomatic complexity of a function, as `complexity` counts it."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
_BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
_REASON = re.compile(r"^\s*# (?:long|branches): \S.{9,}")

#: Modules that may share their name: the parts of each decider, of each receiver, of each package, and of each layer.
SHARED_MODULES = {
    "__init__",
    "__main__",
    "decider",
    "state",
    "evolve",
    "forms",
    "port",
    "settings",
    "sink",
    "receiver",
    "errors",
}


# --- functions --------------------------------------------------------------------------------------------------------


def complexity(function: Function) -> int:
    """1, and 1 for each if, elif, conditional expression, loop, except, case, and each further operand of and, or."""
    found = 1
    for node in ast.walk(function):
        if isinstance(node, _BRANCHES):
            found += 1
        elif isinstance(node, ast.BoolOp):
            found += len(node.values) - 1
    return found


def too_large(name: str, text: str) -> Iterator[str]:
    """`path:function: figures` of each large function that has no `# long:` or `# branches:` comment above it."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, Function):
            continue
        length, branches = (node.end_lineno or node.lineno) - node.lineno + 1, complexity(node)
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        explained = first > 1 and _REASON.match(lines[first - 2])
        if (length > LONGEST or branches > MOST_BRANCHES) and not explained:
            yield f"{name}:{node.name}: {length} lines, complexity {branches}"


def test_a_long_or_much_branching_function_has_its_reason_in_a_comment_above_it() -> None:
    """A comment `# long: why` or `# branches: why`, in the line above the function and its decorators."""
    found = [
        line
        for room in (*CODE, "bench")
        for path in sorted((ROOT / room).rglob("*.py"))
        for line in too_large(path.relative_to(ROOT).as_posix(), path.read_text())
    ]
    assert found == []


@pytest.mark.parametrize(
    ("body", "figures"),
    [
        ("    a = 1\n" * 50, "51 lines, complexity 1"),
        ("    return " + " or ".join("abcdefghijklmnopqrstu") + "\n", "2 lines, complexity 21"),
        ("    if a:\n        pass\n" * 20, "41 lines, complexity 21"),
    ],
)
def test_the_search_for_large_functions_finds(body: str, figures: str) -> None:
    text = f"def large():\n{body}"
    assert list(too_large("a.py", text)) == [f"a.py:large: {figures}"]
    assert list(too_large("a.py", f"# long: the steps follow one order\n{text}")) == []
    assert list(too_large("a.py", f"# long:\n{text}")) != []


# --- names ------------------------------------------------------------------------------------------------------------


def shared(places: dict[str, list[str]]) -> dict[str, list[str]]:
    """The names that stand in two places or more."""
    return {name: sorted(found) for name, found in sorted(places.items()) if len(found) > 1}


def test_a_class_name_stands_for_one_thing() -> None:
    """In all rooms together; a private class, with its leading underscore, is known in its own module only."""
    places: dict[str, list[str]] = defaultdict(list)
    for name, tree in modules(*CODE):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(f"{name}:{node.lineno}")
    assert shared(places) == {}


def test_a_module_name_stands_for_one_thing() -> None:
    """But for SHARED_MODULES; a file of netcenter/commands is named as its command."""
    places: dict[str, list[str]] = defaultdict(list)
    for room in CODE:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if path.stem not in SHARED_MODULES and not name.startswith("netcenter/commands/"):
                places[path.stem].append(name)
    assert shared(places) == {}


# --- READMEs ----------------------------------------------------------------------------------------------------------

#: Folders of what a tool writes or keeps, named as a whole where they stand: avsc/, fixtures/, migrations/.
WHOLE = {"schemas/avsc", "schemas/fixtures", "sinks/postgres/migrations"}
_UNNAMED = {"README.md", "__init__.py"}


def folders() -> dict[Path, set[str]]:
    """The files and folders in each folder of the code, the tests and the docs, but what stands in a folder of WHOLE."""
    found: dict[Path, set[str]] = defaultdict(set)
    for name in project_files():
        path = Path(name)
        if path.parts[0] not in (*CODE, "tests", "bench", "docs"):
            continue
        for inner, outer in zip([path, *path.parents], path.parents, strict=False):
            if outer == Path() or any(outer.is_relative_to(whole) for whole in WHOLE):
                continue
            found[outer].add(inner.name)
    return found


def unnamed(readme: str, files: set[str]) -> list[str]:
    """The files and folders that a README does not name, by their name or by a pattern such as `*.npz`."""
    words = set(re.findall(r"[\w./*-]+", readme))
    named = {part for word in words for part in (word, word.rstrip("/."), word.rpartition("/")[2])}
    patterns = [word for word in named if word.startswith("*.")]
    return sorted(
        file
        for file in files - _UNNAMED
        if file not in named and not any(fnmatch(file, pattern) for pattern in patterns)
    )


def test_the_readme_of_a_folder_names_every_file_in_it() -> None:
    """A folder of its own needs no README where the one above names its files."""
    found: dict[str, list[str]] = {}
    for folder, files in folders().items():
        above = [place / "README.md" for place in (folder, folder.parent) if (ROOT / place / "README.md").is_file()]
        text = (ROOT / above[0]).read_text() if above else ""
        if missing := unnamed(text, files):
            found[folder.as_posix()] = missing
    assert found == {}


def test_the_readme_of_a_folder_names_no_file_that_is_not_there() -> None:
    listed = [
        (place.parent, name)
        for place in (ROOT / folder / "README.md" for folder in folders())
        if place.is_file()
        for name in re.findall(r"^- `([\w./-]+\.py)`", place.read_text(), re.MULTILINE)
    ]
    assert len(listed) > 300
    assert [f"{folder.relative_to(ROOT)}: {name}" for folder, name in listed if not (folder / name).is_file()] == []


def test_a_file_that_a_readme_does_not_name_is_found() -> None:
    assert unnamed("- `a.py`: one. `b/`, `*.npz`.", {"a.py", "b", "c.py", "1.npz", "README.md"}) == ["c.py"]

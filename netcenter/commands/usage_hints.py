"""What a command says to whoever has mistyped it: the nearest option or command, and an example of the right form."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

import typer

#: Words that name a file, as an option of other programs does.
_FILE_WORDS = frozenset(("file", "files", "filename", "in", "input", "path"))
_EXAMPLE = "Example:"
_FEW = 20
UsageFault: Any = typer.BadParameter.__base__
"""The class of all errors of arguments and options, which Typer does not name itself."""


def explain(error: Any, command: Any) -> None:
    """Adds the way out to an error of a command's arguments: what was meant, and an example."""
    wrong = getattr(error, "option_name", None)
    parts = [error.message]
    if wrong is not None and hasattr(error, "possibilities"):
        error.possibilities = None
        parts.append(_of_option(command, wrong))
    elif "unexpected extra argument" in error.message and (option := _option_of_file(command)) is not None:
        parts.append(f"A file is named by {option} FILE")
    example = (command.help or "").partition(_EXAMPLE)[2]
    parts.append(f"{_EXAMPLE} {' '.join(example.split())}" if example else "")
    ended = [part if part.endswith((".", "?")) else f"{part}." for part in parts[:-1] if part]
    error.message = " ".join((*ended, parts[-1])).strip()


def of_group(group: Any, word: str) -> str:
    """What whoever gives a group this word has meant, in a sentence."""
    names = list(group.commands)
    bare = word.lstrip("-")
    if near := get_close_matches(bare, names, 3):
        return f"Did you mean {_or(near)}?"
    if bare in ("help", "version"):
        return f"Did you mean --{bare}?"
    if "/" in word or PurePath(word).suffix:
        return f"A file is played by `netcenter demo --input {word}`, and labelled by `netcenter classify {word}`"
    return f"The commands are {', '.join(names)}" if len(names) <= _FEW else "`netcenter --help` lists the commands"


def _of_option(command: Any, wrong: str) -> str:
    """What is meant by an option that a command does not have."""
    known = [name for param in command.params if param.param_type_name == "option" for name in param.opts]
    bare = wrong.lstrip("-")
    if bare in ("debug", "version"):
        return f"--{bare} stands before the command: netcenter --{bare}"
    if bare in _FILE_WORDS:
        option = _option_of_file(command)
        if option is not None:
            return f"A file is named by {option} FILE"
        if any(param.param_type_name == "argument" and param.name in _FILE_WORDS for param in command.params):
            return "The file is named without an option"
    if near := get_close_matches(bare, vars(command).get("commands", ()), 3):
        return f"Did you mean the command {_or(near)}?"
    near = get_close_matches(f"--{bare}", known, 3)
    return f"Did you mean {_or(near)}?" if near else ""


def _option_of_file(command: Any) -> str | None:
    """The option that names the file that a command reads; None where an argument does, or nothing."""
    found = (param for param in command.params if param.param_type_name == "option" and param.name in _FILE_WORDS)
    return next((param.opts[0] for param in found), None)


def _or(words: Iterable[str]) -> str:
    return " or ".join(words)

"""Groups of commands: without a word after it, a group shows its help and exits with 0; the root imports a command when it
is used.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from netcenter.commands.command_list import COMMANDS, Listed
from netcenter.commands.usage_hints import UsageFault, explain, of_group
from netcenter.errors import PipeClosed, Unreachable
from streams.exit_codes import ExitCode


class CommandGroup(TyperGroup):
    """A group that takes a missing command for a request for help, which is no fault. Its help is plain text, in panels."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As its parent does; without words, it prints the help and exits with 0."""
        if not args and not ctx.resilient_parsing:
            print(ctx.get_help())
            ctx.exit(ExitCode.DONE)
        try:
            return super().parse_args(ctx, args)
        except UsageFault as error:
            explain(error, self)
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the first word names. Raises an error that says which is meant."""
        try:
            return self._click_resolve_command(ctx, args)
        except UsageFault as error:
            error.message = f"{error.message} {of_group(self, args[0])}"
            raise

    def get_params(self, ctx: Any) -> list[Any]:
        """The options. A flag that is not given is False, because to understand None Typer imports pydantic."""
        found: list[Any] = super().get_params(ctx)
        for option in found:
            if option.type_descriptor.annotation is bool and option.default is None:
                option.default = False
        return found

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a line for each command, under the heading of its panel."""
        found: list[tuple[str, Any]] = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        widest = max(len(name) for name, _ in found)
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in found:
            first = (command.short_help or command.help or "").partition("\n\n")[0].replace("\n", " ")
            panels.setdefault(command.rich_help_panel or "Commands", []).append((name.ljust(widest), first))
        _write(formatter, panels)


def _write(formatter: Any, panels: Mapping[str, list[tuple[str, str]]]) -> None:
    for heading, rows in panels.items():
        with formatter.section(heading):
            formatter.write_dl(rows)


def _format_options(command: Any, ctx: Any, formatter: Any) -> None:
    """Writes the arguments and options of a command, under the headings of their panels."""
    panels: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
    for param in command.get_params(ctx):
        row = param.get_help_record(ctx)
        if row is not None:
            kind = "Arguments" if param.param_type_name == "argument" else "Options"
            panels.setdefault(getattr(param, "rich_help_panel", None) or kind, []).append(row)
    _write(formatter, {heading: rows for heading, rows in panels.items() if rows})


class RootGroup(CommandGroup):
    """The group of all commands of `COMMANDS`. To list them, in the help or for a shell's completion, it imports none."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands: Any = _Commands()
        self._listing = False

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of this name; None where there is none."""
        return _LINES.get(cmd_name) if self._listing else self.commands.get(cmd_name)

    def make_context(self, *given: Any, **extra: Any) -> Any:
        """As its parent does. Raises PipeClosed."""
        with _pipe_watched():
            return super().make_context(*given, **extra)

    def invoke(self, ctx: Any) -> Any:
        """As its parent does. Raises PipeClosed."""
        with _pipe_watched():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands, in the order of the help."""
        return list(_LINES)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints the help."""
        with self._listed():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The words that may stand next."""
        with self._listed():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _listed(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False


@contextmanager
def _pipe_watched() -> Iterator[None]:
    """Within it, a broken pipe is PipeClosed where it is that of the standard output; Typer takes any for it."""
    try:
        yield
    except BrokenPipeError:
        if not is_closed(sys.stdout):
            raise Unreachable(
                "a server closed its connection in the middle of the command: see `netcenter doctor`"
            ) from None
        raise PipeClosed from None


def is_closed(stream: Any) -> bool:
    """Whether a stream is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(stream.fileno(), select.POLLERR)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _line(listed: Listed) -> TyperCommand:
    return TyperCommand(
        name=listed.name, short_help=listed.short_help, help=listed.short_help, rich_help_panel=listed.panel
    )


_LINES = {listed.name: _line(listed) for listed in COMMANDS}
"""By name: what the help says of a command."""
_MODULES = {listed.name: listed.module for listed in COMMANDS}


class _Commands(Mapping[str, Any]):
    """By name: each command. It is imported when it is asked for."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._found:
            part = typer.Typer(add_completion=False)
            part.callback()(_nothing)  # with it, Typer makes a group of a single command too
            import_module(_MODULES[name]).register(part)
            self._found[name] = _prepared(vars(get_command(part))["commands"][name])
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


def _nothing() -> None:
    """The callback of a group that does nothing before its commands."""


def _prepared(command: Any) -> Any:
    """The command, with a plain help. Each leaf calls the root context's `obj` before it runs: not for its help, and not for
    words that are wrong.
    """
    command.rich_markup_mode = None
    if isinstance(command, TyperGroup):
        for one in command.commands.values():
            _prepared(one)
        return command
    run, parse = command.invoke, command.parse_args

    def invoke(ctx: Any) -> Any:
        ctx.find_root().obj()
        return run(ctx)

    def parse_args(ctx: Any, args: list[str]) -> Any:
        try:
            return parse(ctx, args)
        except UsageFault as error:
            explain(error, command)
            raise

    command.invoke, command.parse_args = invoke, parse_args
    command.format_options = partial(_format_options, command)
    return command

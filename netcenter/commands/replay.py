"""replay."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from netcenter.commands.file_options import given_options, reads_labelled_files
from netcenter.commands.options import duration, moment, text_of
from netcenter.commands.progress_bar import bar
from netcenter.errors import UsageError
from netcenter.files.line import Line, PolicyText
from netcenter.files.options import FileOptions
from netcenter.ingest.schedule import TICK
from netcenter.policies import DEFAULT_POLICY
from schemas.records import Mention
from schemas.times import rfc3339

if TYPE_CHECKING:
    from netcenter.files.file_inputs import FileInputs
    from netcenter.replay.find_stretch import Range
    from netcenter.replay.output import TriedPolicy
    from netcenter.settings import Settings

_TOPICS = ("mentions", "classified")
#: ms of event time between two Ticks where operators are simulated: they keep their time to the second.
_EXACT = 1_000


_Offsets = Annotated[
    list[str] | None,
    typer.Option(metavar="P:FIRST-LAST", help="Of the log: offsets of a partition of mentions, as surges name them."),
]
_Policy = Annotated[
    Path | None,
    typer.Option(
        help="By default the bundled one, or the log's own. Over the log it holds throughout, over files until a policy "
        "line of theirs."
    ),
]
_Against = Annotated[
    Path | None, typer.Option(help="A second policy, which holds throughout: both are run, and compared.")
]
_Operators = Annotated[
    Path | None, typer.Option(help="Of files: a TOML file of simulated operators, who do what people did in the files.")
]
_OperatorsAgainst = Annotated[
    Path | None, typer.Option(help="Other simulated operators: both teams are run, and compared.")
]


@reads_labelled_files
def replay(
    reading: FileOptions,
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="In forms of docs/files.md, merged by time; - reads stdin."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for cases, assignments, surges, alerts (.jsonl) and summary.json.")
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(metavar="TOPIC", help="The log in place of files: mentions, or classified with its labels."),
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Of the log, by event time: RFC 3339.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Of the log, by event time.")] = None,
    offsets: _Offsets = None,
    policy: _Policy = None,
    against: _Against = None,
    operators: _Operators = None,
    operators_against: _OperatorsAgainst = None,
    run_on: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long time runs on after a file's last record: 6h.")
    ] = None,
) -> None:
    """Run the same decisions over the past, without Kafka: what would have happened under one policy or another?

    With simulated operators it answers what another team would have done: docs/simulation.md.

    Example: netcenter replay story.jsonl --policy now.toml --against next.toml --out compared
    """
    from netcenter.files.file_inputs import FileInputs, say
    from netcenter.settings import load

    settings = load()
    if out is None:
        raise UsageError("--out: name the folder for what would have happened, such as --out told")
    of_files = dict.fromkeys(given_options(reading), True)
    teams = {"--operators": operators, "--operators-against": operators_against}
    of_log = {"--since": since, "--until": until, "--offsets": offsets}
    _one_source(bool(files), log, {**of_files, "--run-on": run_on, **teams}, of_log)
    if log is not None:
        wanted = _range(log, moment(since, "--since"), moment(until, "--until"), offsets)
        _replay_log(settings, wanted, out, policy, against)
        return
    tried = _with_teams(_tried(policy or DEFAULT_POLICY, against), operators, operators_against)
    tried[0] = tried[0]._replace(in_force=[1] * settings.partitions)
    with FileInputs(files or (), reading) as inputs:
        _replay_files(settings, inputs, duration(run_on or "6h", "--run-on"), out, tried)
        say(inputs.counts.in_words())
        inputs.check()


def _replay_files(settings: Settings, inputs: FileInputs, run_on: int, out: Path, tried: list[TriedPolicy]) -> None:
    """Replay the lines of files, merged by time; run_on: ms for which time goes on after the last line."""
    from netcenter.files.file_inputs import say
    from netcenter.files.file_progress import FileProgress
    from netcenter.files.sorted_lines import SortedLines
    from netcenter.replay import play_lines
    from netcenter.replay.output import Runs, TriedPolicy
    from netcenter.replay.team_lines import left_to_team
    from streams.gc_tuning import rarely_collected

    teams = [one.team for one in tried if one.team is not None]
    with SortedLines(lambda: inputs.size) as lines, FileProgress(say) as progress:
        texts: list[str] = []
        for reading in inputs.readings:
            progress.stage(f"reading {reading.path}")
            read = progress.over(inputs.lines(reading), attrgetter("at"))
            lines.add(left_to_team(_noting_policies(read, texts), teams))
        if lines.holds(Mention):
            _check_models([*tried, *(TriedPolicy("of a policy line", {1: text}) for text in texts)])
        interval = _EXACT if teams else TICK
        with Runs(out, tried, settings.partitions) as runs:
            progress.stage("deciding", len(lines))
            with rarely_collected():
                played = progress.over(lines, attrgetter("at"))
                play_lines(runs.replays, played, interval=interval, run_on=run_on, people=runs.people)
            runs.finish({"files": inputs.counts.told()})


def _noting_policies(lines: Iterator[Line], texts: list[str]) -> Iterator[Line]:
    """The lines; the texts of the policies among them are added to the list."""
    for line in lines:
        if isinstance(line.record, PolicyText):
            texts.append(line.record.text)
        yield line


def _replay_log(settings: Settings, wanted: Range, out: Path, policy: Path | None, against: Path | None) -> None:
    from netcenter.replay.find_stretch import find
    from netcenter.replay.output import Runs, TriedPolicy
    from netcenter.replay.stretch import play_stretch
    from netcenter.runtime.endpoints import kafka_of
    from streams.gc_tuning import rarely_collected

    given = [_tried(policy, None)] if policy is not None else []
    second = [_tried(against, None)] if against is not None else []
    stretch = find(settings, kafka_of(settings), wanted)
    own = [] if policy is not None else [[TriedPolicy("log", stretch.policies, stretch.in_force)]]
    tried = _named([one for part in (*given, *own, *second) for one in part])
    if stretch.topic == _TOPICS[0]:
        _check_models(tried)
    err = Console(stderr=True)
    if stretch.topic != wanted.topic:
        err.print(f"{wanted.topic} no longer goes back so far: {stretch.topic} is replayed")
    if not stretch.whole:
        err.print(f"note: {stretch.told()['begins_empty']}", soft_wrap=True)
    with Runs(out, tried, stretch.settings.partitions) as runs:
        with _progress(sum(end - start for start, end in stretch.spans.values())) as say, rarely_collected():
            play_stretch(runs.replays, stretch, say=say)
        runs.finish({"log": stretch.told()})


def _one_source(files: bool, log: str | None, of_files: Mapping[str, object], of_log: Mapping[str, object]) -> None:
    if files and log is not None:
        raise UsageError("replay: give files or --log, not both")
    if not files and log is None:
        raise UsageError("replay: give files, - for the standard input, or --log mentions")
    if log is not None and log not in _TOPICS:
        raise UsageError(f"--log: {log!r} cannot be replayed: use {' or '.join(_TOPICS)}")
    wrong = next((option for option, value in (of_log if files else of_files).items() if value), None)
    if wrong is not None:
        raise UsageError(
            f"{wrong} is of {'the log' if files else 'files'}: leave it out, or {'give --log' if files else 'name files'}"
        )


def _range(topic: str, since: int | None, until: int | None, offsets: list[str] | None) -> Range:
    from netcenter.replay.find_stretch import Range

    if offsets and (since is not None or until is not None):
        raise UsageError("--offsets: give offsets or times, not both")
    if since is not None and until is not None and until <= since:
        raise UsageError("--until: is not after --since")
    found = {}
    for text in offsets or ():
        match = re.fullmatch(r"(\d{1,4}):(\d{1,18})-(\d{1,18})", text)
        if match is None or int(match[2]) > int(match[3]):
            raise UsageError(f"--offsets: {text!r} is no range: write partition:first-last, 3:1200-5400")
        if int(match[1]) in found:
            raise UsageError(f"--offsets: partition {match[1]} is named twice")
        found[int(match[1])] = (int(match[2]), int(match[3]))
    return Range(topic, since, until, found)


def _tried(policy: Path, against: Path | None) -> list[TriedPolicy]:
    from agents.policy import PolicyError, parse
    from netcenter.replay.output import TriedPolicy

    found = []
    for path in filter(None, (policy, against)):
        text = text_of(path)
        try:
            parse(text, 1, name=str(path))
        except PolicyError as error:
            raise UsageError(str(error)) from None
        found.append(TriedPolicy(path.stem, {1: text}))
    return _named(found)


def _with_teams(tried: list[TriedPolicy], operators: Path | None, against: Path | None) -> list[TriedPolicy]:
    """The policies with their teams. With a second team, the first policy is run with both teams, unless a second policy
    is given: that one is then run with the second team.
    """
    from netcenter.simulation.team import TeamError, read_team

    if operators is None:
        if against is not None:
            raise UsageError("--operators-against: is compared with --operators: give both")
        return tried
    try:
        first = read_team(operators)
        second = first if against is None else read_team(against)
    except TeamError as error:
        raise UsageError(str(error)) from None
    if (first.signs_in, first.replies) != (second.signs_in, second.replies):
        raise UsageError(
            "--operators-against: only one of the two teams has shifts, or handling: what people did in the file would be "
            "left out for one team only"
        )
    if against is None:
        return [one._replace(team=first) for one in tried]
    both = tried if len(tried) == 2 else [tried[0]._replace(name=path.stem) for path in (operators, against)]
    return _named([both[0]._replace(team=first), both[1]._replace(team=second)])


def _named(tried: list[TriedPolicy]) -> list[TriedPolicy]:
    """Policies with the same name get different names here, because the names become folders."""
    if len(tried) == 2 and tried[0].name == tried[1].name:
        return [tried[0], tried[1]._replace(name=f"{tried[1].name}-against")]
    return tried


def _check_models(tried: list[TriedPolicy]) -> None:
    """Raises UsageError where this machine lacks a policy's classifier, which the posts need."""
    from netcenter.runtime.classifiers import lacks_model
    from streams.policies import fault, passed_over

    for one in tried:
        oldest = min(one.in_force or [1])
        held = (v for v in one.policies if v >= oldest and not passed_over(v, one.policies, lacks_model))
        missing = next(filter(None, (fault(version, one.policies, lacks_model) for version in held)), None)
        if missing is not None:
            raise UsageError(f"policy {one.name}: this machine lacks {missing}")


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal."""
    with bar(transient=True) as progress:
        task = progress.add_task("records", total=total)
        yield lambda played, time: progress.update(task, completed=played, description=rfc3339(time))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)

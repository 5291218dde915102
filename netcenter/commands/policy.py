"""`netcenter policy`: checks, explains, compares and applies the policy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec
import typer

from netcenter.commands.command_group import CommandGroup
from netcenter.commands.options import Json, text_of
from netcenter.commands.policy_files import parsed, to_apply, today
from netcenter.commands.policy_list import policies_json, policies_text
from netcenter.errors import CommandError, UsageError
from netcenter.policies import DEFAULT_POLICY
from schemas.records import Label, Mention

if TYPE_CHECKING:
    from agents.policy import Policy
    from agents.policy.parsing import Checked
    from netcenter.broker.policy_change import Applied

policy = typer.Typer(help="What the operator of Netcenter decides: one TOML file.", cls=CommandGroup)


_Force = Annotated[bool, typer.Option("--force", help="Also where its classifier is not on this machine.")]


_File = Annotated[Path, typer.Argument(help="A policy file.")]


def _warn(file: Path, found: Checked) -> None:
    for r in found.warnings:
        print(f"{file}:{r.line}: {r.field}: warning: {r.why}")


@policy.command("check")
def check_file(file: _File, as_json: Json = False) -> None:
    """Read a policy and say what is wrong in it, with line and field; warnings do not count as faults.

    Example: netcenter policy check my-policy.toml
    """
    from agents.policy import PolicyError
    from agents.policy.parsing import check
    from netcenter.broker.alert_log import RECEIVERS
    from netcenter.runtime.classifiers import lacks_model

    try:
        found = check(text_of(file), name=str(file), today=today(), receivers=RECEIVERS)
    except PolicyError as error:
        if as_json:
            print(json.dumps({"file": str(file), "good": False, "faults": _told(error.remarks)}))
        raise UsageError(str(error)) from None
    read, lacks = found.policy, lacks_model(found.policy)
    counts = {table: len(getattr(read, table)) for table in ("brands", "rules", "desks", "channels")}
    if as_json:
        told = {"file": str(file), "good": True, **counts, "lacks": lacks, "warnings": _told(found.warnings)}
        print(json.dumps(told))
        return
    _warn(file, found)
    print(f"{file}: good: {', '.join(f'{n} {table if n != 1 else table[:-1]}' for table, n in counts.items())}")
    if lacks:
        print(f"{file}: on this machine a classify worker would wait for {lacks}")


def _told(remarks: list[Any]) -> list[dict[str, Any]]:
    return [remark._asdict() for remark in remarks]


@policy.command("explain")
def explain_mention(
    file: Annotated[Path, typer.Argument(metavar="MENTION", help="One mention as JSON; - reads standard input.")],
    policy_file: Annotated[Path, typer.Option("--policy", help="The policy to ask.")] = DEFAULT_POLICY,
    label: Annotated[str | None, typer.Option(help="Instead of what the classifier says.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a mention would be due: which rule applies and why no earlier rule does, who works on it, and when. It
    treats the mention as a customer's first, read when it was posted, and never answered.

    Example: netcenter policy explain mention.json --policy my-policy.toml
    """
    from netcenter.replay.explain import explain
    from netcenter.replay.explain_text import told

    known = get_args(Label)
    if label is not None and label not in known:
        raise UsageError(f"--label: {label!r} is none of {', '.join(known)}")
    chosen: Any = label
    found = explain(parsed(policy_file), _mention(file), chosen)
    print(msgspec.json.encode(found).decode() if as_json else told(found))


def _mention(file: Path) -> Mention:
    """The mention of a file: one JSON object, or the first JSON line."""
    from netcenter.files.file_reader import parse_line
    from netcenter.files.line import FileError
    from netcenter.files.options import FileOptions

    text = sys.stdin.read() if str(file) == "-" else text_of(file)
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise UsageError(f"{file}: is empty: write one mention as JSON")
    number, first = lines[0]
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        text = first
    try:
        record = parse_line(text, FileOptions(), file=str(file), number=number).record
    except FileError as error:
        raise UsageError(str(error)) from None
    if not isinstance(record, Mention):
        raise UsageError(f"{file}:{number}: type: is {type(record).__name__}: only a mention can be explained")
    return record


@policy.command("diff")
def diff(
    file: Annotated[Path, typer.Argument(help="A policy file.")],
    other: Annotated[
        Path | None, typer.Argument(help="The policy it becomes; without it, FILE is held against the one in force.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is different between two policies: brands, rules and their order, targets, desks, settings.

    With one file: what would change if it were applied.

    Example: netcenter policy diff my-policy.toml
    """
    from agents.policy.difference import difference, summary

    new = parsed(file if other is None else other)
    changes = difference(_in_force() if other is None else parsed(file), new)
    if as_json:
        print(json.dumps({"summary": summary(changes), "changes": [c._asdict() for c in changes]}))
        return
    for change in changes:
        print(change)
    print(summary(changes))


def _in_force() -> Policy:
    """The newest policy in the log. Raises CommandError."""
    from agents.policy import PolicyError, parse
    from netcenter.broker.policy_topic import newest_policy
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    version, text = newest_policy(settings, kafka_of(settings))
    if not text:
        raise CommandError("no policy is in force yet: run `netcenter topics seed`")
    try:
        return parse(text, version, f"policy {version}")
    except PolicyError as error:
        said = (
            "the policy in force cannot be read by this release: put one in force that can, by `netcenter policy apply`"
        )
        raise CommandError(f"{error}\n{said}") from None


@policy.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of a policy file, so that editors complete, explain and check the file.

    Example: netcenter policy schema > policy.schema.json
    """
    from agents.policy.schema import schema

    print(json.dumps(schema(), indent=2))


_Source = Annotated[
    str | None,
    typer.Option(help="Where it comes from, such as git: it is applied only when this source says something new."),
]


@policy.command("apply")
def apply(file: _File, source: _Source = None, force: _Force = False, as_json: Json = False) -> None:
    """Put a policy in force through the log, for every role at the same record, and say what changes. The command
    refuses a policy whose classifier this machine lacks, because classify, and every role after it, would wait for it.

    With --source, a policy that somebody applied by hand since stays in force until the source's own text changes.

    Example: netcenter policy apply my-policy.toml
    """
    from agents.policy import PolicyError, parse
    from agents.policy.difference import difference, summary
    from netcenter.broker.policy_change import apply_policy
    from netcenter.broker.policy_topic import newest_policy
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.runtime.signing import signatures_of
    from netcenter.settings import load

    text, found = to_apply(file, force=force)
    settings = load()
    signatures_of(settings)  # a wrong file of keys is said before anything else
    kafka = kafka_of(settings)
    _, held = newest_policy(settings, kafka)
    done = apply_policy(settings, kafka, text, source)
    if as_json:
        print(json.dumps(_applied(done)))
        return
    _warn(file, found)
    try:
        print(summary(difference(parse(held), found.policy)) if held else "no policy was in force")
    except PolicyError:  # the new policy may be meant to repair it
        print("what changes is not known: the policy in force cannot be read by this release")
    _say_applied(done)


@policy.command("repair")
def repair_log(
    files: Annotated[list[Path] | None, typer.Argument(help="Files with texts that the log has lost.")] = None,
    as_json: Json = False,
) -> None:
    """Mend a log in which a version has two texts, a text is lost, or the newest policy stands in some partitions only.

    Workers that had stopped with `no text of policy N has the hash` go on when they are started again.

    Example: netcenter policy repair
    """
    from netcenter.broker.policy_change import repair
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    done = repair(settings, kafka_of(settings), [(str(file), text_of(file)) for file in files or ()])
    if as_json:
        print(json.dumps(_applied(done)))
        return
    if done.copied:
        print(f"{done.copied} texts are kept under keys of their own")
    _say_applied(done)


def _applied(done: Applied) -> dict[str, Any]:
    return {
        "version": done.version,
        "hash": done.policy.hash,
        "source": done.policy.source,
        "written": done.written,
        "mended_partitions": list(done.mended),
        "kept_out": done.kept_out,
        "texts_copied": done.copied,
    }


def _say_applied(done: Applied) -> None:
    if done.mended:
        partitions = ", ".join(map(str, done.mended))
        print(f"mended: another policy stood in the partitions {partitions}, as after a command that died half-way")
    if done.kept_out:
        print(
            f"nothing is applied: this source has said nothing new, and policy {done.version} was applied since "
            f"({done.policy.told()}); it stays in force"
        )
    print(f"policy {done.version} is in the log")


@policy.command("list")
def list_policies(as_json: Json = False) -> None:
    """List every policy of the log: its hash, when it was applied, by whom and from where; and which one stands in each
    partition of the log and of the roles.

    Example: netcenter policy list
    """
    from netcenter.broker.policy_standing import standing
    from netcenter.broker.policy_topic import policy_log
    from netcenter.runtime.endpoints import kafka_of
    from netcenter.settings import load

    settings = load()
    kafka = kafka_of(settings)
    log = policy_log(settings, kafka)
    stands = standing(settings, kafka, log)
    if as_json:
        print(json.dumps(policies_json(log, stands)))
        return
    for line in policies_text(log, stands):
        print(line)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(policy, name="policy")

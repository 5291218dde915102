"""One place for each thing: the path of the default policy, the exit codes, and the ways to Kafka and to PostgreSQL."""

from __future__ import annotations

import ast
from collections.abc import Iterator
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


_CLIENTS = {
    "KafkaAdminClient",
    "KafkaProducer",
    "KafkaConsumer",
    "AIOKafkaAdminClient",
    "AIOKafkaProducer",
    "AIOKafkaConsumer",
}
_ARGUMENTS = (".for_kafka_python()", ".for_aiokafka()")


def unsecured_clients(name: str, tree: ast.Module) -> Iterator[str]:
    """module:line of each client of Kafka, and each Faust App, that does not get its arguments from a KafkaConnection."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        spread = [ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg is None]
        if called in _CLIENTS and not any(given.endswith(_ARGUMENTS) for given in spread):
            yield f"{name}:{node.lineno}"
        if ast.unparse(node.func) == "faust.App" and not any(n.arg == "broker_credentials" for n in node.keywords):
            yield f"{name}:{node.lineno}"


def test_every_client_of_kafka_gets_its_arguments_from_the_one_connection() -> None:
    """Where a client is made without it, that client alone would try to connect without TLS and without a user."""
    trees = modules() | {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text())
        for folder in ("bench", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "peers" not in path.parts
    }
    assert [line for name, tree in trees.items() for line in unsecured_clients(name, tree)] == []


def test_the_search_for_clients_without_the_connection_finds() -> None:
    text = "KafkaProducer(acks=1)\naiokafka.AIOKafkaConsumer(**given)\nKafkaConsumer(**kafka.for_kafka_python(), a=1)\nfaust.App('a')"
    assert list(unsecured_clients("m", ast.parse(text))) == ["m:1", "m:2", "m:4"]


def test_every_connection_to_postgresql_is_made_in_one_place() -> None:
    """Elsewhere the error of a connection over TLS would not name its cause. The embedded server asks itself whether it runs."""
    found = [
        name
        for name, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "psycopg2.connect"
    ]
    assert found == ["netcenter.embedded.postgres_server", "sinks.postgres.connecting"]


def test_what_stands_in_the_log_is_read_for_commands_by_the_decoder_of_the_roles() -> None:
    """A module that decodes records itself would believe a Tick, or a policy change, that every role refuses as forged."""
    found = [
        name
        for name, tree in modules().items()
        if name.startswith("netcenter.broker.")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("codec.decode", "decode")
    ]
    assert found == ["netcenter.broker.stored_dead_letters"]

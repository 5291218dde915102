"""Every command in the order of the help: its panel, its short help, and its module, which is imported when the command is used."""

from __future__ import annotations

from typing import NamedTuple

FIRST, RUN, FILES, PEOPLE, REPAIR, CLASSIFIER = (
    "See it work",
    "Run it, and see how it is",
    "Files, and the past again",
    "Policy, people, alerts",
    "Mend and move data",
    "The classifier",
)


class Listed(NamedTuple):
    """One command, or one group of commands."""

    name: str
    panel: str
    short_help: str

    @property
    def module(self) -> str:
        """The module whose function `register` adds the command to a Typer."""
        return f"netcenter.commands.{self.name.replace('-', '_')}"


COMMANDS = (
    Listed("demo", FIRST, "Play a day of an airline, or a file, on this machine."),
    Listed("up", FIRST, "Run a real Kafka and PostgreSQL on this machine."),
    Listed("down", FIRST, "End the servers of `up` or of a kept demo."),
    Listed("status", RUN, "One screen: workers, cases, surges, alerts."),
    Listed("doctor", RUN, "Check everything, and say what to do."),
    Listed("lag", RUN, "How far each role is behind."),
    Listed("topics", RUN, "Make, seed and compare the topics; rights of users."),
    Listed("worker", RUN, "Run one role, some, or all."),
    Listed("heartbeat", RUN, "Call a URL while every role works."),
    Listed("ingest", FILES, "Play a file into Kafka."),
    Listed("replay", FILES, "Decide over the past again, by one policy or two."),
    Listed("backtest", FILES, "Run the surge detector over past counts."),
    Listed("policy", PEOPLE, "Check, explain, compare and apply the policy."),
    Listed("operators", PEOPLE, "Sign operators in and out; answer offers."),
    Listed("desk", PEOPLE, "A desk's queue, and one case's way."),
    Listed("bulk-update", PEOPLE, "Do one action to many cases or posts."),
    Listed("alert", PEOPLE, "What fires, who was told of it, and a test."),
    Listed("surge", PEOPLE, "The evidence of a surge."),
    Listed("crisis", PEOPLE, "Declare a crisis, or its end."),
    Listed("dead", REPAIR, "Records that could not be handled."),
    Listed("postgres", REPAIR, "PostgreSQL's tables and roles."),
    Listed("rebuild", REPAIR, "Make tables or a role's state again from the log."),
    Listed("forget", REPAIR, "Erase a customer."),
    Listed("upgrade", REPAIR, "Before a rollout: what happens to each state."),
    Listed("rescale", REPAIR, "Continue a log with other partitions."),
    Listed("savepoint", REPAIR, "Every role's state as a file, and back."),
    Listed("changelog", REPAIR, "Take a stray record out of a role's state topic."),
    Listed("schemas", REPAIR, "Check the Avro schemas against the records."),
    Listed("classify", CLASSIFIER, "Label the mentions of a file."),
    Listed("evaluate", CLASSIFIER, "Measure a classifier on your labelled posts."),
    Listed("train", CLASSIFIER, "Make a classifier from labelled posts."),
)

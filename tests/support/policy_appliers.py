"""Commands that apply policies at once, in processes that may be killed, and what the log holds of them afterwards."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from random import Random
from typing import Any

from netcenter.broker.policy_change import apply_policy
from netcenter.broker.sole_producer import Overtaken
from netcenter.settings import Settings
from streams.kafka_connection import KafkaConnection
from tests.support import forked, toy

#: The longest time (s) after which an applier is killed: an apply takes less, so a kill meets each of its moments.
_KILLED_WITHIN = 1.2


def _apply(kafka: KafkaConnection, settings: Settings, text: str, told: Any) -> None:
    try:
        told.send(("applied", apply_policy(settings, kafka, text).version))
    except Overtaken as error:
        told.send(("overtaken", str(error)))
    # Whatever else is raised ends the process with a traceback and without a word to the test.
    told.close()
    os._exit(0)


@dataclass
class Applier:
    """One `policy apply` in a process of its own."""

    text: str
    process: Any
    told: Any
    killed: bool = False

    def outcome(self) -> tuple[str, Any]:
        """(`applied`, version), (`overtaken`, line), (`killed`, None) or (`failed`, exit code), once it has ended."""
        self.process.join(60)
        try:
            if self.told.poll():
                return self.told.recv()  # type: ignore[no-any-return]
        except EOFError:  # it ended without a word
            pass
        return ("killed", None) if self.killed else ("failed", self.process.exitcode)


@dataclass
class PolicyRound:
    """One round: what each applier was told, and which text it wanted."""

    outcomes: list[tuple[str, str, Any]] = field(default_factory=list)
    """(text, outcome, version or line)."""

    def count(self, outcome: str) -> int:
        """How many appliers ended so."""
        return sum(one == outcome for _, one, _ in self.outcomes)


def play(kafka: KafkaConnection, settings: Settings, random: Random, number: int) -> PolicyRound:
    """Two or three appliers at once, each with a text of its own; in half of the rounds one or all are killed."""
    appliers = []
    for n in range(random.choice((2, 3))):
        ours, theirs = forked.PROCESSES.Pipe(duplex=False)
        text = f"{toy.POLICY}# round {number}, applier {n}\n"
        process = forked.start(_apply, kafka, settings, text, theirs)
        theirs.close()
        appliers.append(Applier(text, process, ours))
    if random.random() < 0.5:
        for applier in random.sample(appliers, random.randint(1, len(appliers))):
            applier.process.join(random.uniform(0, _KILLED_WITHIN))
            applier.killed = applier.process.is_alive()
            applier.process.kill()
    return PolicyRound([(applier.text, *applier.outcome()) for applier in appliers])

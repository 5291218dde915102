"""Dead letters as the command line shows them."""

from __future__ import annotations

import json

import pytest

from netcenter.broker import redrive, stored_dead_letters
from netcenter.broker.stored_dead_letters import StoredDeadLetter
from netcenter.commands import dead as command
from netcenter.runtime import endpoints
from streams.received_batches import Withheld


def test_an_id_is_shown_whole_however_narrow_the_terminal_or_the_pipe_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`dead show`, `dead redrive` and `dead discard` ask for the id."""
    id, why = "assignments.dead/12/123456", "Mention.created_at: is more than a day after received_at"
    letter = StoredDeadLetter(id, "assignments", 12, 1_234_567, "validate", "InvalidRecord", why, 0, b"", b"", [])
    monkeypatch.setattr(stored_dead_letters, "read_dead_letters", lambda *_: [letter])
    monkeypatch.setattr(endpoints, "kafka_of", lambda _: "")
    monkeypatch.setenv("COLUMNS", "80")
    command.dead_list()
    assert id in capsys.readouterr().out


def test_a_program_reads_what_was_redriven_and_discarded_and_what_was_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = Withheld(b"x", "a record above 2 MiB")
    left = StoredDeadLetter("mentions.dead/0/0", "mentions", 0, 0, "decode", "Withheld", line.why, 0, b"k", line, [])
    monkeypatch.setattr(redrive, "redrive", lambda *_: redrive.RedriveResult(3, (left,)))
    monkeypatch.setattr(redrive, "discard", lambda *_: redrive.RedriveResult(2))
    monkeypatch.setattr(endpoints, "kafka_of", lambda _: "")
    command.dead_redrive(all_of_them=True, as_json=True)
    command.dead_discard(all_of_them=True, as_json=True)
    redriven, discarded = map(json.loads, capsys.readouterr().out.splitlines())
    assert redriven == {"redriven": 3, "left": [{"id": "mentions.dead/0/0", "why": left.obstacle()}]}
    assert discarded == {"discarded": 2}


def test_a_dead_letter_that_holds_only_a_hash_of_its_record_is_not_redriven() -> None:
    """It would become a dead letter again."""
    line = Withheld(b"x", "a record above 2 MiB")
    letter = StoredDeadLetter("mentions.dead/0/0", "mentions", 0, 0, "decode", "Withheld", line.why, 0, b"k", line, [])
    assert letter.obstacle() == "of its record only the size and the SHA-256 are kept: discard it"

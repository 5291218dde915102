"""Dead letters as the command line shows them."""

from __future__ import annotations

import pytest

from netcenter.broker import stored_dead_letters
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


def test_a_dead_letter_that_holds_only_a_hash_of_its_record_is_not_redriven() -> None:
    """It would become a dead letter again."""
    line = Withheld(b"x", "a record above 2 MiB")
    letter = StoredDeadLetter("mentions.dead/0/0", "mentions", 0, 0, "decode", "Withheld", line.why, 0, b"k", line, [])
    assert letter.obstacle() == "of its record only the size and the SHA-256 are kept: discard it"

"""A file whose play was interrupted is played again: everything is there once, as if it had been played in one go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from netcenter.demo.summary import summary
from netcenter.embedded import Addresses
from netcenter.policies import DEFAULT_POLICY
from streams.exit_codes import ExitCode
from tests.support.chaos import ROLES, Plant
from tests.support.command_line import command
from tests.support.waiting import until

_POSTS = 400
#: How many records a play has given to Kafka when it is interrupted, beside the Ticks.
_SOME = 60

#: ms; a time just before the last Tick.
_PLAYED = round(datetime(2026, 11, 20, 10, 55, tzinfo=UTC).timestamp() * 1000)

pytestmark = pytest.mark.timeout(400)


def _write_posts(path: Path) -> None:
    """A post of another customer each minute and a half, without ids."""
    rows = [
        f"andina,twitter,u{n},2026-11-20T{n * 90 // 3600:02d}:{n * 90 // 60 % 60:02d}:{n * 90 % 60:02d}Z,"
        f"where is my bag number {n}? nobody answers\n"
        for n in range(_POSTS)
    ]
    path.write_text("brand,channel,author_id,created_at,text\n" + "".join(rows))


def test_a_file_whose_play_was_interrupted_is_played_again_and_everything_is_there_once(
    stack: Addresses, tmp_path: Path
) -> None:
    _write_posts(tmp_path / "posts.csv")
    words = ["ingest", "posts.csv", "--make-ids", "--run-on", "1h", "--json"]
    with Plant(stack, tmp_path / "workers", DEFAULT_POLICY.read_text(), f"t{uuid4().hex[:8]}.", 2) as plant:
        plant.start(*ROLES)
        for number, code in ((signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)):
            before = sum(plant.ends().values())
            with subprocess.Popen(
                [sys.executable, "-m", "netcenter", *words],
                cwd=tmp_path,
                env=os.environ | plant.given(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as play:
                until(lambda before=before: sum(plant.ends().values()) > before + 3 * _SOME, 60, "some is played")  # type: ignore[misc]
                play.send_signal(number)
                out, err = play.communicate(timeout=60)
            assert (play.returncode, out) == (code, ""), err
            assert "records are in Kafka, played up to 2026-11-20T" in err and "Give the same command again" in err
        ended, out, err = command(tmp_path, plant.given(), *words)
        assert ended == 0 and json.loads(out)["taken"] == _POSTS, err
        plant.await_drained(_PLAYED, ROLES, 120)
        old = (tmp_path / "posts.csv").read_text().replace("2026-11-20", "2026-11-10")
        (tmp_path / "old.csv").write_text(old)
        ended, out, err = command(tmp_path, plant.given(), "ingest", "old.csv", "--make-ids")
        assert (ended, out) == (ExitCode.WRONG_USAGE, "")
        assert "begins at 2026-11-10T00:00:00Z" in err and "dead letters. Nothing was played" in err
        found = summary(plant.settings.postgres or "", 0)
    ended, _, err = command(tmp_path, {}, "replay", "posts.csv", "--make-ids", "--run-on", "1h", "--out", "told")
    assert ended == 0, err
    told = json.loads((tmp_path / "told" / "summary.json").read_text())
    assert (found["mentions"], found["cases"], found["dead_letters"]) == (_POSTS, _POSTS, 0)
    assert {name: found[name] for name in found.keys() & told.keys()} == {
        name: told[name] for name in found.keys() & told.keys()
    }

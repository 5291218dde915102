"""Every command that tells something, with words that make it do so: without servers, on a pipeline, or as it changes one."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from netcenter.cli import main
from netcenter.policies import DEFAULT_POLICY

OFFLINE = {
    "backtest": "backtest counts.csv",
    "classify": "classify posts.jsonl",
    "demo": "demo --input posts.jsonl --show 3",
    "evaluate": "evaluate labelled.jsonl",
    "ingest": "ingest posts.jsonl --show 3",
    "policy check": "policy check policy.toml",
    "policy diff": "policy diff policy.toml other.toml",
    "policy explain": "policy explain posts.jsonl",
    "policy schema": "policy schema",
    "replay": "replay posts.jsonl --out told",
    "schemas check": "schemas check",
    "topics acls": "topics acls",
    "topics export": "topics export --strimzi-cluster kafka",
}
"""By command: words that need no server, in a folder with `write_files`."""
LIVE = {
    name: name
    for name in (
        "status",
        "doctor",
        "lag",
        "policy list",
        "operators list",
        "desk show",
        "alert list",
        "dead list",
        "upgrade check",
    )
} | {
    "desk explain": "desk explain {case}",
    "alert show": "alert show {alert}",
    "alert explain": "alert explain {alert}",
    "surge explain": "surge explain {surge}",
    "policy repair": "policy repair",
    "postgres roles": "postgres roles",
    "bulk-update": "bulk-update resolve --desk care",
}
"""By command: words that need a pipeline, and change nothing there."""
CHANGING = {
    "topics apply": "topics apply",
    "topics seed": "topics seed",
    "policy apply": "policy apply policy.toml",
    "crisis open": "crisis open andina --by ana --reason trial",
    "crisis close": "crisis close andina --by ana --reason trial",
    "alert test": "alert test --to webhook",
    "dead redrive": "dead redrive --all",
    "dead discard": "dead discard --all",
    "forget": "forget andina twitter 4711",
    "ingest": "ingest posts.jsonl --ahead none",
}
"""By command: words that change a pipeline, in an order in which they can be given."""
WITHOUT_JSON = {"postgres roles"}
"""Of these: what has another form than JSON for programs."""
ELSEWHERE = {
    "up": "tests/embedded/test_detached.py",
    "rebuild": "tests/scenarios/test_rebuild.py",
    "rescale": "tests/scenarios/test_rescale.py",
    "savepoint take": "tests/scenarios/test_rescale.py",
    "savepoint restore": "tests/scenarios/test_rescale.py",
}
"""By command: the test that runs it with --json, because it needs a pipeline that stands still, or that begins."""

_POST = {
    "type": "mention",
    "brand": "andina",
    "channel": "twitter",
    "native_id": "1",
    "author_id": "u1",
    "text": "Nobody answers",
}


def write_files(folder: Path) -> None:
    """The files that the words name."""
    (folder / "posts.jsonl").write_text(json.dumps(_POST | {"created_at": "2026-11-20T14:03:00Z"}) + "\n")
    rows = [{"text": "Nobody answers", "lang": "en", "label": label} for label in ("complaint", "question") * 40]
    (folder / "labelled.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    counts = "".join(f"2026-11-{1 + n // 96:02d}T{n // 4 % 24:02d}:{n % 4 * 15:02d}:00Z,{n % 7}\n" for n in range(480))
    (folder / "counts.csv").write_text(f"timestamp,value\n{counts}")
    for name in ("policy.toml", "other.toml"):
        (folder / name).write_text(DEFAULT_POLICY.read_text())


def documents(text: str) -> list[Any] | None:
    """What a text holds as JSON: one document, or one a line; None for another text."""
    for parts in ([text], text.splitlines()):
        with suppress(ValueError):
            return [json.loads(part) for part in parts]
    return None


def into_closed_pipe(*words: str) -> tuple[int, str]:
    """Run `netcenter` with these words in this process, where nobody reads what it prints: (exit code, stderr)."""
    read, write = os.pipe()
    os.close(read)
    before, sys.argv = (sys.stdout, sys.stderr, sys.argv), ["netcenter", *words]
    code = 0
    with os.fdopen(write, "w", encoding="utf-8") as out, tempfile.TemporaryFile("w+", encoding="utf-8") as err:
        sys.stdout, sys.stderr = out, err
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            sys.stdout, sys.stderr, sys.argv = before
        err.seek(0)
        return code, err.read()

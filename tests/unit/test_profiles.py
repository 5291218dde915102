"""Profiles read common kinds of files, --show prints what would be taken, and the examples of docs/files.md run."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from netcenter import cli
from netcenter.commands.file_options import given_options
from netcenter.files import profile
from netcenter.files.file_reader import read
from netcenter.files.line import FileError, Line, Refused
from netcenter.files.options import FileOptions
from schemas.records import Mention, Reply

PAGE = (Path(__file__).parents[2] / "docs/files.md").read_text(encoding="utf-8")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command line in an empty directory, where no Kafka is: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NETCENTER_KAFKA", "127.0.0.1:1")

    def call(*words: str) -> tuple[int, str, str]:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["netcenter", *words])
            with pytest.raises(SystemExit) as ended:
                cli.main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out, err

    return call


#: By profile: the options beside it, a file of its kind, and what it gives: class, native_id, author_id, and brand.
KINDS: dict[str, tuple[dict[str, Any], str, str, list[tuple[type, str, str, str]]]] = {
    "twcs": (
        {"set": {"brand": "Sprint"}},
        "twcs.csv",
        "tweet_id,author_id,inbound,created_at,text,response_tweet_id,in_response_to_tweet_id\n"
        "1,sprintcare,False,Tue Oct 31 22:10:47 +0000 2017,@115712 I see,2,3\n"
        "3,115712,True,Tue Oct 31 22:08:27 +0000 2017,@sprintcare hello,1,\n",
        [(Reply, "1", "115712", "sprint"), (Mention, "3", "115712", "sprint")],
    ),
    "tweets-csv": (
        {},
        "tweets.csv",
        "tweet_id,airline_sentiment,airline_sentiment_confidence,negativereason,negativereason_confidence,airline,"
        "airline_sentiment_gold,name,negativereason_gold,retweet_count,text,tweet_coord,tweet_created,tweet_location,"
        "user_timezone\n"
        "570306133677760513,neutral,1.0,,,Virgin America,,cairdin,,0,@VirginAmerica hi,,2015-02-24 11:35:52 -0800,,\n",
        [(Mention, "570306133677760513", "cairdin", "virgin-america")],
    ),
    "google-play": (
        {"zone": "UTC"},
        "reviews.csv",
        "reviewId,userName,userImage,content,score,thumbsUpCount,reviewCreatedVersion,at,replyContent,repliedAt,appVersion\n"
        "gp:1,Ana,https://x,no abre,1,0,3.4,2023-04-12 09:42:38,Hola Ana,2023-04-12 13:10:05,3.4\n"
        "gp:2,A Google user,https://x,bien,5,0,,2023-04-12 10:42:38,,,\n",
        [(Mention, "gp:1", "gp:1", "app"), (Reply, "gp:1", "gp:1", "app"), (Mention, "gp:2", "gp:2", "app")],
    ),
    "chatwoot": (
        {},
        "messages.json",
        json.dumps(
            [
                {"id": 11, "content": "hola", "conversation_id": 7, "message_type": 0, "created_at": 1767607200}
                | {"private": False, "sender": {"id": 5, "name": "Ana", "type": "contact"}},
                {"id": 12, "content": "nota", "conversation_id": 7, "message_type": 1, "created_at": 1767607260}
                | {"private": True, "sender": {"id": 1, "name": "Luis", "type": "user"}},
                {"id": 13, "content": "buenas", "conversation_id": 7, "message_type": 1, "created_at": 1767607320}
                | {"private": False, "sender": {"id": 1, "name": "Luis", "type": "user"}},
                {
                    "id": 14,
                    "content": "Luis resolved",
                    "conversation_id": 7,
                    "message_type": 2,
                    "created_at": 1767607330,
                }
                | {"private": False},
            ]
        ),
        [(Mention, "11", "5", "support"), (Reply, "13", "5", "support")],
    ),
    "zendesk": (
        {},
        "tickets.json",
        json.dumps(
            {
                "url": "https://x.zendesk.com/api/v2/tickets/35.json",
                "id": 35,
                "via": {"channel": "web"},
                "type": "incident",
            }
            | {"created_at": "2026-01-05T10:00:00Z", "requester_id": 20, "subject": "Fire", "brand_id": 1}
            | {
                "comments": [
                    {"id": 1001, "author_id": 20, "body": "fire", "public": True, "created_at": "2026-01-05T10:00:00Z"},
                    {
                        "id": 1002,
                        "author_id": 23,
                        "body": "note",
                        "public": False,
                        "created_at": "2026-01-05T10:05:00Z",
                    },
                    {
                        "id": 1003,
                        "author_id": 23,
                        "body": "water",
                        "public": True,
                        "created_at": "2026-01-05T10:10:00Z",
                    },
                ]
            }
        ),
        [(Mention, "1001", "20", "support"), (Reply, "1003", "20", "support")],
    ),
}


@pytest.mark.parametrize("name", profile.names())
def test_a_profile_reads_its_kind_of_file(name: str, tmp_path: Path) -> None:
    beside, file, text, wanted = KINDS[name]
    path = tmp_path / file
    path.write_text(text)
    found = list(read(path, profile.beside(profile.load(name), FileOptions(**beside))))
    assert [one.why for one in found if isinstance(one, Refused)] == []
    records: list[Any] = [one.record for one in found if isinstance(one, Line)]
    assert [(type(r), r.native_id, r.author_id, r.brand) for r in records] == wanted
    assert all(reply.kind == "human" for reply in records if isinstance(reply, Reply))


def test_what_is_given_beside_a_profile_wins() -> None:
    options = FileOptions(
        map={"native_id": "id", "brand": "company"},
        set={"channel": "x", "text": "-"},
        value={"brand": {"A": "a"}},
        reply_if={"x": frozenset({"1"})},
        zone="America/Bogota",
        dates="day-first",
    )
    given = FileOptions(
        map={"native_id": "no", "channel": "network"},
        set={"brand": "b"},
        value={"brand": {"B": "c"}},
        reply_if={"y": frozenset({"2"})},
        zone="UTC",
    )
    assert profile.beside(options, given) == FileOptions(
        map={"native_id": "no", "channel": "network"},
        set={"text": "-", "brand": "b"},
        value={"brand": {"A": "a", "B": "c"}},
        reply_if={"y": frozenset({"2"})},
        zone="UTC",
        dates="day-first",
        may_lack=frozenset({"id", "company"}),
    )
    usual = msgspec.structs.replace(options, may_lack=frozenset({"id", "company"}))
    assert profile.beside(options, FileOptions()) == usual


def test_every_option_of_a_file_can_stand_in_a_profile() -> None:
    """Whoever adds an option adds it to the profiles too."""
    assert set(profile.Written.__struct_fields__) - {"about"} == set(FileOptions.__struct_fields__) - {
        "default_type",
        "classified",
        "may_lack",
        "rejects",
        "max_rejects",
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("about = 1", "--profile: mine.toml: Expected `str`, got `int` - at `$.about`"),
        ("about = 'x'\nmaps = {}", "unknown field `maps`"),
        ("about = 'x'\ndates = 'us'", "dates: 'us' is not known: use day-first or month-first"),
        ("about = ", "mine.toml: Invalid value"),
    ],
)
def test_a_profile_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(text)
    with pytest.raises(FileError, match=re.escape(told)):
        profile.load("mine.toml")
    for name, why in (
        ("none.toml", "No such file"),
        ("twitter", "is not known: use chatwoot, google-play, twcs, tweets-csv"),
    ):
        with pytest.raises(FileError, match=why):
            profile.load(name)


@pytest.mark.parametrize("command", ["ingest", "classify", "demo", "replay"])
def test_show_prints_the_first_records_of_any_command_that_reads_files_and_does_nothing_else(
    run: Run, tmp_path: Path, command: str
) -> None:
    """Without Kafka, and without a file written."""
    _, file, text, _ = KINDS["twcs"]
    Path(file).write_text(text + "5,sprintcare,False,Tue Oct 31 22:13:47 +0000 2017,New plans!,,\n9,a,True,soon,x,,\n")
    Path("mine.toml").write_text('about = "mine"\n[map]\nlang = "text"\n')
    named = ["--input", file] if command == "demo" else [file]
    code, out, err = run(command, *named, "--profile", "twcs", "--set", "brand=AT&T", "--show", "3")
    assert code == 0
    reply, post = map(json.loads, out.splitlines())
    assert (reply["type"], reply["brand"], post["type"]) == ("reply", "at-t", "mention")
    assert err.splitlines() == [
        "twcs.csv:4: in_reply_to: answers no post, so it is no reply to a customer: --map in_reply_to or conversation_id, or "
        "--reply-to",
        "twcs.csv: brand 'AT&T' has the key 'at-t'",
        "twcs.csv: 2 records, 1 row refused; nothing was written",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.toml", "twcs.csv"]
    assert run(command, "--show", "3")[0] == 2
    code, _, err = run(command, *named, "--profile", "mine.toml", "--show", "3")
    assert code == 2 and "native_id" in err


@pytest.mark.parametrize(("command", "label"), [("replay", "complaint"), ("ingest", None)])
def test_show_prints_the_labels_that_the_command_would_take(run: Run, command: str, label: str | None) -> None:
    """A replay takes them; for `ingest` a post has none."""
    _, file, text, _ = KINDS["tweets-csv"]
    Path(file).write_text(text)
    words = [
        "--profile",
        "tweets-csv",
        "--zone",
        "UTC",
        "--map",
        "label=airline_sentiment",
        "--value",
        "label:neutral=complaint",
    ]
    code, out, err = run(command, file, *words, "--show", "1")
    assert code == 0 and json.loads(out).get("label") == label, err


def test_show_counts_the_elements_of_a_list(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"items": [{"text": f"hola {n}", "no": n} for n in range(5)]}))
    words = ["--set", "type=mention", *("--set", "brand=a", "--set", "channel=x", "--set", "author_id=u")]
    words += ["--set", "created_at=2026-01-05T10:00:00Z", "--map", "text=items.text", "--map", "native_id=items.no"]
    code, out, _ = run("ingest", str(file), "--each", "items", *words, "--ignore-unknown", "--show", "2")
    assert (code, len(out.splitlines())) == (0, 2)


def test_a_file_that_cannot_be_read_ends_show_with_the_reason(run: Run) -> None:
    assert "none.csv: cannot be read: No such file" in run("ingest", "none.csv", "--show", "3")[2]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--dates", "us"], "--dates: 'us' is not known: use day-first or month-first"),
        (["--value", "brand=x"], "--value 'brand=x': write field:old=new"),
        (["--skip-if", "private"], "--skip-if 'private': write field=value"),
        (["--skip-if", "private=true"], "f.csv: --skip-if: no column 'private'; the columns are "),
        (["--profile", "none"], "--profile: 'none' is not known: use chatwoot"),
        (["--zone", "Bogota"], "--zone: 'Bogota' is no time zone"),
    ],
)
def test_an_option_that_says_nothing_is_told(run: Run, words: list[str], told: str) -> None:
    Path("f.csv").write_text("brand,channel,native_id,author_id,text,created_at\n")
    code, _, err = run("ingest", "f.csv", *words, "--show", "1")
    assert code == 2 and told in err


def test_options_are_named_as_they_are_given() -> None:
    options = FileOptions(
        map={"a": "b"}, value={"a": {"b": "c"}}, own_accounts=frozenset({"a"}), each="a", skip_lines=1
    )
    assert given_options(options) == ["--map", "--value", "--each", "--own-accounts", "--skip-lines"]


#: The examples of the page: (file, its text, command).
EXAMPLES = re.findall(r"```\n# (\S+)\n(.*?)\$ netcenter ([^\n]*)\n```", PAGE, re.DOTALL)


@pytest.mark.parametrize(("file", "text", "command"), EXAMPLES)
def test_an_example_of_the_page_runs_and_takes_every_row(run: Run, file: str, text: str, command: str) -> None:
    Path(file).write_text(text)
    code, out, err = run(*shlex.split(command))
    assert code == 0 and out
    assert re.search(r" records?, 0 rows refused; nothing was written$", err)


def test_the_page_has_examples_for_each_way_and_names_no_option_that_is_not_there(run: Run) -> None:
    assert len(EXAMPLES) >= 6
    assert PAGE.count("$ netcenter") == len(EXAMPLES)
    helps = [run(command, "--help")[1] for command in ("ingest", "replay")]
    known = set(re.findall(r"--[a-z-]+", " ".join(helps)))
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE)) <= known


def test_a_file_may_lack_columns_of_a_profile_that_no_record_needs(tmp_path: Path) -> None:
    """Reviews without answers and without ids, as many scrapers write them."""
    path = tmp_path / "reviews.csv"
    path.write_text("userName,content,at\nana,no abre,2026-01-05 10:00:00\n")
    usual = profile.load("google-play")
    with pytest.raises(FileError, match="no column 'reviewId'.*--make-ids"):
        list(read(path, profile.beside(usual, FileOptions(zone="UTC"))))
    given = FileOptions(zone="UTC", make_ids=True, map={"author_id": "userName"})
    [line] = read(path, profile.beside(usual, given))
    assert isinstance(line, Line) and isinstance(line.record, Mention) and line.record.author_id == "ana"
    with pytest.raises(FileError, match="no column 'name'"):
        list(read(path, profile.beside(usual, FileOptions(zone="UTC", make_ids=True, map={"author_id": "name"}))))

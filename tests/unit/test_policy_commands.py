"""policy check, explain, diff and schema: what is printed, and which exit code says what."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.policy import Brand
from agents.policy.schema import schema
from netcenter import cli
from netcenter.commands import policy_files
from netcenter.policies import DEFAULT_POLICY
from netcenter.replay.explain import why_no_case
from tests.support.care_facts import post as classified

Run = Callable[..., tuple[int, str, str]]
MODEL = DEFAULT_POLICY.read_text().partition("[classifier]")[2].partition("\n\n")[0]
DESK = '[[desks]]\nname = "care"\n'
BRANDS = f"""[classifier]{MODEL}
{DESK}
[[brands]]
name = "andina"
mode = "live"
zone = "America/Bogota"
accounts.twitter = ["own"]
calendar = [{{ days = ["mon", "tue", "wed", "thu", "fri"], from = "08:00", to = "18:00" }}]
holidays = [2026-11-23, "12-25"]

[[brands]]
name = "rival"
care = false

[[rules]]
name = "seen"
match = {{ label = ["complaint"], reach = 10_000 }}
target = "30m"
priority = 1

[[rules]]
name = "complaint"
match = {{ label = ["complaint"] }}
target = "60m"
resolution = "2h"
skills = ["baggage"]

[[channels]]
name = "whatsapp"
reply_window = "24h"
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command line in an empty directory but for p.toml: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.toml").write_text(BRANDS)

    def call(*words: str, command: str = "policy") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["netcenter", command, *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


def mention(**fields: Any) -> str:
    """A complaint on a Friday, an hour before the desk closes in Bogota, as a line of a file."""
    given = {
        "type": "mention",
        "brand": "andina",
        "channel": "twitter",
        "native_id": "1",
        "author_id": "u1",
        "text": "You lost my bag and nobody answers",
        "lang": "en",
        "created_at": "2026-11-20T22:30:00Z",
    }
    return json.dumps(given | fields)


def explained(run: Run, tmp_path: Path, *words: str, **fields: Any) -> dict[str, Any]:
    (tmp_path / "m.json").write_text(mention(**fields))
    code, out, err = run("explain", "m.json", "--policy", "p.toml", "--json", *words)
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_good_policy_is_told_with_its_warnings_and_exit_0(run: Run, tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(BRANDS + '[[rules]]\nname = "late"\nmatch = { label = ["complaint"] }\n')
    code, out, _ = run("check", "w.toml")
    assert code == 0
    assert "rules.2: warning: 'late' never matches" in out
    assert "w.toml: good: 2 brands, 3 rules, 1 desk, 1 channel" in out
    code, out, _ = run("check", "w.toml", "--json")
    told = json.loads(out)
    assert (code, told["good"], told["brands"], told["lacks"]) == (0, True, 2, None)
    assert [w["field"] for w in told["warnings"]] == ["brands.0.calendar", "rules.2"]


def test_a_route_to_a_receiver_that_does_not_exist_is_warned_of_with_exit_0(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(BRANDS + '[[alerts.routes]]\nname = "r"\nreceivers = ["pagerdutty"]\n')
    code, out, _ = run("check", "r.toml")
    assert code == 0
    assert "alerts.routes.0.receivers.0: warning: 'pagerdutty' is no receiver" in out and "slack" in out
    assert "pagerdutty" in policy_files.checked(tmp_path / "r.toml")[1].warnings[-1].why


def test_a_policy_whose_classifier_is_not_here_is_good_and_says_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text(f'[classifier]\nmodel = "{"f" * 64}"\n{DESK}')
    code, out, _ = run("check", "f.toml")
    assert code == 0 and "a classify worker would wait for the classifier's artefact ffffffffffffffff" in out


def test_a_policy_whose_classifier_is_not_here_is_not_put_in_force_unless_forced(run: Run, tmp_path: Path) -> None:
    """Before Kafka is asked for: it says what was looked for and where, and what would happen."""
    (tmp_path / "f.toml").write_text(f'[classifier]\nmodel = "{"f" * 64}"\n{DESK}')
    assert run("apply", "--policy", "f.toml", command="topics")[0] == 2
    code, _, err = run("apply", "f.toml")
    assert code == 2 and "f.toml: classifier.model: this machine lacks the classifier" in err
    for words in ("ffffffffffffffff", "NETCENTER_MODELS is not set", "Classify would wait", "--force"):
        assert words in err


def test_a_wrong_policy_is_told_to_programs_too_with_exit_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(BRANDS.replace('"30m"', '"0m"'))
    code, out, err = run("check", "w.toml", "--json")
    told = json.loads(out)
    assert (code, told["good"]) == (2, False)
    (fault,) = told["faults"]
    assert fault["field"] == "rules.0.target" and f"w.toml:{fault['line']}: rules.0.target: " in err


def test_a_policy_without_a_desk_is_wrong_for_all_that_puts_one_in_force(run: Run, tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(f"[classifier]{MODEL}\n")
    tried = [run("check", "w.toml"), run("apply", "w.toml"), run("apply", "--policy", "w.toml", command="topics")]
    for code, _, err in tried:
        assert code == 2 and "w.toml:1: desks: no desk is listed" in err


def test_explain_says_which_rule_holds_and_why_no_earlier_one_does(run: Run, tmp_path: Path) -> None:
    told = explained(run, tmp_path, reach=180)
    assert (told["label"], told["rule"], told["number"]) == ("complaint", "complaint", 2)
    assert told["passed"] == [{"rule": "seen", "why": ["reach is 180, not 10,000 or more"]}]
    assert (told["desk"], told["priority"], told["skills"]) == ("care", 5, ["baggage"])
    assert (told["target"], told["resolution"], told["mode"], told["opens_case"]) == ("60m", "2h", "live", True)
    assert explained(run, tmp_path, reach=60_000)["rule"] == "seen"


def test_explain_says_when_the_clock_is_due_in_local_time_and_utc(run: Run, tmp_path: Path) -> None:
    # Half an hour of Friday is left; Monday is a holiday.
    clock = explained(run, tmp_path)["clocks"][0]
    assert clock["metric"] == "first_response"
    assert clock["started"] == {"utc": "2026-11-20T22:30:00Z", "local": "Fri 2026-11-20 17:30:00 -05"}
    assert clock["due"] == {"utc": "2026-11-24T13:30:00Z", "local": "Tue 2026-11-24 08:30:00 -05"}
    assert sorted(clock["warnings"]) == ["50", "75", "90"]


@pytest.mark.parametrize(
    ("fields", "words", "why"),
    [
        ({"author_id": "own"}, (), "one of the brand's own accounts"),
        ({"brand": "rival"}, (), "care = false"),
        ({"kind": "share"}, (), "a share is counted only"),
        ({}, ("--label", "other"), "labelled other"),
    ],
)
def test_explain_says_why_a_post_opens_no_case(
    run: Run, tmp_path: Path, fields: dict[str, str], words: tuple[str, ...], why: str
) -> None:
    told = explained(run, tmp_path, *words, **fields)
    assert told["opens_case"] is False and why in told["why"]
    assert told["clocks"] == []


@pytest.mark.parametrize(
    ("posted", "by", "why"),
    [
        ("2026-11-20T22:30:00Z", "2026-11-20T23:00:00Z", "when people last work before it closes"),
        ("2026-11-20T23:30:00Z", "2026-11-21T23:30:00Z", "nobody works until then"),
        ("2026-11-19T22:30:00Z", None, None),
    ],
)
def test_explain_warns_of_a_reply_window_that_ends_before_the_due_and_says_by_when_to_answer(
    run: Run, tmp_path: Path, posted: str, by: str | None, why: str | None
) -> None:
    """A message of WhatsApp on Friday evening is due on Monday, and its window ends on Saturday."""
    told = explained(run, tmp_path, "--label", "complaint", channel="whatsapp", kind="message", created_at=posted)
    assert (told["answer_by"] or {}).get("utc") == by
    assert len(told["warnings"]) == (why is not None) and (why or "") in "".join(told["warnings"])
    _, out, _ = run("explain", "m.json", "--policy", "p.toml", "--label", "complaint")
    assert (f"warning         {told['warnings'][0]}" in out) if why else "warning  " not in out


def test_explain_takes_a_label_instead_of_the_classifiers_even_without_one(run: Run, tmp_path: Path) -> None:
    text = BRANDS.replace(MODEL, f'\nmodel = "{"f" * 64}"\n')
    (tmp_path / "p.toml").write_text(text)
    told = explained(run, tmp_path, "--label", "complaint", text="hola, perdieron mi maleta", lang="")
    assert (told["rule"], told["confidence"], told["lang"]) == ("complaint", None, "es")
    code, _, err = run("explain", "m.json", "--policy", "p.toml")
    assert code == 1 and "--label" in err and "ffffffffffffffff" in err


def test_explain_tells_people_every_part_and_no_text_or_author(run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(mention(channel="whatsapp", kind="message", author_id="secret-author"))
    code, out, _ = run("explain", "m.json", "--policy", "p.toml")
    words = {line.split("  ")[0].strip() for line in out.splitlines()}
    assert code == 0
    assert words >= {"mention", "label", "not", "rule", "case", "mode", "desk", "target", "resolution", "reply until"}
    assert "2026-11-21T22:30:00Z" in out and "bag" not in out.replace("baggage", "") and "secret-author" not in out


def test_explain_goes_by_the_default_policy_unless_another_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(mention())
    code, out, _ = run("explain", "m.json", "--json")
    told = json.loads(out)
    assert (code, told["mode"], told["rule"], told["target"]) == (0, "shadow", "complaint", "60m")


def test_explain_reads_one_object_over_several_lines_or_the_first_of_json_lines(run: Run, tmp_path: Path) -> None:
    first = json.loads(mention())
    for text in (json.dumps(first, indent=2), "\n" + mention() + "\n" + mention(native_id="2", reach=60_000) + "\n"):
        (tmp_path / "m.json").write_text(text)
        code, out, err = run("explain", "m.json", "--policy", "p.toml", "--json")
        assert (code, err, json.loads(out)["rule"]) == (0, "", "complaint")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "m.json: is empty"),
        ("\n{", "m.json:2: column 2: not JSON"),
        ('{"type":"mention","brand":"a"}', "m.json:1: channel: is missing"),
        (
            '{"type":"reply","brand":"a","channel":"b","native_id":"1","author_id":"u","created_at":"2026-11-20T14:03:00Z"}',
            "m.json:1: type: is Reply: only a mention can be explained",
        ),
    ],
)
def test_what_is_no_mention_is_named_with_its_line_and_exit_2(run: Run, tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "m.json").write_text(text)
    code, _, err = run("explain", "m.json", "--policy", "p.toml")
    assert code == 2 and why in err


def test_explain_reads_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(mention()))
    code, out, _ = run("explain", "-", "--policy", "p.toml", "--json")
    assert (code, json.loads(out)["rule"]) == (0, "complaint")


def test_a_comment_that_does_not_address_the_brand_is_counted_only_unless_all_are_wanted() -> None:
    post = classified("1", 0, kind="comment")
    unaddressed = msgspec.structs.replace(post, addressed=False)
    brand = Brand(name="andina")
    assert "do not address" in why_no_case(unaddressed, brand)
    assert "do not address" not in why_no_case(unaddressed, brand.model_copy(update={"comments": "all"}))
    assert "do not address" not in why_no_case(post, brand)


def test_without_a_kafka_the_policy_in_force_cannot_be_asked_and_exit_is_3(run: Run) -> None:
    for words in (("diff", "p.toml"), ("apply", "p.toml")):
        code, _, err = run(*words)
        assert code == 3 and "no Kafka" in err, words


def test_an_unknown_label_is_named_with_exit_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text(mention())
    code, _, err = run("explain", "m.json", "--label", "rant")
    assert code == 2 and "--label" in err and "complaint, question, praise, other" in err


def test_diff_tells_each_change_and_a_summary(run: Run, tmp_path: Path) -> None:
    changed = BRANDS.replace('"30m"', '"45m"').replace("care = false", "care = true").replace("11-23", "11-24")
    (tmp_path / "q.toml").write_text(changed)
    code, out, _ = run("diff", "p.toml", "q.toml")
    assert code == 0
    assert out.splitlines() == [
        "brand andina: holidays [2026-11-23, 12-25] -> [2026-11-24, 12-25]",
        "brand rival: care false -> true",
        "rule seen: target 30m -> 45m",
        "2 brands changed, 1 rule changed",
    ]
    code, out, _ = run("diff", "p.toml", "q.toml", "--json")
    told = json.loads(out)
    assert (code, told["summary"], len(told["changes"])) == (0, "2 brands changed, 1 rule changed", 3)
    assert [change["before"] for change in told["changes"]] == [["2026-11-23", "12-25"], False, "30m"]
    assert run("diff", "p.toml", "p.toml")[:2] == (0, "no difference\n")


def test_schema_prints_what_editors_read(run: Run) -> None:
    code, out, _ = run("schema")
    assert code == 0 and json.loads(out) == schema()


def test_a_policy_that_is_wrong_is_named_by_every_command(run: Run, tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(BRANDS.replace('"30m"', '"0m"'))
    (tmp_path / "m.json").write_text(mention())
    for words in (
        ("explain", "m.json", "--policy", "w.toml"),
        ("diff", "w.toml", "p.toml"),
        ("diff", "p.toml", "w.toml"),
        ("diff", "w.toml"),
        ("apply", "w.toml"),
    ):
        code, _, err = run(*words)
        assert code == 2 and "rules.0.target" in err, words

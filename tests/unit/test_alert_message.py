"""The message of an alert answers in a minute: what, since when, how bad, what to do, and is it over."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.times import rfc3339
from sinks.alert_message import LONGEST_TITLE, LONGEST_WORDS, AlertMessage, message_of
from sinks.alert_receiver import PostWords
from sinks.readable import LocalTimes, counted, duration, number, rarity
from tests.support import alert_messages
from tests.support.alert_messages import BEGAN, POST
from tests.support.examples import examples as tried
from tests.support.samples import MINUTE, alert

EXAMPLES = alert_messages.examples()
_HOUR = 60 * MINUTE


def parts(message: AlertMessage) -> dict[str, str]:
    return {part.label: part.text for part in message.parts}


def test_every_kind_reads_as_the_file_of_messages_has_it() -> None:
    """`python -m tests.support.alert_messages` writes the file; whoever changes it reads it as somebody who was woken."""
    assert alert_messages.text() == alert_messages.FILE.read_text()


def test_the_page_about_receivers_shows_a_message_as_people_get_it() -> None:
    told = message_of(*EXAMPLES["crisis by rule, growing"])
    page = (alert_messages.FILE.parents[2] / "docs" / "receivers.md").read_text()
    assert f"```text\n{told.headline}\n{told.body}\n```" in page


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_message_says_what_since_when_and_whether_it_is_over(name: str) -> None:
    told, over = message_of(*EXAMPLES[name]), EXAMPLES[name][0].state == "resolved"
    found = parts(told)
    assert "Since" in found and "This alert" in found
    assert (told.status == "OVER") is over and ("Over" in found) is over
    assert ("Do first" in found) is (not over and EXAMPLES[name][0].kind not in ("test", "unknown"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_time_is_an_epoch_and_no_figure_a_name_of_a_program(name: str) -> None:
    told = message_of(*EXAMPLES[name]).body
    assert not re.search(
        r"\d{10}|\d{4}-\d{2}-\d{2}T|_ms\b|None|\bnan\b", told.replace(EXAMPLES[name][0].fingerprint, "")
    )


def test_words_are_shown_only_where_they_are_given_and_in_one_short_line() -> None:
    alerted = EXAMPLES["crisis by rule, growing"][0]
    assert "Its words" not in parts(message_of(alerted))
    assert "Its words" not in parts(message_of(alerted, PostWords(text="", url=POST.url)))
    long = parts(message_of(alerted, PostWords(text="palabra\n" * 100, url=None)))
    assert (
        len(long["Its words"]) == LONGEST_WORDS + 2 and "\n" not in long["Its words"] and long["Its words"][-2] == "…"
    )
    assert long["Root post"].startswith("1668 ")


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://a b", "https://a|<!channel>", "file:///etc/passwd", ""]
)
def test_an_address_that_is_none_is_not_shown(url: str) -> None:
    """Whoever wrote the post may have chosen it."""
    told = message_of(EXAMPLES["surge opens"][0], PostWords(text="", url=url))
    assert parts(told)["Root post"].startswith("1668 ")


def test_a_crisis_that_ended_while_its_cases_wait_is_told_as_ended() -> None:
    ended = EXAMPLES["crisis, its posts are over and its cases wait"][0]
    assert parts(message_of(ended))["Being done"] == "the crisis was ended by the rule"
    declared = {name: said for name, said in ended.evidence.items() if name != "crisis_until"} | {"by": "ana"}
    still = parts(message_of(replace(ended, evidence=declared)))
    assert still["Being done"] == "a crisis is declared by ana; desk care-crisis works on it"


@pytest.mark.parametrize("name", ["surge opens", "crisis by rule, growing", "contacts page", "conversation pages"])
@pytest.mark.parametrize("minutes", [15, 20, 21, 240])
def test_figures_are_told_with_their_time_and_no_trend_where_they_were_measured_long_ago(
    name: str, minutes: int
) -> None:
    """The number of its cases makes new versions of a flood whose posts nobody has measured again."""
    first = EXAMPLES[name][0]
    rising = {**first.evidence, "trend": "rising"}
    end = datetime.fromisoformat(rising["window_end"])
    told = message_of(replace(first, evidence=rising, time=int(end.timestamp() * 1000) + minutes * MINUTE))
    at = f"before {end.astimezone(ZoneInfo(rising['zone'])):%H:%M}"
    found, old = parts(told), minutes > 20
    assert (at in told.title, at in found["How much"], "Measured" in found) == (old, old, old)
    assert ("rising" in told.body) is not old


@pytest.mark.parametrize("name", [name for name in EXAMPLES if EXAMPLES[name][0].kind in ("surge", "crisis")])
@pytest.mark.parametrize("over", [True, False])
def test_what_was_closed_as_the_new_normal_claims_no_posts(name: str, over: bool) -> None:
    """A surge is closed so after a day, even where there was no post for most of it."""
    first = EXAMPLES[name][0]
    normal = {**first.evidence, "close_reason": "new_normal", "until": rfc3339(first.time)}
    told = message_of(
        replace(first, evidence=normal, state="resolved" if over else "firing", ends_at=first.time if over else None)
    )
    what = parts(told)["What"]
    assert "has lasted so long that it counts as the usual" in what
    assert not re.search(r"posts|complaints|contacts|become", f"{told.title} {what}")


def test_an_escalation_says_who_is_asked_as_what_and_why_it_climbed() -> None:
    told = message_of(*EXAMPLES["escalation"])
    assert told.title.endswith("3 cases wait for ana")
    assert "escalated to ana, the person responsible, and nobody has accepted or answered them" in parts(told)["What"]
    assert parts(told)["Why"] == "the oldest: 75 % of the target is used, and nobody has answered"
    assert "is accepted by an operator, is answered" in parts(message_of(*EXAMPLES["escalation over"]))["What"]


def test_an_escalation_of_a_desk_without_a_person_names_the_desk_and_how_to_bring_people() -> None:
    told = message_of(*EXAMPLES["escalation of a desk"])
    assert told.title.endswith("1 case waits for somebody at desk care")
    assert parts(told)["Why"] == "75 % of the target is used, and nobody has answered"
    assert "netcenter operators sign-in NAME --desk care" in parts(told)["Do first"]
    assert "the policy names no person" in parts(told)["Do first"]


def test_an_escalation_of_an_earlier_release_promises_no_rung_and_no_reason() -> None:
    first, _ = EXAMPLES["escalation"]
    old = {name: value for name, value in first.evidence.items() if name not in ("rung", "why")}
    told = parts(message_of(replace(first, evidence=old)))
    assert "escalated to ana, and nobody" in told["What"] and "Why" not in told


def test_words_call_nobody() -> None:
    """Discord would tell everybody in a room."""
    told = parts(message_of(EXAMPLES["surge opens"][0], PostWords(text="@everyone look, @andina!", url=None)))
    assert told["Its words"] == "“@\u200beveryone look, @\u200bandina!”"


def test_a_command_can_be_pasted_whatever_the_names_are() -> None:
    told = parts(message_of(alert(kind="sla_breach", evidence={"desk": "a; rm -rf ~"}, fingerprint="x$(y)")))
    assert "--desk 'a; rm -rf ~' --for" in told["Do first"]
    assert told["This alert"].endswith("'x$(y)'")


def test_a_title_is_one_line_and_short() -> None:
    told = message_of(alert(kind="unknown", summary="word\n" * 200))
    assert len(told.title) == LONGEST_TITLE and "\n" not in told.title
    assert told.headline.startswith("[PAGE] andina: word word")


_NAMES = sorted({name for example, _ in EXAMPLES.values() for name in example.evidence})
_VALUES = st.sampled_from(["", "0", "1", "-3", "7.25", "1e9", "inf", "nan", "x", "2023-06-12", "0001-01-01T00:00:00Z"])


@tried(200)
@given(st.sampled_from(sorted(EXAMPLES)), st.dictionaries(st.sampled_from(_NAMES), _VALUES | st.text(max_size=9)))
def test_evidence_that_cannot_be_read_leaves_its_part_out_and_never_the_message(
    name: str, changed: dict[str, str]
) -> None:
    """An alert that could not be told would be worse than one that says less."""
    first = EXAMPLES[name][0]
    told = message_of(replace(first, evidence=first.evidence | changed))
    assert told.title and told.parts
    assert all(part.text and "\n" not in part.text for part in told.parts)


@pytest.mark.parametrize(
    ("value", "said"), [(0, "0"), (0.4, "0.4"), (2, "2"), (2.04, "2"), (9.96, "10"), (12.6, "13"), (1240, "1,240")]
)
def test_numbers_as_people_read_them(value: float, said: str) -> None:
    assert number(value) == said
    assert counted(1, "post", "posts") == "1 post" and counted(1.2, "post", "posts") == "1.2 posts"


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (59_000, "less than a minute"),
        (35 * MINUTE, "35 min"),
        (_HOUR, "1 h"),
        (230 * MINUTE, "3 h 50 min"),
        (24 * _HOUR, "1 day"),
        (51 * _HOUR, "2 days 3 h"),
    ],
)
def test_durations_as_people_read_them(ms: int, said: str) -> None:
    assert duration(ms) == said


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (0.25, "once in 6 h"),
        (1, "once in 1 day"),
        (40.4, "once in 40 days"),
        (1460, "once in 4 years"),
        (0, "once in 1 min"),
    ],
)
def test_how_seldom_it_is_as_people_read_it(days: float, said: str) -> None:
    assert rarity(days) == said


@pytest.mark.parametrize(
    ("zone", "full"),
    [
        ("America/Bogota", "Mon 12 Jun 2023 15:15, America/Bogota"),
        ("Europe/Madrid", "Mon 12 Jun 2023 22:15, Europe/Madrid"),
        ("No/Where", "Mon 12 Jun 2023 20:15, UTC"),
        ("../../etc", "Mon 12 Jun 2023 20:15, UTC"),
        (None, "Mon 12 Jun 2023 20:15, UTC"),
    ],
)
def test_times_are_on_the_brands_clock_and_name_it(zone: str | None, full: str) -> None:
    assert LocalTimes(zone, BEGAN).full(BEGAN) == full


def test_a_time_of_another_day_says_the_day() -> None:
    times = LocalTimes("America/Bogota", BEGAN)
    assert (times.short(BEGAN), times.short(BEGAN - 24 * _HOUR)) == ("15:15", "Sun 11 Jun 15:15")

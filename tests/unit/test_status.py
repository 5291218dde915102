"""`status` on one screen: what works, what waits, what was found, and each fault with what to do."""

from __future__ import annotations

import msgspec

from netcenter.operate.status import FiringAlert, OpenSurgeLine, PipelineStatus, status_text


def role(
    name: str, *, running: bool = True, behind: int = 0, time: str | None = "2026-11-20T14:03:00Z"
) -> dict[str, object]:
    return {"role": name, "running": running, "behind": behind, "held_back": 0, "time": time}


WELL = PipelineStatus(
    kafka="kafka-1:9092",
    roles=[role("classify"), role("cases"), role("webhook", time=None), role("slack", running=False, time=None)],
    desks=["care: 3 cases wait, 0 offered, 0 accepted; 2 operators take work, 1 of them free"],
    alerts=[],
    postgres=True,
    cases_open=12,
    cases_waiting=5,
    clocks_overdue=2,
    surges=[],
    dead_letters=0,
    faults=[],
)


def test_all_well_is_said_with_what_waits() -> None:
    lines = status_text(WELL).splitlines()
    assert lines[-1] == "all is well" and WELL.well
    assert "workers     3 roles have a worker; none is behind" in lines
    assert "            without: slack" in lines
    assert "event time  2026-11-20T14:03:00Z" in lines
    assert "cases       12 wait for an answer, 2 overdue; 5 for the customer" in lines
    assert "desks       care: 3 cases wait, 0 offered, 0 accepted; 2 operators take work, 1 of them free" in lines
    assert "surges      none is open" in lines and "alerts      none fires" in lines


def test_what_was_found_is_named_the_gravest_first_and_the_rest_is_counted() -> None:
    alerts = [FiringAlert(f"a{n}", "info", f"calm {n}") for n in range(6)] + [FiringAlert("p", "page", "6 overdue")]
    surges = [OpenSurgeLine(f"{n:08}-aaaa", "andina", "channel", "twitter", 4.2) for n in range(7)]
    lines = status_text(msgspec.structs.replace(WELL, alerts=alerts, surges=surges)).splitlines()
    at = lines.index("alerts      7 fire: 1 page, 6 info")
    assert lines[at + 1] == "            page: 6 overdue"
    assert lines[at + 6] == "            and 2 more: netcenter alert list"
    assert "surges      00000000  andina, channel twitter: 4.2 times the usual" in lines
    assert "            and 2 more" in lines
    assert max(map(len, lines)) <= 100


def test_dead_letters_that_wait_are_counted_and_none_is_not_told() -> None:
    lines = status_text(msgspec.structs.replace(WELL, dead_letters=400)).splitlines()
    assert "dead        400 letters wait: netcenter dead list" in lines
    assert "dead" not in status_text(WELL)


def test_a_role_that_is_behind_and_each_fault_are_named() -> None:
    ill = msgspec.structs.replace(
        WELL, roles=[role("cases", behind=1200)], faults=["desk has no worker: run `netcenter worker desk`"]
    )
    text = status_text(ill)
    assert "1 role has a worker; behind: cases 1,200" in text
    assert text.splitlines()[-1] == "wrong: desk has no worker: run `netcenter worker desk`"
    assert not ill.well and "all is well" not in text


def test_without_postgres_the_log_alone_is_told() -> None:
    bare = msgspec.structs.replace(WELL, postgres=None, cases_open=None, clocks_overdue=None, surges=None, alerts=None)
    heads = [line.split()[0] for line in status_text(bare).splitlines() if line and not line.startswith(" ")]
    assert heads == ["Kafka", "workers", "event", "desks", "all"]

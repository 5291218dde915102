"""Our desk beside first come first served, round robin and least load, on the conversations of any file, with the same simulated
operators: `python -m bench.desk_orders [FILE] [--policy FILE] [--json]`. Without a file, on the story; it takes three minutes.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, TypeGuard

import msgspec

from bench.desk_peers import PEERS
from netcenter.demo.story import STORY_POLICY, story
from netcenter.files.file_reading import FileReading
from netcenter.files.line import Line
from netcenter.files.options import FileOptions
from netcenter.ingest.schedule import TICK
from netcenter.pipeline import PIPELINE
from netcenter.replay import Replay, play_lines
from netcenter.replay.desk_figures import DeskVerdicts
from netcenter.simulation.people import SimulatedPeople
from netcenter.simulation.team import Team, parse_team
from schemas import ids
from schemas.records import CaseOpened, ClassifiedMention, Mention, Offered, Record, WorkChanged
from streams.topology import Fold, Role

OURS = "our desk"
HOUR = 3_600_000
START = 1_795_219_200_000
"""ms; 2026-11-21T00:00:00Z."""
OPERATORS = 20
#: Until a customer is answered: the median in seconds, and the spread. The mean follows from both.
_MEDIAN_S, _SPREAD, _MEAN_S = 240, 1.8, 284.0
_TEAM = f"""
[[operators]]
name = "o"
count = {OPERATORS}
desks = ["care"]
capacity = 3
accepts = 0.9
declines = 0.05
answers = {{ median = "30s", spread = 1.5 }}
handling = {{ any = {{ median = "{_MEDIAN_S}s", spread = {_SPREAD} }} }}
shifts = [{{ days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], from = "00:00", to = "24:00" }}]
"""


@dataclass(frozen=True)
class Load:
    """How much arrives: pairs of (hours, arrivals over what the team can answer)."""

    name: str
    hours: tuple[tuple[float, float], ...]


LOADS = (
    Load(".9 of the capacity for a day", ((24, 0.9),)),
    Load("twice the capacity for four hours", ((4, 0.8), (4, 2.0), (16, 0.5))),
)
OVERLOAD = (4 * HOUR, 8 * HOUR)
"""ms from the start; the four hours of the second load."""


def conversations(lines: Sequence[Line], policy: str) -> list[ClassifiedMention]:
    """The posts of a past that opened a case with a target, in the order of time, as they were classified."""
    posts: dict[str, ClassifiedMention] = {}
    opened: dict[str, str] = {}
    targeted: list[str] = []

    def tell(topic: str, records: list[Record]) -> None:
        for record in records:
            if isinstance(record, ClassifiedMention):
                posts[record.mention.id] = record
            elif isinstance(record, CaseOpened):
                opened[record.aggregate] = record.post.mention_id
            elif _promises(record):
                targeted.append(record.case_id)

    roles = [PIPELINE.role(name) for name in ("classify", "cases")]
    # The role `desk` is left out, but what `cases` writes to it is told.
    play_lines([Replay({1: policy}, 1, tell, roles=roles)], lines, interval=TICK, run_on=0)
    return [posts[opened[case]] for case in dict.fromkeys(targeted) if case in opened]


def _promises(record: Record) -> TypeGuard[WorkChanged]:
    """Whether a round of work begins that has a target."""
    if not isinstance(record, WorkChanged) or record.change != "queued":
        return False
    return record.due_at is not None and not record.non_sla


def arrivals(posts: Sequence[ClassifiedMention], load: Load, seed: int = 7) -> Iterator[Line]:
    """Each post by another customer and in a conversation of its own, at the times of a Poisson process of the load; the posts
    begin again where they do not suffice.
    """
    random, at, number, begins = Random(seed), 0.0, 0, 0.0
    for hours, share in load.hours:
        every = _MEAN_S * 1000 / (OPERATORS * share)
        ends = begins + hours * HOUR
        at = max(at, begins)
        while True:
            at += random.expovariate(1 / every)
            if at >= ends:
                break
            yield _line(posts[number % len(posts)], START + int(at), number)
            number += 1
        begins = ends


def _line(post: ClassifiedMention, at: int, number: int) -> Line:
    old = post.mention
    native = f"n{number}"
    mention = msgspec.structs.replace(
        old,
        id=ids.mention(old.brand, old.channel, native),
        post_id=ids.post(old.channel, native),
        author_id=f"a{number}",
        native_id=native,
        created_at=at,
        received_at=None,
        conversation_id=None,
        in_reply_to=None,
        share_of=None,
    )
    return Line(at, "classified", msgspec.structs.replace(post, mention=mention), number + 1)


class OneDesk:
    """One desk at work on arrivals."""

    def __init__(self, role: Role, policy: str, team: Team) -> None:
        self.verdicts, self.people = DeskVerdicts(), SimulatedPeople(team)
        self.offers: Counter[int] = Counter()
        """Offers within the overload, by priority."""
        roles = [PIPELINE.role("classify"), PIPELINE.role("cases"), role]
        self.replay = Replay({1: policy}, 1, self._tell, roles=roles, given=self.verdicts.tell)

    def _tell(self, topic: str, records: list[Record]) -> None:
        self.verdicts.tell(topic, records)
        self.people.tell(topic, records)
        for record in records:
            if isinstance(record, Offered) and OVERLOAD[0] <= record.time - START < OVERLOAD[1]:
                self.offers[record.priority] += 1

    def figures(self) -> dict[str, Any]:
        """What is compared."""
        found = self.verdicts.figures()
        occupied = [load.occupancy or 0.0 for load in found.operators.values()]
        mean = sum(occupied) / len(occupied)
        return {
            "rounds": found.rounds,
            "in_target": _rounded(found.in_target),
            "by_priority": {p: _rounded(share) for p, share in found.in_target_by_priority.items()},
            "queue_min": _times(found.in_queue),
            "answer_min": _times(found.until_answer),
            "open": found.open,
            "occupancy": _rounded(mean),
            "occupancy_spread": _rounded((max(occupied) - min(occupied)) / mean),
            "offers_in_overload": {str(p): count for p, count in sorted(self.offers.items())},
            "returns": found.returns,
            "escalations": found.escalations,
        }


def _times(waiting: Any) -> list[float | None]:
    return [None if m is None else round(m, 1) for m in (waiting.p50_min, waiting.p95_min, waiting.longest_min)]


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def desks() -> dict[str, Role]:
    """Each desk as a role of the pipeline."""
    own = PIPELINE.role("desk")
    return {OURS: own} | {name: replace(own, shape=Fold(peer)) for name, peer in PEERS.items()}


def measure(posts: Sequence[ClassifiedMention], policy: str, loads: Sequence[Load] = LOADS) -> dict[str, Any]:
    """The figures of every desk under each load: the desks run side by side on the same arrivals with equal teams."""
    found: dict[str, Any] = {}
    team = parse_team(_TEAM)
    for load in loads:
        tried = {name: OneDesk(role, policy, team) for name, role in desks().items()}
        lines = list(arrivals(posts, load))
        people = {number: one.people for number, one in enumerate(tried.values())}
        replays = [one.replay for one in tried.values()]
        play_lines(replays, lines, interval=1_000, run_on=6 * HOUR, people=people)
        end = START + int(sum(hours for hours, _ in load.hours) * HOUR)
        for one in tried.values():
            one.verdicts.end = max(one.verdicts.end, end)
        found[load.name] = {name: one.figures() for name, one in tried.items()}
        found[load.name]["arrivals"] = len(lines)
    return found


def _policy(path: Path) -> str:
    """A policy under which every brand works at the desk `care`, whose offers expire after five minutes."""
    text = path.read_text()
    return text.replace('desk = "express"', 'desk = "care"').replace('offer_timeout = "60m"', 'offer_timeout = "5m"')


def _show(found: dict[str, Any]) -> None:
    for load, desks in found.items():
        print(f"\n{load}: {desks['arrivals']:,} cases")
        print(
            f"{'':26}in target  by priority                    queue 50/95/longest   answer 50/95/longest  occupancy spread"
        )
        for name, one in desks.items():
            if name == "arrivals":
                continue
            by = " ".join(f"{p}:{share:.0%}" for p, share in one["by_priority"].items())
            queue, answer = ("/".join(str(m) for m in one[key]) for key in ("queue_min", "answer_min"))
            print(
                f"{name:26}{one['in_target']:8.1%}  {by:30} {queue:>21} {answer:>22} {one['occupancy']:8.1%} "
                f"{one['occupancy_spread']:6.1%}  offers {one['offers_in_overload']} open {one['open']}"
            )


def _lines_of(path: Path) -> list[Line]:
    """The lines of a file in order of time."""
    return sorted(FileReading(path, FileOptions(classified=True)), key=lambda line: line.at)


def main() -> None:
    """Measures on a file, or on the story."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("file", nargs="?", type=Path, help="as `netcenter replay` reads it; without it, the story")
    arguments.add_argument("--policy", type=Path, default=STORY_POLICY)
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    policy = _policy(given.policy)
    lines = story.story() if given.file is None else _lines_of(given.file)
    posts = conversations([line for line in lines if isinstance(line.record, Mention | ClassifiedMention)], policy)
    found = measure(posts, policy)
    print(json.dumps(found, indent=1)) if given.json else _show(found)


if __name__ == "__main__":
    main()

"""The lines of a file that simulated operators leave in it: what a team does by itself is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from netcenter.files.line import Line
from netcenter.simulation.team import Team
from schemas.records import Action, OfferAnswered, OperatorChanged, Reply


def left_to_team(lines: Iterable[Line], teams: Sequence[Team]) -> Iterator[Line]:
    """The lines without what the teams do themselves.

    1. Answers to offers: every team answers offers.
    2. Shifts, where a team has shifts.
    3. Replies of people and actions on cases, where a team answers customers. Automatic replies stay.
    """
    shifts, replies = any(team.signs_in for team in teams), any(team.replies for team in teams)
    for line in lines:
        record = line.record
        if isinstance(record, OfferAnswered):
            done = bool(teams)
        elif isinstance(record, OperatorChanged):
            done = shifts
        else:
            done = replies and (isinstance(record, Action) or (isinstance(record, Reply) and record.kind == "human"))
        if not done:
            yield line

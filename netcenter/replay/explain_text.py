"""The text that `policy explain` prints for people."""

from __future__ import annotations

from collections.abc import Iterator

from netcenter.replay.explain import ExplainedClock, Explanation, Moment

_WIDTH = 16


def told(e: Explanation) -> str:
    """Lines of a word and its explanation; times are in the brand's time zone and in UTC."""
    return "\n".join(f"{word:<{_WIDTH}}{said}".rstrip() for word, said in _lines(e))


def _lines(e: Explanation) -> Iterator[tuple[str, str]]:
    yield "mention", f"{e.visibility} {e.kind} to {e.brand} on {e.channel}, {_both(e.posted)}"
    sure = "as given" if e.confidence is None else f"by the classifier, confidence {e.confidence:.2f}"
    yield "label", f"{e.label}, {sure}{', uncertain' if e.uncertain else ''}; language {e.lang}"
    for passed in e.passed:
        yield "not", f"{passed.rule}: {'; '.join(passed.why)}"
    yield "rule", f"{e.rule} (rule {e.number})" if e.rule is not None else "none matches"
    yield "case", f"{'opens one' if e.opens_case else 'opens none'}: {e.why}"
    yield "mode", "live" if e.mode == "live" else "shadow: recorded, nothing is sent and nobody is paged"
    yield "desk", f"{e.desk}, priority {e.priority}{', skills ' + ', '.join(e.skills) if e.skills else ''}"
    non_sla = ", a non-SLA target: its breach raises no alert" if e.non_sla else ""
    yield "target", f"{e.target or 'none: no clock'}{non_sla}"
    if e.resolution is not None:
        yield "resolution", e.resolution
    for clock in e.clocks:
        yield from _clock(clock)
    if e.reply_until is not None:
        yield "reply until", f"{_both(e.reply_until)}, when the network closes the conversation"
    if e.answer_by is not None:
        yield "answer by", _both(e.answer_by)
    for warning in e.warnings:
        yield "warning", warning
    if e.closes is not None:
        yield "closes by itself", _both(e.closes)


def _clock(clock: ExplainedClock) -> Iterator[tuple[str, str]]:
    yield clock.metric, f"starts {_both(clock.started)}"
    for percent, moment in clock.warnings.items():
        yield "", f"warns  {_both(moment)}, {percent} %"
    yield "", f"due    {_both(clock.due)}" if clock.due is not None else "no target: only measured"


def _both(moment: Moment) -> str:
    return f"{moment.local} ({moment.utc})"

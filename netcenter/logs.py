"""Logs: one line an event on stderr; for people on a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
import sys

import structlog

from streams.supervisor import last_words

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def _kept_for_the_supervisor(_: object, level: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """The last error is what it tells of when this process ends."""
    if level == "error":
        why = event.get("why")
        last_words(f"{event['event']}: {why}" if why else str(event["event"]))
    return event


def set_up(level: str) -> None:
    """Once a process. Libraries speak from warnings up only."""
    people = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _kept_for_the_supervisor,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr, force=True
    )
    for noisy in ("faust", "mode", "aiokafka", "streams", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.ERROR if level != "debug" else logging.INFO)
    # It tells every attempt to connect; what came of them is our error's to say.
    logging.getLogger("kafka").setLevel(logging.CRITICAL if level != "debug" else logging.INFO)

"""Logs: one line an event on stderr; for people on a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time

import structlog

from streams.supervisor import last_words

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

_LIBRARIES = ("aiokafka", "faust", "mode", "streams", "asyncio")
_QUIET_S = 60.0


class Quiet(logging.Filter):
    """What libraries say, without tracebacks, and once a minute what they say again and again.

    Our own line says what came of it: a minute without a broker is one line, not one per attempt.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}
        """When a message was let through last, and how often it came since; by logger and unformatted text."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to let it through, shortened."""
        if not record.name.startswith(_LIBRARIES):
            return True
        now, key = time.monotonic(), (record.name, str(record.msg))
        with self._lock:
            last, times = self._said.get(key, (-_QUIET_S, 0))
            if now - last < _QUIET_S:
                self._said[key] = last, times + 1
                return False
            self._said[key] = now, 0
        text = record.getMessage().partition("\n")[0]
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {type(record.exc_info[1]).__name__}: {record.exc_info[1]}"
            record.exc_info = record.exc_text = None
        record.msg, record.args = text + (f" (and {times} times more before)" if times else ""), ()
        return True


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
    for noisy in _LIBRARIES:
        logging.getLogger(noisy).setLevel(logging.ERROR if level != "debug" else logging.INFO)
    if level != "debug":
        for handler in logging.getLogger().handlers:
            handler.addFilter(Quiet())
    # It tells every attempt to connect; what came of them is our error's to say.
    logging.getLogger("kafka").setLevel(logging.CRITICAL if level != "debug" else logging.INFO)

"""The log: one line for each event on standard error, readable text on a terminal and JSON elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time

import structlog

from streams.supervisor import last_words

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

#: The loggers of libraries, whose messages `LibraryFilter` shortens.
_LIBRARIES = ("aiokafka", "faust", "mode", "streams", "asyncio")
#: Seconds for which a repeated message of a library is held back.
_QUIET_S = 60.0


class LibraryFilter(logging.Filter):
    """Shortens the messages of libraries to their first line, without traceback, and shows a repeated message only once
    a minute.

    Netcenter logs the consequence itself: a minute without a broker makes one line, and not a line for each attempt to
    connect.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._said: dict[tuple[str, str], tuple[float, int]] = {}
        """By logger and unformatted text: when the message was last shown, and how many were held back since."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log a record. Also shortens the record itself."""
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


class LibraryMessages(logging.Handler):
    """Logs the messages of libraries as all else is logged: one line of JSON each, with the library's logger, in one write.

    Two ways of writing to standard error would mix their lines.
    """

    def __init__(self) -> None:
        super().__init__()
        self._log = structlog.get_logger("netcenter")

    def emit(self, record: logging.LogRecord) -> None:
        """Log a message under its own words."""
        try:
            level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
            raised = {"exc_info": record.exc_info} if record.exc_info else {}
            self._log.log(level, record.getMessage(), logger=record.name, **raised)
        except Exception:  # noqa: BLE001 - as every handler of `logging` does: it says on standard error what went wrong
            self.handleError(record)


def _pass_to_supervisor(_: object, level: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Give an error of Netcenter's own to the supervisor, which logs the last error if this process ends."""
    if level == "error" and "logger" not in event:
        why = event.get("why")
        last_words(f"{event['event']}: {why}" if why else str(event["event"]))
    return event


def set_up(level: str) -> None:
    """Set up the log of this process, once. level: the least level that is logged; libraries log errors only, except on `debug`."""
    people = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if people else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _pass_to_supervisor,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    messages = LibraryMessages()
    logging.basicConfig(level=logging.WARNING, handlers=[messages], force=True)
    for noisy in _LIBRARIES:
        logging.getLogger(noisy).setLevel(logging.ERROR if level != "debug" else logging.INFO)
    if level != "debug":
        messages.addFilter(LibraryFilter())
    # kafka-python logs every attempt to connect; Netcenter's own error says whether connecting failed.
    logging.getLogger("kafka").setLevel(logging.CRITICAL if level != "debug" else logging.INFO)

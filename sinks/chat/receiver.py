"""Sends alerts to chat rooms and mailboxes through Apprise: each version that is told is a message of its own."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import apprise

from sinks.alert_message import AlertMessage, message_of
from sinks.alert_receiver import NeverThis, NotAccepted, Notice, NotNow, Receipt
from sinks.port import SinkError

_TIMEOUT_S = 15.0
_RENEWED_S = 300.0
#: Destinations of one receiver, and versions of which it remembers who has settled them.
_MOST, _REMEMBERED = 20, 1000
_TYPES = {
    "PAGE": apprise.NotifyType.FAILURE,
    "WARNING": apprise.NotifyType.WARNING,
    "OVER": apprise.NotifyType.SUCCESS,
}
_NOTHING = logging.CRITICAL + 1
_CODE = re.compile(r"\berror=(\d{3})\b")
#: Statuses of the family 4xx after which another try may help.
_NOT_NOW = {401, 403, 404, 405, 407, 408, 410, 425, 429}


class ChatReceiver:
    """Sends to each destination by itself. Implements `sinks.alert_receiver.AlertReceiver`.

    1. A version that fires is accepted when one destination has accepted it; the others get it with the renewals.
    2. A resolution is accepted when all have accepted it.
    3. What a destination has accepted, or will never accept, is not sent to it again. The reference of a version names these
       destinations by hashes; a minus stands before those that refused it. Where all refuse a version, each is asked again if the
       version is told again.

    urls: returns the URLs of Apprise as they are now; called before each alert, raises SinkError.
    """

    renewed_each: float | None = _RENEWED_S

    def __init__(self, urls: Callable[[], list[str]]) -> None:
        _keep_quiet()
        self._urls = urls
        self._settled: dict[str, set[str]] = {}
        """By id of a version: the destinations that have accepted it, and with a minus those that have refused it."""
        _destinations(urls())

    def open(self) -> None:
        """Nothing has to be opened: each message is a connection of its own."""

    def close(self) -> None:
        """Nothing has to be closed."""

    def tell(self, notice: Notice) -> Receipt:
        """Send a version to the destinations that have not accepted it. Raises NotAccepted."""
        try:
            destinations = _destinations(self._urls())
        except SinkError as error:  # the URLs were right at the start
            raise NotNow(str(error)) from None
        alert, message = notice.alert, message_of(notice.alert, notice.post)
        version, _, known = (notice.reference or "").partition(" ")
        settled = self._settled.get(alert.id, set()) | (set(known.split()) if version == alert.id else set())
        renewal = any(not one.startswith("-") for one in settled)
        owed = [one for one in destinations if not settled & {one.id, one.refused}]
        if not owed and not any(one.id in settled for one in destinations):
            owed = destinations
        with ThreadPoolExecutor(max(len(owed), 1)) as pool:  # one that hangs does not hold up the others
            answers = list(pool.map(lambda one: one.send(message), owed))
        for one, answer in zip(owed, answers, strict=True):
            if not isinstance(answer, NotNow):
                settled = settled - {one.refused} | {one.id if answer is None else one.refused}
        self._remember(alert.id, settled)
        failed = [answer for answer in answers if isinstance(answer, NotNow)]
        refused = [answer for answer in answers if isinstance(answer, NeverThis)]
        taken = sum(one.id in settled for one in destinations)
        reference = " ".join((alert.id, *sorted(settled)))
        if failed and (not taken or renewal or alert.state == "resolved"):
            raise NotNow(str(failed[0]), reference=reference if settled else None)
        if refused and not taken:
            raise refused[0]
        missed = "".join(f"; {error}" for error in (*failed, *refused))
        return Receipt(f"{taken} of {len(destinations)} accepted it{missed}", reference)

    def _remember(self, id: str, settled: set[str]) -> None:
        self._settled[id] = settled
        while len(self._settled) > _REMEMBERED:
            del self._settled[next(iter(self._settled))]


class _Destination:
    """One URL of Apprise."""

    def __init__(self, number: int, url: str) -> None:
        """number: of the URL, from 1, for messages that must not show it. Raises SinkError."""
        asset = apprise.AppriseAsset(
            app_id="Netcenter",
            default_service_retry=0,
            http_redirects=False,
            storage_mode="memory",
            service_timeout=_TIMEOUT_S,
            language="en",
        )
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None:
            raise SinkError(
                f"URL {number} of NETCENTER_CHAT_URLS_FILE is none that Apprise knows; it is not shown here"
            )
        service.retry = 0  # whatever the URL says: one place decides about retries
        if "overflow=" not in url:
            service.overflow_mode = apprise.OverflowMode.SPLIT  # two messages rather than a refused one
        self.id = hashlib.sha256(url.encode()).hexdigest()[:12]
        self.refused = f"-{self.id}"
        """What stands in a reference where it has refused the version."""
        self._name = f"{service.service_name} (URL {number})"
        self._apprise = apprise.Apprise(asset=asset)
        self._apprise.add(service)

    def send(self, message: AlertMessage) -> NotAccepted | None:
        """None where it was accepted. What Apprise says beside a status is not handed on: it may hold a secret."""
        result = self._apprise.notify(
            title=message.headline,
            body=message.body,
            notify_type=_TYPES.get(message.status, apprise.NotifyType.INFO),
            body_format=apprise.NotifyFormat.TEXT,
        )
        if result:
            return None
        codes = [int(code) for entry in result.logs() for code in _CODE.findall(entry.message)]
        if not codes:
            return NotNow(f"{self._name} cannot be reached, or gives no answer that says why")
        if 400 <= codes[-1] < 500 and codes[-1] not in _NOT_NOW:
            return NeverThis(f"Http{codes[-1]}", f"{self._name} answers {codes[-1]}")
        return NotNow(f"{self._name} answers {codes[-1]}: is its URL right, and does it let us write?")


def _destinations(urls: list[str]) -> list[_Destination]:
    if len(urls) > _MOST:
        raise SinkError(f"NETCENTER_CHAT_URLS_FILE has {len(urls)} URLs, and {_MOST} are the most")
    return [_Destination(number, url) for number, url in enumerate(urls, 1)]


def _keep_quiet() -> None:
    """Keep what Apprise and its clients log to themselves: it may hold the tokens of URLs, and texts."""
    for name, level in (("apprise", logging.WARNING), ("urllib3", _NOTHING), ("oauthlib", _NOTHING)):
        logger = logging.getLogger(name)
        logger.setLevel(level)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())

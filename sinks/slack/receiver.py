"""Posts alerts to a channel of Slack: one message for an incident, edited with each version, and its growth in the thread."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from schemas.records import Alert, Severity
from sinks.alert_message import AlertMessage, message_of
from sinks.alert_receiver import NeverThis, Notice, NotNow, Receipt
from sinks.http_client import HttpRoute
from sinks.http_receiver import HttpAnswer, HttpReceiver
from sinks.port import SinkError

#: The most characters that Slack takes of the text of a section.
_SECTION = 3000
_SIGNS = {
    "PAGE": ":rotating_light:",
    "WARNING": ":warning:",
    "INFO": ":information_source:",
    "TEST": ":wrench:",
    "OVER": ":white_check_mark:",
}
_RANKS: dict[Severity, int] = {"info": 0, "warning": 1, "unknown": 1, "page": 2}
#: What people do about an answer that concerns the token or the channel.
_MENDED = {
    **dict.fromkeys(
        ("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"),
        "set a token of the bot that is in force",
    ),
    **dict.fromkeys(("missing_scope", "no_permission"), "give the bot the scope chat:write, and install it again"),
    "not_in_channel": "invite the bot to the channel",
    "channel_not_found": "set NETCENTER_SLACK_CHANNEL to the channel's id, and invite the bot",
    "is_archived": "the channel is archived: restore it, or set another one",
    "restricted_action": "the workspace lets the bot not post there: ask its administrators",
}
#: Of these, those about the channel: a message may stand in one that is no longer set.
_CHANNEL = {"not_in_channel", "channel_not_found", "is_archived", "restricted_action"}
_ADVICE = {
    401: "set a token of the bot that is in force",
    404: "nothing is there: set NETCENTER_SLACK_URL to https://slack.com/api",
    429: "it takes no more messages for now",
}
#: Answers that the same message would always get.
_NEVER = {
    *(
        "msg_too_long",
        "no_text",
        "too_many_attachments",
        "invalid_blocks",
        "invalid_blocks_format",
        "msg_blocks_too_long",
    ),
    *(
        "invalid_arguments",
        "invalid_arg_name",
        "invalid_array_arg",
        "invalid_charset",
        "invalid_json",
        "json_not_object",
    ),
}
#: Answers that pass by themselves.
_PASSING = {
    "ratelimited",
    "rate_limited",
    "accesslimited",
    "internal_error",
    "fatal_error",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
}
#: The figures of an alert whose growth or fall is said in the thread.
_COUNTS = ("overdue", "urgent", "open", "cases")
_WORD = re.compile(r"[a-z_]{1,60}")


class _SlackAnswer(msgspec.Struct, frozen=True):
    ok: bool
    error: str = ""
    channel: str = ""
    ts: str = ""


class SlackReceiver:
    """Posts to one channel. Implements `sinks.alert_receiver.AlertReceiver`.

    1. The first version of an incident that arrives is posted, and its reference is `channel:ts`.
    2. Each later one edits the message, and says in its thread what has become worse, or that it is over. A rise of the severity
       is shown in the channel too, because an edit tells nobody.
    3. Where Slack takes no edit of the message, as where it is gone, or no reply to it, as where its thread is locked, the incident
       gets a new message. An alert that fires again after it was over gets a new one, too.

    Slack has no way to send a message once: where its answer is lost, a message may stand there twice.

    url: of the Web API. channel: its id. token: returns the bot's token as it is now; called before each alert, raises SinkError.
    """

    renewed_each: float | None = None

    def __init__(
        self, url: str, channel: str, token: Callable[[], str], route: HttpRoute, timeout: float = 10.0
    ) -> None:
        self._channel, self._token = channel, token
        self._methods = {
            method: HttpReceiver("Slack", f"{url.rstrip('/')}/{method}", route, timeout, _ADVICE)
            for method in ("chat.postMessage", "chat.update")
        }

    def open(self) -> None:
        """Make the clients ready."""
        for method in self._methods.values():
            method.open()

    def close(self) -> None:
        """Close the connections."""
        for method in self._methods.values():
            method.close()

    def tell(self, notice: Notice) -> Receipt:
        """Post a version, or edit the incident's message. Raises NotAccepted."""
        message = message_of(notice.alert, notice.post)
        content = slack_message(message)
        channel, _, ts = (notice.reference or "").partition(":")
        if ts:
            edited = self._call("chat.update", {"channel": channel, "ts": ts, **content}, anew=True)
            if edited.ok and self._reply(notice, message, channel, ts):
                return Receipt("200 OK, edited", notice.reference)
        posted = self._call("chat.postMessage", {"channel": self._channel, **content})
        return Receipt("200 OK, posted", f"{posted.channel or self._channel}:{posted.ts}")

    def _reply(self, notice: Notice, message: AlertMessage, channel: str, ts: str) -> bool:
        """Whether the thread has what is to be said in it."""
        said, risen = slack_growth(notice, message)
        if not said:
            return True
        reply = {"channel": channel, "thread_ts": ts, "reply_broadcast": risen, "text": _escaped(said), **_PLAIN}
        return self._call("chat.postMessage", reply, anew=True).ok

    def _call(self, method: str, arguments: dict[str, Any], *, anew: bool = False) -> _SlackAnswer:
        """What Slack answers. Raises NotAccepted. anew: whether a new message may help where Slack refuses this call; such an
        answer is not ok. It does not help where people must mend the token or the channel that is set.
        """
        try:
            token = self._token()
        except SinkError as error:  # the token was right at the start
            raise NotNow(str(error)) from None
        headers = {"content-type": "application/json; charset=utf-8", "authorization": f"Bearer {token}"}
        name = self._methods[method].name
        answer = _decoded(self._methods[method].post(msgspec.json.encode(arguments), headers), name)
        mended = answer.error in _MENDED and (answer.error not in _CHANNEL or arguments["channel"] == self._channel)
        if answer.ok or (anew and not mended and answer.error not in _PASSING):
            return answer
        code = answer.error if _WORD.fullmatch(answer.error) else "an unknown error"
        if code in _NEVER:
            raise NeverThis(f"Slack_{code}", f"{name} answers {code}")
        raise NotNow(f"{name} answers {code}{f': {_MENDED[code]}' if code in _MENDED else ''}")


def _decoded(answer: HttpAnswer, name: str) -> _SlackAnswer:
    try:
        return msgspec.json.decode(answer.body, type=_SlackAnswer)
    except msgspec.MsgspecError:
        raise NotNow(f"{name} answers {answer.status} without an answer of Slack's: is it Slack?") from None


#: No name becomes a mention of people, and no address a preview.
_PLAIN: dict[str, Any] = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}


def slack_message(message: AlertMessage) -> dict[str, Any]:
    """The text and blocks of a message."""
    head = f"{_SIGNS.get(message.status, '')} *{_escaped(message.headline)}*"
    lines = "\n".join(f"*{_escaped(part.label)}:* {_escaped(part.text)}" for part in message.parts)
    body = lines if len(lines) <= _SECTION else f"{lines[: _SECTION - 1].rpartition(chr(10))[0]}\n…"
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in (head, body) if text]
    return {"text": _escaped(message.headline), "blocks": blocks, **_PLAIN}


def slack_growth(notice: Notice, message: AlertMessage) -> tuple[str, bool]:
    """(what to say in the thread, whether the severity has risen); empty where nothing has grown or fallen."""
    alert, told = notice.alert, notice.told
    if alert.state == "resolved":
        return message.headline, False
    if told is None:  # another worker told it, so how bad it was is not known
        return f"Changed: {message.headline}", alert.severity == "page"
    if _RANKS[alert.severity] > _RANKS[told.severity]:
        return f"Now {alert.severity}, before {told.severity}: {message.headline}", True
    if alert.kind != told.kind or alert.evidence.get("trend") in ("rising", "falling"):
        return f"{alert.evidence.get('trend', 'changed').capitalize()}: {message.headline}", False
    for name in _COUNTS:
        now, before = _count(alert, name), _count(told, name)
        if now != before:
            words = "cases" if name == "cases" else f"{name} cases"
            return f"{'More' if now > before else 'Fewer'} {words}, {now:,} after {before:,}: {message.headline}", False
    return "", False


def _count(alert: Alert, name: str) -> int:
    """A figure of the evidence; none is written where it is 0."""
    figure = alert.evidence.get(name, "")
    return int(figure) if figure.isascii() and figure.isdecimal() else 0


def _escaped(text: str) -> str:
    """The text with the three characters replaced that Slack reads as marks."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""One server that stands for every receiver of alerts, and the settings with which the workers tell it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from tests.support.alert_receiver import AlertEndpoint, Answer, Received

ROUTING_KEY, TOKEN, ROOM = "0123456789abcdef0123456789abcdef", "xoxb-token-of-the-town", "room-of-the-town"
SECRETS = (ROUTING_KEY, TOKEN, ROOM)
ROLES = ("alertmanager", "pagerduty", "slack", "chat")


def answered(asked: Received) -> Answer:
    """As each service answers what it accepts."""
    if not asked.path.startswith("/api/chat."):
        return Answer(202 if asked.path == "/v2/enqueue" else 200)
    first = asked.json.get("ts", "1700000000.000001")
    return Answer(200, body=msgspec.json.encode({"ok": True, "channel": "C1", "ts": first}))


def environment(endpoint: AlertEndpoint, folder: Path) -> dict[str, str]:
    """Settings that turn all receivers on."""
    urls = folder / "chat-urls"
    urls.write_text(f"json://{endpoint.host}/{ROOM}\n")
    return {
        "NETCENTER_ALERTMANAGER_URLS": endpoint.root,
        "NETCENTER_PAGERDUTY_URL": f"{endpoint.root}/v2/enqueue",
        "NETCENTER_PAGERDUTY_ROUTING_KEY": ROUTING_KEY,
        "NETCENTER_SLACK_URL": f"{endpoint.root}/api",
        "NETCENTER_SLACK_CHANNEL": "C1",
        "NETCENTER_SLACK_TOKEN": TOKEN,
        "NETCENTER_CHAT_URLS_FILE": str(urls),
        "NETCENTER_ALERT_POSTS": "true",
    }


def by_role(endpoint: AlertEndpoint) -> dict[str, list[Any]]:
    """The bodies that each receiver got, in order; of Slack (method, body)."""
    found: dict[str, list[Any]] = defaultdict(list)
    for asked in endpoint.received:
        match asked.path:
            case "/api/v2/alerts":
                found["alertmanager"].append(asked.json)
            case "/v2/enqueue":
                found["pagerduty"].append(asked.json)
            case path if path.startswith("/api/chat."):
                found["slack"].append((path.removeprefix("/api/"), asked.json))
            case _:
                found["chat"].append(asked.json)
    return found

"""What stands beside a group's offsets: written by workers, read by commands, and at times by neither."""

from __future__ import annotations

import pytest

from streams.committed_offsets import NEVER, CommittedOffset, address, metadata, parsed


@pytest.mark.parametrize("host", ["127.0.0.1", "10.2.3.4", "::1", ""])
def test_what_a_worker_tells_is_read_again(host: str) -> None:
    """Also before it knows its address."""
    for due in (0, 1_795_176_060_000, NEVER):
        told = metadata(CommittedOffset(7, 1_795_176_000_000, due), address(host, 8080))
        assert parsed(told) == (1_795_176_000_000, address(host, 8080), due)


def test_an_ipv6_host_stands_in_brackets_as_in_a_url() -> None:
    """Else its port could not be told from it."""
    assert address("fe80::1", 8080) == "[fe80::1]:8080"


@pytest.mark.parametrize(
    "foreign", [None, "", "reset by hand", "12x", "-5", "17 nowhere", "17 host:port", "17 due=soon"]
)
def test_what_another_tool_wrote_beside_an_offset_is_nothing_told(foreign: str | None) -> None:
    """No command fails because somebody has set an offset with a tool of Kafka."""
    assert parsed(foreign) == (0, "", 0)

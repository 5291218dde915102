"""A client of Kafka that cannot connect leaves nothing behind: no socket, no connection of TLS and no thread."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from netcenter.broker import client
from netcenter.errors import Unreachable
from streams.kafka_connection import KafkaConnection, KafkaSecurity
from streams.kafka_diagnosis import diagnose
from streams.log_reader import reading
from streams.tls_context import TlsFiles
from tests.support.certificates import Authority
from tests.support.waiting import until


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca")


@pytest.fixture
def port(authority: Authority) -> Iterator[int]:
    """Of a server that completes each handshake of TLS, and then ends the connection as soon as it is asked anything."""
    pair = authority.issue("server", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)

    def serve() -> None:
        with suppress(OSError):  # the listener is shut down at the end of the test
            while True:
                raw, _ = listener.accept()
                raw.settimeout(5)
                with raw, suppress(OSError), context.wrap_socket(raw, server_side=True) as connection:
                    connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def open_sockets() -> int:
    """Those of this process."""
    with os.scandir("/proc/self/fd") as files:
        return sum(os.readlink(file).startswith("socket:") for file in list(files) if os.path.lexists(file))


async def read(kafka: KafkaConnection) -> None:
    async with reading(kafka):
        raise AssertionError("it is connected")


@pytest.mark.parametrize("believed", [True, False], ids=["a server that is no Kafka", "an unknown authority"])
def test_no_client_leaves_a_connection_or_a_thread_after_a_failure(
    port: int, authority: Authority, tmp_path: Path, believed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An admin client of kafka-python would leave its thread for good."""
    monkeypatch.setattr(client, "_FIRST_ANSWER_MS", 300)
    # pytest keeps the records of a log, and so the errors in them and all that these refer to.
    for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in ("kafka", "aiokafka")]:
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)
    file = authority.file if believed else Authority(tmp_path / "other", "another authority").file
    kafka = KafkaConnection(f"localhost:{port}", KafkaSecurity("SSL", tls=TlsFiles(str(file))))
    before, threads = open_sockets(), threading.active_count()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", ResourceWarning)
        assert diagnose(kafka)
        for opening in (client.open_admin, client.open_producer):
            with pytest.raises(Unreachable):
                opening(kafka)
        with pytest.raises(KafkaConnectionError):
            asyncio.run(read(kafka))
        gc.collect()
    assert [str(one.message) for one in warned if one.category is ResourceWarning] == []
    assert threading.active_count() == threads
    until(lambda: open_sockets() <= before, 10, "every socket is closed")

"""Apache Kafka as one node: broker and controller in one Java process."""

import base64
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import Any

from netcenter.embedded import places
from netcenter.embedded.java import KAFKA_VERSION, cache, class_path, java
from netcenter.embedded.server import Server
from netcenter.embedded.server_errors import EmbeddedError

_FLAGS = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError"]

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=BROKER://127.0.0.1:{port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
log.dirs={data}
# one node: internal topics have one replica and few partitions, and no group waits for further members
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
num.partitions=1
# a broker that was killed may register again only when its last session has ended: after 3 s instead of 9
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
# a misspelt topic is an error, not a new topic
auto.create.topics.enable=false
# the largest max.message.bytes that a topic may set: 4 MiB
message.max.bytes=4194304
# a small heap and two cores
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=2
num.io.threads=2
background.threads=2
"""

_LOG4J = """\
status=error
appender.file.type=RollingFile
appender.file.name=FILE
appender.file.fileName={log}
appender.file.filePattern={log}.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{{ISO8601}} %p %c: %m%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=5MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=1
rootLogger.level=warn
rootLogger.appenderRef.file.ref=FILE
"""

# A Metadata request, version 1, for no topics: api key, version, correlation id, client id, count of topics.
_METADATA = struct.pack(">hhih9si", 3, 1, 1, 9, b"netcenter", 0)


class EmbeddedKafka(Server):
    """A Kafka broker on 127.0.0.1 with its data in `directory`.

    Without `port`, the port of the last start is used, or a free one. `heap_mb` is Java's largest heap in MiB.
    """

    name = "Kafka"
    stop_signal = signal.SIGTERM

    def __init__(
        self, directory: Path, *, port: int | None = None, heap_mb: int = 512, outlives_us: bool = False
    ) -> None:
        super().__init__(directory, outlives_us=outlives_us)
        self._port = port
        self._heap_mb = heap_mb
        self._properties = self.directory / "server.properties"
        self._log4j = self.directory / "log4j2.properties"
        self._log = self.directory / "server.log"
        self._data = self.directory / "data"

    def _prepare(self, remembered: dict[str, Any], lock: int) -> dict[str, Any]:
        values = {
            "port": self._port or remembered.get("port") or places.free_port(),
            "controller_port": remembered.get("controller_port") or places.free_port(),
        }
        for port in values.values():
            places.must_be_free(port, self.name)
        self._properties.write_text(_PROPERTIES.format(data=self._data, **values), encoding="utf-8")
        self._log4j.write_text(_LOG4J.format(log=self._log), encoding="utf-8")
        if not (self._data / "meta.properties").exists():  # the file that formatting writes last
            self._format(lock)
        return values

    def _command(self, values: dict[str, Any]) -> list[str]:
        return [*self._java(), "kafka.Kafka", str(self._properties)]

    def _java(self) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self._log4j}"
        return [str(java()), f"-Xmx{self._heap_mb}m", *_FLAGS, logging, "-cp", os.pathsep.join(class_path())]

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    def _own_argument(self) -> str:
        return str(self._properties)

    def _address(self, values: dict[str, Any]) -> str:
        return f"127.0.0.1:{values['port']}"

    def _logs(self) -> list[Path]:
        return [*super()._logs(), self._log]

    def _answers(self, values: dict[str, Any]) -> bool:
        """Return whether the broker answers a metadata request and lists itself as a broker."""
        try:
            with socket.create_connection(("127.0.0.1", values["port"]), timeout=2.0) as connection:
                connection.sendall(struct.pack(">i", len(_METADATA)) + _METADATA)
                with connection.makefile("rb") as stream:
                    answer = stream.read(12)  # size, correlation id, count of brokers
        except OSError:
            return False
        return len(answer) == 12 and struct.unpack(">iii", answer)[2] > 0

    def _format(self, lock: int) -> None:
        """Format the data directory for Kafka.

        Kafka's own tool takes a second, and its output differs between directories only in the ids of
        meta.properties. So the other file is cached, by Kafka's version, and copied into the next directory.
        """
        kept = cache() / f"kafka-{KAFKA_VERSION}-bootstrap.checkpoint"
        if not kept.exists():
            self._format_with_kafkas_tool(lock)
            with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as temporary:
                temporary.write((self._data / "bootstrap.checkpoint").read_bytes())
            os.replace(temporary.name, kept)
            return
        self._data.mkdir(exist_ok=True)
        shutil.copyfile(kept, self._data / "bootstrap.checkpoint")
        ids = f"version=1\nnode.id=1\ncluster.id={_kafka_id()}\ndirectory.id={_kafka_id()}\n"
        temporary_ids = self._data / "meta.properties.tmp"
        temporary_ids.write_text(ids, encoding="utf-8")
        temporary_ids.replace(self._data / "meta.properties")

    def _format_with_kafkas_tool(self, lock: int) -> None:
        tool = [*self._java(), "kafka.tools.StorageTool"]
        done = subprocess.run(
            [*tool, "format", "--cluster-id", _kafka_id(), "--config", str(self._properties)],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=(lock,),
        )
        if done.returncode != 0:
            end = " | ".join(done.stdout.splitlines()[-5:])
            raise EmbeddedError(f"Kafka cannot format {self._data}: {end}; delete {self.directory} if it may go")


def _kafka_id() -> str:
    """Return a random id in Kafka's form: base64 of 16 bytes, with a fixed first letter because it must not be a dash."""
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]

"""A real Kafka and a real PostgreSQL on this machine, without Docker, root rights or an installed Java."""

from netcenter.embedded.kafka_server import EmbeddedKafka
from netcenter.embedded.postgres_server import EmbeddedPostgres
from netcenter.embedded.server_errors import EmbeddedError
from netcenter.embedded.stack import Addresses, Running, Stack, detach, down, ended_because, process_of, running

__all__ = [
    "Addresses",
    "EmbeddedError",
    "EmbeddedKafka",
    "EmbeddedPostgres",
    "Running",
    "Stack",
    "detach",
    "down",
    "ended_because",
    "process_of",
    "running",
]

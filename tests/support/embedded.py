"""Writing and reading one record and one row, and waiting with a deadline."""

import time
from collections.abc import Callable

import psycopg2
from kafka import TopicPartition
from kafka.admin import NewTopic

from netcenter.broker.client import open_admin, open_producer
from netcenter.broker.reading import TopicFollower
from netcenter.embedded import Addresses
from streams.kafka_connection import KafkaConnection

_TOPIC = "kept"


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether `holds()` becomes true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def create(addresses: Addresses) -> None:
    """Make the topic and the table that `write` and `read` use."""
    admin = open_admin(KafkaConnection(addresses.kafka))
    admin.create_topics([NewTopic(_TOPIC, 1, 1)])
    admin.close()
    execute(addresses.postgres, "create table kept (value text)")


def write(addresses: Addresses, value: str) -> None:
    """Produce `value` and commit it as a row; both are acknowledged on return."""
    producer = open_producer(KafkaConnection(addresses.kafka))
    producer.send(_TOPIC, value.encode()).get(timeout=20)
    producer.close()
    execute(addresses.postgres, "insert into kept values (%s)", value)


def read(addresses: Addresses) -> tuple[list[str], list[str]]:
    """Every record's value, and every row's."""
    with TopicFollower(KafkaConnection(addresses.kafka), [TopicPartition(_TOPIC, 0)]) as follower:
        records = [record.value.decode() for record in follower.new_records()]
    return records, [row[0] for row in execute(addresses.postgres, "select value from kept order by value")]


def execute(uri: str, statement: str, *values: str) -> list[tuple[str, ...]]:
    """Run one statement in a transaction of its own and return its rows, if it has any."""
    connection = psycopg2.connect(uri, connect_timeout=5)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()

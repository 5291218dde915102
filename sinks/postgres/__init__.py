"""PostgreSQL as a projection of every public topic, with the offsets in the transaction of the rows."""

from sinks.postgres.sink import PostgresSink

__all__ = ["PostgresSink"]

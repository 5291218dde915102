"""Until when the certificate with which this client proves itself to Kafka is valid."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from netcenter.operate.doctor.finding import Finding
from streams.kafka_connection import KafkaConnection

_SUBJECT = "certificate for Kafka"
#: A certificate that ends within this time is a fault: somebody must have time to renew it.
_NEAR = timedelta(days=14)


def certificate(kafka: KafkaConnection) -> Iterator[Finding]:
    """One finding where this client shows a certificate, none otherwise."""
    ends = kafka.certificate_ends()
    if ends is None:
        return
    path, left = kafka.security.tls.cert, ends - datetime.now(UTC)
    if left < timedelta():
        yield Finding(_SUBJECT, False, f"{path} expired on {ends:%Y-%m-%d at %H:%M} UTC: renew it")
    elif left < _NEAR:
        yield Finding(
            _SUBJECT,
            False,
            f"{path} expires on {ends:%Y-%m-%d at %H:%M} UTC, in {left.days} days: does anybody renew it?",
        )
    else:
        yield Finding(_SUBJECT, True, f"{path} is valid until {ends:%Y-%m-%d}")

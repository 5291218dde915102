"""For how long a writer of Ticks has been silent in a partition, by the worker's clock and by the broker's
timestamps.
"""

from __future__ import annotations

from streams.watermark import Writer


class WriterSilence:
    """When the last Tick of each writer was read in one partition."""

    def __init__(self) -> None:
        self.heard: dict[Writer, tuple[float, int]] = {}
        """By writer: when its last Tick was read (s of the monotonic clock), and the broker's timestamp then (ms; 0:
        nothing was read).
        """
        self.stamp = 0
        """ms; the broker's timestamp of the newest record that was read."""

    def start_over(self) -> None:
        """Starts every writer's time of silence again, because silence means nothing while Kafka does not answer."""
        self.heard.clear()

    def seconds(self, writer: Writer, now: float, *, at_end: bool) -> float:
        """Seconds for which a writer has been silent. now: of the monotonic clock.

        at_end: whether the partition was read to its end. If not, the silence must also show in the broker's
        timestamps, because the writer's Ticks may not have been read yet.
        """
        since, stamp = self.heard.setdefault(writer, (now, self.stamp))
        if not stamp and self.stamp:
            stamp = self.stamp
            self.heard[writer] = since, stamp
        if at_end:
            return now - since
        return min(now - since, (self.stamp - stamp) / 1000)

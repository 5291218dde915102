"""For how long a writer of Ticks has been silent in a partition, by the worker's clock and by the broker's stamps."""

from __future__ import annotations

from streams.watermark import Writer


class WriterSilence:
    """When each writer of Ticks was last heard in one partition."""

    def __init__(self) -> None:
        self.heard: dict[Writer, tuple[float, int]] = {}
        """(s of the worker's monotonic clock, ms of the broker's stamp) of the last Tick of a writer; stamp 0: nothing was read yet."""
        self.stamp = 0
        """ms; the broker's stamp of the newest record that was read."""

    def start_over(self) -> None:
        """Gives every writer its whole time again: while Kafka brings nothing, silence means nothing."""
        self.heard.clear()

    def seconds(self, writer: Writer, now: float, *, at_end: bool) -> float:
        """Seconds for which a writer has been silent. now: of the monotonic clock.

        at_end: whether the partition was read to its end. Before it the silence must also have lasted by the broker's stamps:
        otherwise the writer's Ticks may simply not have been read yet.
        """
        since, stamp = self.heard.setdefault(writer, (now, self.stamp))
        if not stamp and self.stamp:
            stamp = self.stamp
            self.heard[writer] = since, stamp
        if at_end:
            return now - since
        return min(now - since, (self.stamp - stamp) / 1000)

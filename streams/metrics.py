"""Every metric: name, kind, meaning. Labels are roles, topics and stages, never texts or authors."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

FACTS = Counter("netcenter_facts", "Records read and handled", ["role"])
OUTPUTS = Counter("netcenter_outputs", "Records written", ["role", "topic"])
DEAD_LETTERS = Counter("netcenter_dead_letters", "Records set aside", ["role", "stage"])
LOST = Counter(
    "netcenter_lost_records",
    "Offsets that retention deleted before the role had read them",
    ["role", "topic", "partition"],
)
DEAD_SHARE = Gauge(
    "netcenter_dead_share",
    "Share of a partition's last records that were set aside; from 0.1 on a producer should be looked at",
    ["role", "partition"],
)
DROPPED = Gauge(
    "netcenter_dropped", "Repeated records dropped since this worker owned the partition", ["role", "partition"]
)
STATE = Gauge("netcenter_state_records", "Records of state kept", ["role", "partition"])
LEFT_OUT = Gauge(
    "netcenter_left_out",
    "What was too much to be kept since this worker owned the partition, such as conversations of a brand in a minute",
    ["role", "partition"],
)
CHECKPOINT_SECONDS = Histogram("netcenter_checkpoint_seconds", "Time to seal a checkpoint", ["role"])
RECOVERY_SECONDS = Histogram("netcenter_recovery_seconds", "Time to recover a partition", ["role"])
PARTITION_TIME = Gauge(
    "netcenter_partition_time_seconds", "Event time of an input topic partition", ["role", "partition"]
)
APPLIED = Gauge("netcenter_applied_offset", "Offset of the last sealed input topic record", ["role", "partition"])
PARTITIONS = Gauge("netcenter_partitions", "Partitions owned", ["role"])
READY = Gauge("netcenter_ready", "1 when every owned partition is recovered and nothing is awaited", ["role"])
SINK_ROWS = Counter("netcenter_sink_records", "Records a sink has written", ["role"])
SINK_SECONDS = Histogram("netcenter_sink_write_seconds", "Time of one write of a sink", ["role"])
SINK_RETRIES = Counter("netcenter_sink_retries", "Writes repeated because the receiver could not be reached", ["role"])

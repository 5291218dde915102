"""Replay: the deciding objects of the workers over files or a stretch of the log, without Kafka in between."""

from netcenter.replay.engine import Replay, play_lines

__all__ = ["Replay", "play_lines"]

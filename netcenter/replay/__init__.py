"""`replay`: the same deciding objects over files or a stretch of the log, with no Kafka in between."""

from netcenter.replay.engine import Replay, play_lines

__all__ = ["Replay", "play_lines"]

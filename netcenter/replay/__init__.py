"""`replay`: the same deciding objects over files or a stretch of the log, with no Kafka in between."""

from netcenter.replay.engine import Replay
from netcenter.replay.inbox import replay_inbox

__all__ = ["Replay", "replay_inbox"]

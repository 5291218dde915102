"""The story that the demo plays: seeded, told by `story`, written to a file by `write`."""

from netcenter.scenario.story import Story, story, tell, write

__all__ = ["Story", "story", "tell", "write"]

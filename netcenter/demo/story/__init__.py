"""The story that the demo plays: `story` writes it from a seed, and `people` says how operators answer offers while it
is played.
"""

from __future__ import annotations

from pathlib import Path

STORY_POLICY = Path(__file__).with_name("story.toml")
"""The policy under which the story is played."""

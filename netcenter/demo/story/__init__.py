"""The story that the demo plays: `story` writes it from a seed, and `operators.toml` says how operators answer offers
while it is played.
"""

from __future__ import annotations

from pathlib import Path

STORY_POLICY = Path(__file__).with_name("story.toml")
"""The policy under which the story is played."""
STORY_TEAM = Path(__file__).with_name("operators.toml")
"""The operators of the story: how they answer offers. They sign in and reply as the story says."""

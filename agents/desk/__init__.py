"""Desk: each case to exactly one operator."""

from agents.desk.decider import DeskDecider
from agents.desk.state import carried

__all__ = ["DeskDecider", "carried"]

"""Surges: whether a brand is mentioned far more than usual at this hour, and whether this surge is a crisis."""

from agents.surge.decider import SurgeDecider
from agents.surge.forms import FORMS
from agents.surge.state import carried

__all__ = ["FORMS", "SurgeDecider", "carried"]

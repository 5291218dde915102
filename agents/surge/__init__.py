"""Surges: whether a brand is mentioned far more than usual at this hour, and whether this surge is a crisis."""

from agents.surge.decider import SurgeDecider

__all__ = ["SurgeDecider"]

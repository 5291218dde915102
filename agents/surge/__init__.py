"""Surges: whether a brand is mentioned far more than is usual at this hour, and whether that is a crisis."""

from agents.surge.decider import SurgeDecider

__all__ = ["SurgeDecider"]
